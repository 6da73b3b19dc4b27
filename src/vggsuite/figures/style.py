"""How all figures look, and how they are saved."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vggsuite.errors import UserError
from vggsuite.files import replacing

FORMATS = (".png", ".svg")
STYLE = Path(__file__).with_name("vggsuite.mplstyle")


@contextmanager
def styled() -> Iterator[None]:
    """Within the context figures are drawn in the one style."""
    with style.context(STYLE):
        yield


def as_pixels(figure: Figure) -> np.ndarray:
    """A figure as uint8 [height, width, 3]."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write a figure as PNG and as SVG, complete or not at all, and return their paths.

    Raises:
        UserError: where they cannot be written.
    """
    files = [stem.with_name(stem.name + ending) for ending in FORMATS]
    for file in files:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with replacing(file) as temporary:
                metadata = {"Date": None} if file.suffix == ".svg" else {}
                figure.savefig(temporary, format=file.suffix[1:], metadata=metadata)
        except OSError as error:
            raise UserError(
                f"{file} cannot be written ({error.strerror}); type output=<another place>/{stem.name}."
            ) from error
    return files
