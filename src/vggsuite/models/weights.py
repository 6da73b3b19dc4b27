"""Weights as they are published, each with the preprocessing that it was trained with.

Under torchvision's parameter names, whatever the file: torchvision's own downloads and PyTorch files, the Caffe files
of Oxford's release (docs/weights.md), and Keras's copies of it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, NoReturn, NotRequired
from urllib.error import URLError

import torch
import yaml
from pydantic import ConfigDict, Field
from torch import Tensor, nn
from torchvision.models import GoogLeNet_Weights, WeightsEnum, get_model, get_model_weights, get_weight, list_models
from typing_extensions import TypedDict  # as pydantic asks for below Python 3.12

from vggsuite.errors import UserError
from vggsuite.files import DAMAGE, naming_damaged, reason
from vggsuite.models.caffe import Layers, read_caffemodel
from vggsuite.models.keras import read_keras
from vggsuite.models.net import ConvNet
from vggsuite.models.state import digest, module_names, require_tensors
from vggsuite.typed import typed

IMAGENET_MEAN = [123.68, 116.779, 103.939]  # R, G, B of the released weights
# Arguments of `Preprocessing`.
PREPROCESSINGS: dict[str, dict[str, Any]] = {
    "paper": {"mean": IMAGENET_MEAN},
    "torchvision": {
        "mean": [255 * value for value in (0.485, 0.456, 0.406)],
        "std": [255 * value for value in (0.229, 0.224, 0.225)],
    },
    "oxford": {"mean": IMAGENET_MEAN, "bgr": True},
    "inception": {"mean": [127.5] * 3, "std": [127.5] * 3},  # of torchvision's GoogLeNet, which undoes its own first
}
READERS = {".caffemodel": read_caffemodel, ".h5": read_keras}
TORCH_FILES = (".pth", ".pt")
TORCHVISION_NETS = [*list_models(include="vgg*"), "googlenet", *(f"resnet{depth}" for depth in (18, 34, 50, 101, 152))]


OfChannels = Annotated[list[float], Field(min_length=3, max_length=3)]


class OfPixels(TypedDict):
    """Arguments of `Preprocessing`."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    mean: OfChannels
    std: NotRequired[OfChannels]
    bgr: NotRequired[bool]


class Converted(TypedDict):
    """What `convert_weights` writes; see `Weights`."""

    name: str
    state_dict: dict[str, Any]
    preprocessing: OfPixels
    figures: list[dict[str, Any]]


@dataclass(frozen=True)
class Weights:
    """Published weights.

    Attributes:
        name: as a person would call them.
        state: parameters under torchvision's names.
        preprocessing: arguments of `Preprocessing`.
        classes: names of the classes in the order of the outputs, if they are known.
        figures: what their publisher measured: `top1` and `top5` error in percent (either may be missing), the
            `method` and `scales` of the protocol, and the `source`.
    """

    name: str
    state: Mapping[str, Tensor]
    preprocessing: dict[str, Any]
    classes: list[str] | None = None
    figures: list[dict[str, Any]] = field(default_factory=list)

    def sha256(self) -> str:
        """SHA-256 of all parameters."""
        return digest(self.state)


def load_weights(source: str, net: ConvNet, preprocessing: str | None) -> Weights:
    """The weights that `source` names: a file, or torchvision's name of a set.

    Args:
        source: a path, "VGG16_Weights.IMAGENET1K_V1", "vgg16", or "DEFAULT" for torchvision's best of this net.
        net: of the architecture they are meant for; on any device.
        preprocessing: a key of `PREPROCESSINGS`; None for what is known of the file.

    Raises:
        UserError: where nothing is found or known, or the file is damaged.
    """
    found = find_weights(source, net, preprocessing)
    if net.auxiliary:
        return found
    state = {name: value for name, value in found.state.items() if not name.startswith("aux")}
    return replace(found, state=state)


def find_weights(source: str, net: ConvNet, preprocessing: str | None) -> Weights:
    """As `load_weights`, with auxiliary classifiers that the net may not have."""
    path = Path(source).expanduser()
    if path.is_file():
        return from_file(path, net, preprocessing)
    if "/" in source or path.suffix in (*READERS, *TORCH_FILES):
        raise UserError(f"weights={source} is no file; allowed: a file, or a name of torchvision's (weights=DEFAULT).")
    return from_torchvision(torchvision_weights(source, net), preprocessing)


def torchvision_weights(name: str, net: ConvNet) -> WeightsEnum:
    """torchvision's entry of that name, which is refused where it is of another net."""
    try:
        if name in TORCHVISION_NETS:
            entry = get_model_weights(name).DEFAULT
        elif "." in name:
            entry = get_weight(name)
        else:
            entry = get_model_weights(torchvision_name(net))[name]
    except (KeyError, ValueError, AttributeError):
        refuse_name(name, net)
    theirs = torchvision_name(net)
    return entry if theirs and type(entry) is get_model_weights(theirs) else refuse_name(name, net)


def refuse_name(name: str, net: ConvNet) -> NoReturn:
    theirs = torchvision_name(net)
    names = f", DEFAULT, {theirs} or {', '.join(map(str, get_model_weights(theirs)))}" if theirs else ""
    raise UserError(
        f"weights={name} is neither a file nor one of torchvision's sets of weights for this net; allowed: a "
        f"{', '.join((*TORCH_FILES, *READERS))} file{names}."
    )


def torchvision_name(net: ConvNet) -> str:
    """torchvision's name of the net's architecture, "" where it has none: of the net there whose parameters are called
    so and whose kernels are of these sizes, whatever the width and the classes."""
    if any(isinstance(layer, nn.LocalResponseNorm | nn.LeakyReLU) for layer in net.modules()):
        return ""  # which parameters do not tell
    own = kernels(net)
    return next((name for name in TORCHVISION_NETS if kernels_of(name) == own), "")


@cache
def kernels_of(name: str) -> dict[str, torch.Size]:
    """`kernels` of torchvision's net of that name."""
    more = {"init_weights": False} if name == "googlenet" or name.startswith("vgg") else {}
    with torch.device("meta"):
        return kernels(get_model(name, **more))


def kernels(net: nn.Module) -> dict[str, torch.Size]:
    """The sizes of the kernels of a net by the names of its parameters, an empty one for others; auxiliary classifiers
    aside."""
    return {name: value.shape[2:] for name, value in net.state_dict().items() if not name.startswith("aux")}


def from_torchvision(entry: WeightsEnum, preprocessing: str | None) -> Weights:
    """A set of torchvision's, downloaded on first use."""
    require_classifier(entry)
    try:
        state = entry.get_state_dict(progress=True, check_hash=True)
    except (URLError, OSError, RuntimeError) as error:
        raise UserError(
            f"weights={entry} could not be downloaded ({error}); fetch {entry.url} by other means and type "
            "weights=<that file>."
        ) from error
    return described_by(entry, state, preprocessing)


def require_classifier(entry: WeightsEnum) -> None:
    """Refuse a set that is meant for its features alone.

    Raises:
        UserError: naming the one that has a classifier.
    """
    if math.isnan(entry.meta["_metrics"]["ImageNet-1K"]["acc@1"]):
        raise UserError(
            f"weights={entry} has no classifier; allowed: {type(entry).__name__}.IMAGENET1K_V1, which has one."
        )


def described_by(entry: WeightsEnum, state: Mapping[str, Tensor], preprocessing: str | None) -> Weights:
    """`state` with what torchvision says of it; its figure holds for its own preprocessing only."""
    require_classifier(entry)
    transforms, metrics = entry.transforms(), entry.meta["_metrics"]["ImageNet-1K"]
    own = "inception" if isinstance(entry, GoogLeNet_Weights) else "torchvision"
    figure = {
        "method": "centre_crop",
        "scales": transforms.resize_size,
        "top1": round(100 - metrics["acc@1"], 3),
        "top5": round(100 - metrics["acc@5"], 3),
        "source": "torchvision",
    }
    figures = [figure] if preprocessing in (None, own) else []
    return Weights(str(entry), state, PREPROCESSINGS[preprocessing or own], entry.meta["categories"], figures)


def from_file(path: Path, net: ConvNet, preprocessing: str | None) -> Weights:
    """The weights in a file."""
    if path.suffix in READERS:
        layers = READERS[path.suffix](path)
        figures = published_figures().get(path.stem, []) if preprocessing in (None, "oxford") else []
        asked = PREPROCESSINGS[preprocessing or "oxford"]
        return Weights(path.name, named_as_torchvision(layers, net), asked, figures=figures)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGE as error:
        raise UserError(
            f"weights={path} cannot be read as a file of PyTorch weights ({reason(error)}); fetch it anew."
        ) from error
    if isinstance(content, Mapping) and content.keys() == Converted.__annotations__.keys():
        return of_converted(path, content, preprocessing)
    try:
        require_tensors(content)
    except (AttributeError, ValueError) as error:
        raise UserError(
            f"weights={path} is no state dict, or holds one beside other things; allowed: a file of parameters alone, "
            "under torchvision's names (torch.save(net.state_dict(), ...))."
        ) from error
    entry = torchvision_file(path.name)
    if entry:
        return described_by(entry, content, preprocessing)
    if not preprocessing:
        raise UserError(
            f"weights={path} does not say how its pixels were preprocessed; type preprocessing="
            f"{'|'.join(PREPROCESSINGS)} (torchvision: divided by a standard deviation; oxford: B, G, R; "
            "inception: from -1 to 1)."
        )
    return Weights(path.name, content, PREPROCESSINGS[preprocessing])


def of_converted(path: Path, content: Mapping[str, Any], preprocessing: str | None) -> Weights:
    """The weights in a file of `convert_weights`."""
    with naming_damaged(f"weights={path}", "convert the published file anew"):
        found = typed(Converted, content)
        require_tensors(found["state_dict"])
    own: dict[str, Any] = {**found["preprocessing"]}
    asked = PREPROCESSINGS[preprocessing] if preprocessing else own
    return Weights(found["name"], found["state_dict"], asked, figures=found["figures"] if asked == own else [])


def torchvision_file(name: str) -> WeightsEnum | None:
    """torchvision's entry whose download has this file name."""
    entries = (entry for model in TORCHVISION_NETS for entry in get_model_weights(model))
    return next((entry for entry in entries if entry.url.endswith(f"/{name}")), None)


@cache
def published_figures() -> dict[str, list[dict[str, Any]]]:
    """The figures known of released files, by the file's name without suffix."""
    return yaml.safe_load(files("vggsuite.models").joinpath("published.yaml").read_text())


def named_as_torchvision(layers: Layers, net: ConvNet) -> dict[str, Tensor]:
    """Weights and biases by the paper's layer names as a state dict; a layer that `net` lacks keeps its name."""
    names = module_names(net)
    state = {}
    for layer, (weight, bias) in layers.items():
        name = names.get(layer, layer)
        state[f"{name}.weight"], state[f"{name}.bias"] = weight, bias
    return state


def taking_rgb(weights: Weights, net: ConvNet) -> Weights:
    """The same function of an image, with weights of `net` that take R, G and B in that order."""
    first = f"{next(iter(module_names(net).values()))}.weight"
    if not weights.preprocessing.get("bgr") or first not in weights.state:  # of another net, which will be refused
        return weights
    kept = {name: value for name, value in weights.preprocessing.items() if name != "bgr"}
    return replace(weights, state={**weights.state, first: weights.state[first].flip(1)}, preprocessing=kept)
