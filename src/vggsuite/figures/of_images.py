"""Figures of one image: what each layer makes of it, and what training sees of it."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor, fx, nn
from torch.nn import functional as F

from vggsuite.anatomy.layers import WholeLayers
from vggsuite.anatomy.report import shape_text
from vggsuite.config import EvaluateConfig
from vggsuite.data import views
from vggsuite.data.find import find_images
from vggsuite.data.images import decode, naming_unreadable, read_image
from vggsuite.data.pictures import by_pillow
from vggsuite.data.scale import parse_scale
from vggsuite.errors import UserError
from vggsuite.evaluation.run import Subject
from vggsuite.models.net import ConvNet
from vggsuite.models.state import module_names

INCHES = 1.1  # of a small picture
MANY_LAYERS = 20  # which a page can still show
MOST_CANDIDATES = 5  # that an ambiguous name is told to be of


class Picture(NamedTuple):
    """An image, and what a person calls it: a test image's path below its data set's root, a file's name and folder."""

    name: str
    image: Image.Image


def picture_of_file(file: Path) -> Picture:
    """The image in a file; raises a UserError where it is none."""
    file = file.expanduser().absolute()
    return Picture(f"{file.parent.name}/{file.name}", read_image(file))


def find_picture(config: EvaluateConfig, asked: object) -> Picture:
    """The image that is asked for: a file, a test image's name, or its number.

    Raises:
        UserError: for what is none, and for the name of several.
    """
    if isinstance(asked, str) and Path(asked).expanduser().is_file():
        return picture_of_file(Path(asked))
    samples = find_images(config.data, val_only=True).val
    if isinstance(asked, int) and not isinstance(asked, bool):
        found = [asked] if 0 <= asked < len(samples) else []
    else:
        found = indices_of(str(asked), samples.names())
    if not found:
        raise UserError(
            f"image={asked} is neither a file nor a test image of data={config.data.name}; allowed: a file, a test "
            f"image's name, or its number, 0 to {len(samples) - 1} (image=0)."
        )
    if len(found) > 1:
        some = ", ".join(f"image={samples.name(index)}" for index in found[:MOST_CANDIDATES])
        more = ", ..." if len(found) > MOST_CANDIDATES else ""
        raise UserError(f"image={asked} is the name of {len(found)} test images; allowed: {some}{more}.")
    (index,) = found
    with naming_unreadable(samples.location(index)), samples.open(index) as file:
        return Picture(samples.name(index), decode(file))


def indices_of(asked: str, names: Sequence[str]) -> list[int]:
    """Which of the paths `names` are meant by the end of one, with or without the file's ending: `cat/1.png`, `1`. What
    is meant by a whole path, or else with the ending, is meant by nothing less."""
    parts = PurePath(asked).parts
    whole, ending, short = list[int](), list[int](), list[int]()
    for index, path in enumerate(map(PurePath, names)):
        last = path.parts[-len(parts) :]
        if path.parts == parts:
            whole.append(index)
        elif last == parts:
            ending.append(index)
        elif (*last[:-1], path.stem) == parts:
            short.append(index)
    return whole or ending or short


def pixels_at(image: Image.Image, side: int) -> Tensor:
    """A whole image at smallest side `side`: uint8 [1, 3, H, W]."""
    return torch.tensor(by_pillow(image, views.whole_view(*image.size, side)))[None].permute(0, 3, 1, 2)


@torch.inference_mode()
def draw_feature_maps(subject: Subject, picture: Picture, side: int, number: int) -> Figure:
    """The strongest maps of the layers of `feature_maps`, of an image at test scale `side`: those of the largest mean,
    `number` of each layer, each brightest where it is largest."""
    maps = feature_maps(subject, pixels_at(picture.image, side))
    figure = Figure(figsize=(INCHES * (number + 1), INCHES * len(maps) + 0.5))
    panels = figure.subplots(len(maps), number + 1, squeeze=False)
    for row, (name, values) in zip(panels, maps.items(), strict=True):
        strongest = values.mean(dim=(1, 2)).topk(min(number, len(values))).indices.tolist()
        blank(row)
        row[0].text(1, 0.5, f"{name}\n{shape_text(values.shape)}", ha="right", va="center", transform=row[0].transAxes)
        for axes, channel in zip(row[1:], strongest, strict=False):
            axes.imshow(values[channel], cmap="magma")
            axes.set_title(f"{channel}", fontsize=6, pad=1)
    figure.suptitle(f"{subject.name}: {picture.name} at Q = {side}, the {number} strongest maps of a layer")
    return figure


def feature_maps(subject: Subject, pixels: Tensor) -> dict[str, Tensor]:
    """What the convolutions make of pixels, uint8 [1, 3, H, W], after their activations: float32 [C, H, W] by the names
    of the layers; of a net of many layers the last one of each size of map."""
    tracer = ActivationTracer(Maps(subject.net.eval()))
    tracer.run(subject.preprocessing(pixels))
    if len(tracer.found) <= MANY_LAYERS:
        return tracer.found
    return dict({maps.shape[1:]: (name, maps) for name, maps in tracer.found.items()}.values())


class Maps(nn.Module):
    """A net up to its last maps, for images of any size."""

    def __init__(self, net: ConvNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        return self.net.maps(images)


class ActivationTracer(fx.Interpreter):
    """Makes a net's maps operation by operation, and keeps what each activation makes.

    Attributes:
        found: the maps [C, H, W] of the last image by the name of the convolution before.
    """

    def __init__(self, maps: Maps) -> None:
        super().__init__(fx.GraphModule(maps, WholeLayers().trace(maps)))
        self.names = {f"net.{path}": name for name, path in module_names(maps.net).items()}
        self.found: dict[str, Tensor] = {}
        self.name = ""

    def run_node(self, n: fx.Node) -> Any:
        made = super().run_node(n)
        module = self.fetch_attr(str(n.target)) if n.op == "call_module" else n.target
        if isinstance(module, nn.Conv2d) and "downsample" not in str(n.target):  # a shortcut's, which is not the layer
            self.name = self.names[str(n.target)]
        is_activation = isinstance(module, nn.ReLU | nn.LeakyReLU | nn.PReLU) or module is F.relu
        if is_activation and made.ndim == 4:
            self.found[self.name] = made[0].clone()
        return made


def draw_views(config: EvaluateConfig, picture: Picture, number: int) -> Figure:
    """What training sees of an image: `number` random views at each S of the paper, with the colours shifted."""
    crop, scales = config.data.crop, ("single", "single_384", "multi")
    figure = Figure(figsize=(INCHES * (number + 1), INCHES * len(scales) + 0.5))
    panels = figure.subplots(len(scales), number + 1, squeeze=False)
    for row, word in zip(panels, scales, strict=True):
        scale = parse_scale(word, crop)
        told = f"S = {scale.low}" if scale.low == scale.high else f"S in\n[{scale.low}, {scale.high}]"
        blank(row)
        row[0].text(1, 0.5, told, ha="right", va="center", transform=row[0].transAxes)
        draw = partial(views.random_view, *picture.image.size, scale=scale, crop=crop, flip=config.data.flip)
        for place, axes in enumerate(row[1:]):
            rng = np.random.default_rng((config.seed, place))
            colours = views.colour_shifts(rng.standard_normal((1, 3)), config.data.colour_std)
            seen = by_pillow(picture.image, draw(np.random.default_rng((config.seed, place, 1)))) + colours
            axes.imshow(seen.clip(0, 255).astype(np.uint8))
    width, height = picture.image.size
    figure.suptitle(f"{picture.name} ({width} x {height}) as training sees it: crops of {crop} pixels")
    return figure


def blank(panels: "np.ndarray[tuple[int], np.dtype[np.object_]]") -> None:
    """Leave panels to what is drawn in them."""
    for axes in panels:
        assert isinstance(axes, Axes)
        axes.set_axis_off()
