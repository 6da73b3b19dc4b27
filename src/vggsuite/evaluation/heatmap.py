"""The class-score map of an image, laid over it: what dense evaluation gives for free."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from vggsuite.config import EvaluateConfig
from vggsuite.data.datasets import channels_first
from vggsuite.data.images import read_image
from vggsuite.data.views import rescaled
from vggsuite.errors import UserError
from vggsuite.evaluation.dense import score_map
from vggsuite.evaluation.inference import DTYPES, predict, prepare
from vggsuite.evaluation.run import Subject
from vggsuite.evaluation.subject import make_subject
from vggsuite.protocol import Method, Protocol

NUM_NAMED = 5  # classes in a panel's title
INCHES = 5.0  # of a panel


def draw_heatmap(config: EvaluateConfig, protocol: Protocol) -> Path:
    """Draw the class-score map of `config.heatmap` at every Q of `protocol`, and return the PNG's path.

    Raises:
        UserError: for an image that cannot be read, and a class that the net does not know.
    """
    if protocol.method != Method.dense:
        raise UserError(
            f"heatmap needs a map of scores, which protocol={protocol.method} has not; type protocol=dense."
        )
    image = read_image(str(config.heatmap))
    subject = make_subject(config)
    prepare(subject.net, protocol, torch.device("cpu"))
    figure = Figure(figsize=(INCHES * len(protocol.scales), INCHES), layout="constrained")
    for axes, side in zip(figure.subplots(1, len(protocol.scales), squeeze=False)[0], protocol.scales, strict=True):
        at_side = replace(protocol, scales=(side,))
        draw_panel(axes, subject, rescaled(image, side), at_side, config.heatmap_class)
    file = subject.folder / "heatmaps" / f"{Path(str(config.heatmap)).stem}-{protocol.name}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)
    return file


def draw_panel(axes: Axes, subject: Subject, pixels: np.ndarray, protocol: Protocol, class_name: str | None) -> None:
    """Lay the score map of one class, the predicted one if none is named, over an image [H, W, 3] at its Q.

    A point of the map is drawn where the middle of its crop is; the rim that no middle reaches stays bare.
    """
    net, batch = subject.net, channels_first(pixels)[None]
    posteriors = predict(net, subject.preprocessing, protocol, batch)[0]
    names = subject.classes or [f"class {index}" for index in range(len(posteriors))]
    shown = index_of(class_name, names) if class_name else int(posteriors.argmax())
    scores = mean_score_map(subject, batch, protocol)[shown]
    first = (net.map_side - 1) * net.stride / 2  # left edge of the first point's cell
    right, bottom = (first + count * net.stride for count in reversed(scores.shape))
    extent = (first, right, bottom, first)
    axes.imshow(pixels, extent=(0, pixels.shape[1], pixels.shape[0], 0))
    overlay = axes.imshow(scores, extent=extent, alpha=0.55, cmap="inferno", interpolation="bilinear")
    axes.set(xlim=(0, pixels.shape[1]), ylim=(pixels.shape[0], 0), xticks=[], yticks=[])
    height, width = scores.shape
    values, indices = posteriors.topk(min(NUM_NAMED, len(names)))
    best = zip(values.tolist(), indices.tolist(), strict=True)
    ranking = "\n".join(f"{100 * value:5.1f}%  {names[index]}" for value, index in best)
    axes.set_title(f"Q = {min(pixels.shape[:2])}: {height}x{width} scores of {names[shown]}\n{ranking}")
    axes.figure.colorbar(overlay, ax=axes, shrink=0.8, label="class score")


@torch.inference_mode()
def mean_score_map(subject: Subject, batch: Tensor, protocol: Protocol) -> Tensor:
    """Class scores [classes, h, w] of one image, uint8 [1, 3, H, W], averaged with its mirror image's if asked for."""
    images = subject.preprocessing(batch).to(DTYPES[protocol.precision])
    scores = score_map(subject.net, images)
    if protocol.flip:
        scores = (scores + score_map(subject.net, images.flip(-1)).flip(-1)) / 2
    return scores[0].float()


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
