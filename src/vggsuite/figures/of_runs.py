"""Figures of a run: its first layer, and how its error and its learning rate went."""

from math import inf, isfinite
from pathlib import Path

import torch
from matplotlib.figure import Figure

from vggsuite.errors import UserError
from vggsuite.figures.of_images import blank
from vggsuite.models.net import ConvNet
from vggsuite.results.run_folder import METRICS_FILE, logged

COLUMNS = 16
INCHES = 0.55  # of a filter


def draw_filters(net: ConvNet, name: str, *, bgr: bool = False) -> Figure:
    """The filters of the first convolution, in the colours that they answer to, each stretched to its own range.

    Args:
        net: whose.
        name: what a person calls it.
        bgr: whether it takes blue first.
    """
    (layer_name, layer), *_ = net.named_weight_layers()
    filters = layer.weight.detach().float().cpu()
    if bgr:
        filters = filters.flip(1)
    low, high = filters.amin((1, 2, 3), keepdim=True), filters.amax((1, 2, 3), keepdim=True)
    shown = ((filters - low) / (high - low).clamp_min(torch.finfo().tiny)).permute(0, 2, 3, 1)
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(INCHES * columns, INCHES * rows + 0.4))
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    blank(panels)
    for axes, pixels in zip(panels, shown, strict=False):
        axes.imshow(pixels)
    side = filters.shape[-1]
    figure.suptitle(f"{name}: {layer_name}, {len(shown)} filters of {side}x{side}, each stretched to its own range")
    return figure


def draw_learning_rate(folder: Path, name: str) -> Figure:
    """The held-out error of each epoch of the run in `folder`, and the learning rate that followed it (section 3.1).

    Raises:
        UserError: for a run that did not log its learning rate.
    """
    errors, rates = logged(folder, "val/top1_error"), logged(folder, "train/lr")
    if not rates or not errors:
        raise UserError(
            f"run={folder} has no learning rate in its {METRICS_FILE}, as runs of older versions; repeat it with "
            "rerun=true, or name another."
        )
    figure = Figure(figsize=(6, 4.5))
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    above.plot(*zip(*errors, strict=True), marker="o", markersize=3)
    best = min(errors, key=lambda each: each[1] if isfinite(each[1]) else inf)
    above.plot(*best, marker="o", markersize=8, fillstyle="none", color="C1", linestyle="none")
    above.annotate(f"best: {best[1]:.2f}", best, xytext=(6, 8), textcoords="offset points", color="C1")
    above.set(ylabel="held-out top-1 error, %")
    below.step(*zip(*rates, strict=True), where="pre", color="C2")
    below.set(yscale="log", xlabel="epoch", ylabel="learning rate")
    for axes in (above, below):
        axes.grid(True)
    figure.suptitle(f"{name}: the learning rate falls when the held-out error no longer does")
    return figure
