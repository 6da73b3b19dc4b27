"""One evaluation as a few lines for the terminal."""

from collections.abc import Mapping
from typing import Any

from vggsuite.protocol import Method, Protocol, default_flip
from vggsuite.results.localisation_records import Localisation
from vggsuite.results.record import Evaluation, Transfer

IMAGENET_VAL = 50_000  # images


def summary(evaluation: Evaluation) -> str:
    """The errors with their intervals, and beside them the published figures of the same weights."""
    metrics = evaluation.metrics
    lines = [f"{evaluation.name}: {metrics['num_images']} images of {evaluation.data['name']}"]
    for k in (1, 5):
        low, high = metrics[f"top{k}_interval"]
        lines.append(
            f"  top-{k} error {metrics[f'top{k}_error']:6.2f}%   {metrics['confidence']:.0%} interval "
            f"[{low:.2f}, {high:.2f}]"
        )
    for figure in evaluation.published:
        told = "" if comparable(evaluation, figure) else " [another protocol, or other images]"
        lines.append(f"  published: {figure_text(figure)}{told}")
    if evaluation.published and not any(comparable(evaluation, figure) for figure in evaluation.published):
        lines.append(
            f"  warning: no published figure is comparable with {protocol_text(evaluation.protocol)} on "
            f"{metrics['num_images']} images of {evaluation.data['name']}."
        )
    return "\n".join(lines)


def transfer_summary(transfer: Transfer) -> str:
    """The score over the splits, with its spread."""
    metrics, count = transfer.metrics, len(transfer.splits)
    if metrics["sd"] is not None:
        spread = f"+- {metrics['sd']:.2f} over {count} splits"
    else:
        low, high = metrics["interval"]
        spread = f"{metrics['confidence']:.0%} interval [{low:.2f}, {high:.2f}]"
    images = ", ".join(f"{transfer.splits[0][f'num_{part}']} {part}" for part in ("train", "test"))
    metric = transfer.metric.replace("_", " ")
    return f"{transfer.name}: {metric} {metrics['mean']:.2f}%  {spread}  (images of a split: {images})"


def localisation_summary(test: Localisation) -> str:
    """The errors with their intervals, beside those of a box that is always the mean one."""
    metrics = test.metrics
    lines = [f"{test.name}: {metrics['num_images']} images of {test.data['name']} with boxes"]
    names = {"top1": "top-1 error", "top5": "top-5 error", "gt_class": "error given the class"}
    for key, name in names.items():
        if {f"{key}_error", f"{key}_interval", f"mean_box_{key}_error"} <= metrics.keys():
            low, high = metrics[f"{key}_interval"]
            lines.append(
                f"  {name:<21} {metrics[f'{key}_error']:6.2f}%   {metrics['confidence']:.0%} interval [{low:.2f}, "
                f"{high:.2f}]   of the mean box {metrics[f'mean_box_{key}_error']:.2f}%"
            )
    return "\n".join(lines)


def figure_text(figure: Mapping[str, Any]) -> str:
    """A published figure, its protocol and its source."""
    errors = [f"top-{k} error {figure[f'top{k}']:.2f}%" for k in (1, 5) if f"top{k}" in figure]
    return f"{', '.join(errors)} by {protocol_text(figure)} ({figure['source']})"


def protocol_text(protocol: Mapping[str, Any]) -> str:
    """Method and scales, as "dense at Q = 256, 384, 512"."""
    return f"{protocol['method']} at Q = {', '.join(map(str, protocol['scales']))}"


def comparable(evaluation: Evaluation, figure: Mapping[str, Any]) -> bool:
    """Whether a published figure was measured on the same images by the same protocol."""
    method = Method(figure["method"])
    theirs = Protocol(method, tuple(figure["scales"]), flip=default_flip(method, trained=True))
    same_images = evaluation.data["name"] == "imagenet" and evaluation.metrics["num_images"] == IMAGENET_VAL
    return same_images and Protocol.of(evaluation.protocol) == theirs
