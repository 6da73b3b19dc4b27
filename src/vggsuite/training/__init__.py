"""Training: Lightning's side of the suite."""

from importlib.metadata import version

from vggsuite.errors import UserError

try:
    import torchvision  # noqa: F401
except (ImportError, RuntimeError) as error:  # "operator torchvision::nms does not exist" with a torch of another build
    raise UserError(
        f"torch {version('torch')} and torchvision {version('torchvision')} are not of one build "
        f"({str(error).splitlines()[0]}); install the pair that was tested: pip install -r requirements.lock"
    ) from error
