"""The class-score map of an image, laid over it: what dense evaluation gives for free."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from vggsuite.config import EvaluateConfig
from vggsuite.devices import check_devices, torch_devices
from vggsuite.errors import UserError
from vggsuite.evaluation.dense import score_map
from vggsuite.evaluation.inference import DTYPES, Posteriors, predict, prepare
from vggsuite.evaluation.run import Subject
from vggsuite.evaluation.settings import protocol_of
from vggsuite.evaluation.subject import make_subject
from vggsuite.figures.of_images import Picture, picture_of_file, pixels_at
from vggsuite.figures.style import save, styled
from vggsuite.naming import slug
from vggsuite.protocol import Protocol

NUM_NAMED = 5  # classes in a panel's title
INCHES = 5.0  # of a panel
TITLE = 0.9  # above it


def heatmap_of_file(config: EvaluateConfig) -> list[Path]:
    """Draw the class-score map of the image in the file `config.heatmap`, as evaluate.py does; see `draw_heatmap`."""
    with styled():
        return save(*draw_heatmap(config, picture_of_file(Path(str(config.heatmap)))))


def draw_heatmap(config: EvaluateConfig, picture: Picture) -> tuple[Figure, Path]:
    """The class-score map of an image at every Q of the protocol that `config` names, a dense one, and where it is to
    lie in the folder of the net, without an ending.

    Raises:
        UserError: for a class that the net does not know.
    """
    subject, protocol = make_subject(config), protocol_of(config)
    check_devices(config.trainer)
    device = torch_devices(config.trainer)[0]
    prepare(subject.net, Posteriors(protocol), device)
    subject.preprocessing.to(device)
    figure = Figure(figsize=(INCHES * len(protocol.scales), INCHES + TITLE))
    for axes, side in zip(figure.subplots(1, len(protocol.scales), squeeze=False)[0], protocol.scales, strict=True):
        at_side = replace(protocol, scales=(side,))
        draw_panel(axes, subject, pixels_at(picture.image, side).to(device), at_side, config.heatmap_class)
    of_class = f"-{slug(config.heatmap_class)}" if config.heatmap_class else ""
    return figure, subject.folder / "heatmaps" / f"{slug(picture.name)}-{protocol.name}{of_class}"


@torch.inference_mode()
def draw_panel(axes: Axes, subject: Subject, pixels: Tensor, protocol: Protocol, class_name: str | None) -> None:
    """Lay the score map of one class, the predicted one if none is named, over an image, uint8 [1, 3, H, W], at its Q.

    A point of the map is drawn where the middle is of what it sees, a crop or, of a net that averages its maps, a
    place's receptive field; the rim that no middle reaches stays bare. The map is the image's own, the posteriors above
    it are `protocol`'s, with the mirror image's.
    """
    net = subject.net
    alone = torch.zeros(1, dtype=torch.int64)
    posteriors = predict(net, subject.preprocessing, Posteriors(protocol), pixels, alone)[0].cpu()
    names = subject.classes or [f"class {index}" for index in range(len(posteriors))]
    shown = index_of(class_name, names) if class_name else int(posteriors.argmax())
    images = subject.preprocessing(pixels).to(DTYPES[protocol.precision])
    scores = score_map(net, images)[0, shown].float().cpu()
    first = net.first_centre - net.stride / 2  # left edge of the first point's cell
    right, bottom = (first + count * net.stride for count in reversed(scores.shape))
    extent = (first, right, bottom, first)
    side, across = pixels.shape[2:]
    axes.imshow(pixels[0].permute(1, 2, 0).cpu(), extent=(0, across, side, 0))
    overlay = axes.imshow(scores, extent=extent, alpha=0.55, cmap="inferno", interpolation="bilinear")
    axes.set(xlim=(0, across), ylim=(side, 0), xticks=[], yticks=[])
    height, width = scores.shape
    values, indices = posteriors.topk(min(NUM_NAMED, len(names)))
    best = zip(values.tolist(), indices.tolist(), strict=True)
    ranking = "\n".join(f"{100 * value:5.1f}%  {names[index]}" for value, index in best)
    axes.set_title(f"Q = {min(side, across)}: {height}x{width} scores of {names[shown]}\n{ranking}")
    axes.figure.colorbar(overlay, ax=axes, shrink=0.8, label="class score")


def index_of(class_name: str, names: Sequence[str]) -> int:
    """The output of a class.

    Raises:
        UserError: for a class that is not among them.
    """
    if class_name not in names:
        some = ", ".join(names[:10])
        raise UserError(
            f"heatmap_class={class_name} is none of the {len(names)} classes; allowed: {some}"
            f"{', ...' if len(names) > 10 else ''}."
        )
    return names.index(class_name)
