"""Figures of what a net said of test images: the confusion matrix, and the most confident mistakes."""

import csv
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from vggsuite.data.images import decode, naming_unreadable
from vggsuite.data.layouts import ImageSet
from vggsuite.errors import UserError
from vggsuite.evaluation.run import CONFUSION_FILE
from vggsuite.figures.of_images import blank
from vggsuite.files import naming_damaged
from vggsuite.protocol import Protocol
from vggsuite.results.predictions import PREDICTIONS_FILE, REMEDY, load_posteriors, load_ranks, load_truth
from vggsuite.results.record import evaluation_folder, read_evaluation

MOST_NAMED = 30  # classes whose names and counts can be read
MISTAKES = 24  # that are drawn, unless another number is asked for
COLUMNS = 6
INCHES = 1.5  # of a mistake
THUMBNAIL = (256, 256)  # pixels at most, which an SVG holds


def require_evaluation(folder: Path, protocol: Protocol) -> Path:
    """The folder of the evaluation of the run in `folder` by `protocol`.

    Raises:
        UserError: where it has not been made.
    """
    place = evaluation_folder(folder, protocol)
    if not (place / PREDICTIONS_FILE).is_file():
        scales = f"[{','.join(map(str, protocol.scales))}]"
        raise UserError(
            f"{place} is not there: make it first with: python src/evaluate.py run={folder} "
            f"protocol={protocol.method} scales={scales}"
        )
    return place


def draw_confusion(place: Path) -> Figure:
    """The confusion matrix of the evaluation in `place`: of the images of each class, a row, the share that was taken
    for each class, a column."""
    truth, matrix = load_truth(place), load_confusion(place)
    count = len(truth.classes)
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    named = count <= MOST_NAMED
    side = 2 + 0.32 * count if named else 8.0
    figure = Figure(figsize=(side + 0.8, side))
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, shrink=0.7, label="share of the class's images")
    if named:
        ticks = range(count)
        axes.set_xticks(ticks, truth.classes, rotation=90)
        axes.set_yticks(ticks, truth.classes)
        for row, column in zip(*np.nonzero(matrix), strict=True):
            colour = "white" if shares[row, column] > 0.6 else "black"
            axes.text(column, row, matrix[row, column], ha="center", va="center", fontsize=7, color=colour)
    evaluation = read_evaluation(place)
    axes.set(xlabel="taken for", ylabel="is")
    axes.set_title(
        f"{evaluation.name}\n{len(truth.labels)} images, top-1 error {evaluation.metrics['top1_error']:.2f}%"
    )
    return figure


def load_confusion(place: Path) -> np.ndarray:
    """The confusion matrix of the evaluation in `place`, int [classes, classes].

    Raises:
        UserError: where it is missing or damaged.
    """
    file = place / CONFUSION_FILE
    with naming_damaged(file, REMEDY), file.open(newline="", encoding="utf-8") as stream:
        _, *rows = csv.reader(stream)
        matrix = np.array([row[1:] for row in rows], int)
        if matrix.ndim != 2 or len(set(matrix.shape)) != 1:
            raise ValueError(f"it is of shape {matrix.shape}")
        return matrix


def draw_mistakes(images: ImageSet, place: Path, number: int = MISTAKES) -> Figure:
    """The images that the evaluation in `place` was wrong about and surest of, as a contact sheet.

    Args:
        images: that it was of.
        place: its folder.
        number: how many at most.

    Raises:
        UserError: where there was no mistake.
    """
    truth, posteriors = load_truth(place), load_posteriors(place)
    wrong = np.flatnonzero(load_ranks(place))  # what was saved of posteriors is rounded, and may be a tie
    if not len(wrong):
        raise UserError(f"{place} has no mistakes to draw: all {len(posteriors)} images are right; name another run.")
    posteriors[wrong, truth.labels[wrong]] = -1
    said = posteriors.argmax(1)
    surest = wrong[np.argsort(-posteriors[wrong, said[wrong]], kind="stable")][:number]
    columns = min(COLUMNS, len(surest))
    rows = -(-len(surest) // columns)
    figure = Figure(figsize=(INCHES * columns, (INCHES + 0.45) * rows + 0.5))
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    blank(panels)
    for axes, index in zip(panels, surest, strict=False):
        with naming_unreadable(images.val.location(index)), images.val.open(index) as file:
            image = decode(file)
        image.thumbnail(THUMBNAIL)
        axes.imshow(image)
        of_label = truth.classes[truth.labels[index]]
        told = f"{truth.classes[said[index]]} {posteriors[index, said[index]]:.0%}\nis {of_label}"
        axes.set_title(f"{told}\n{Path(truth.names[index]).name}", fontsize=6)
    figure.suptitle(
        f"{read_evaluation(place).name}: the surest of {len(wrong)} mistakes among {len(posteriors)} images"
    )
    return figure
