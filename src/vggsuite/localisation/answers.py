"""From the candidates of an image to one box for each class, merged, then rated (appendix A); and what a test
leaves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from vggsuite.files import save_arrays
from vggsuite.localisation.candidates import Candidates
from vggsuite.localisation.images import BoxedImages
from vggsuite.localisation.merging import Merged, merge
from vggsuite.localisation.metrics import box_errors, largest_overlaps, wrong_images
from vggsuite.results.localisation_records import BOXES_FILE, load_boxes

# Of `Answers`, as `load_arrays` has it.
LAYOUT = {
    "names": "UN",
    "labels": "iN",
    "truth": "fNM4",
    "classes": "iNK",
    "edges": "fNK4",
    "overlaps": "fNK",
    "mean_overlaps": "fN",
}


@dataclass(frozen=True)
class Answers:
    """What was said of N images.

    Attributes:
        names: of the images, str [N].
        labels: the right classes, int64 [N].
        truth: the true boxes, float64 [N, M, 4]; not numbers where an image has fewer.
        classes: of which boxes were sought, int64 [N, K], the last the right one; those before it are the guesses.
        edges: their boxes, float64 [N, K, 4], in pixels of the image.
        overlaps: of each box the largest with a true one, float64 [N, K].
        mean_overlaps: the same of the mean box, float64 [N].
    """

    names: np.ndarray
    labels: np.ndarray
    truth: np.ndarray
    classes: np.ndarray
    edges: np.ndarray
    overlaps: np.ndarray
    mean_overlaps: np.ndarray

    @classmethod
    def of(cls, boxed: BoxedImages, classes: np.ndarray, edges: np.ndarray, mean_boxes: np.ndarray) -> "Answers":
        """From the boxes of images, and the mean box at its place in each, [N, 4]."""
        return cls(
            names=np.array(boxed.samples.names()),
            labels=boxed.labels,
            truth=boxed.truth,
            classes=classes,
            edges=edges,
            overlaps=largest_overlaps(edges, boxed.truth),
            mean_overlaps=largest_overlaps(mean_boxes[:, None], boxed.truth)[:, 0],
        )


def answered(before: Answers, candidates: Sequence[Candidates], merging: Mapping[str, Any]) -> Answers:
    """What other candidates say of the same images and classes."""
    edges = answers(candidates, merging)
    return replace(before, edges=edges, overlaps=largest_overlaps(edges, before.truth))


def load_answers(folder: Path) -> Answers:
    """What `save_answers` wrote into `folder`.

    Raises:
        UserError: where it is missing or damaged.
    """
    return Answers(**load_boxes(folder, LAYOUT))


def save_answers(found: Answers, folder: Path) -> None:
    """Write `boxes.npz` into `folder`, complete or not at all; with the answers, whether each image is wrong."""
    save_arrays(folder / BOXES_FILE, **vars(found), **{f"wrong_{name}": of for name, of in wrong_of(found).items()})


def wrong_of(found: Answers) -> dict[str, np.ndarray]:
    """Whether each image is wrong, bool [N], under the names of the errors: of the boxes, and of the mean box in their
    stead."""
    classes, labels = found.classes, found.labels
    wrong = wrong_images(classes, found.overlaps, labels)
    mean = wrong_images(classes, np.repeat(found.mean_overlaps[:, None], classes.shape[1], axis=1), labels)
    return wrong | {f"mean_box_{name}": of_images for name, of_images in mean.items()}


def metrics_of(found: Answers) -> dict[str, Any]:
    """The errors of the boxes, and of the mean box."""
    return box_errors(wrong_of(found))


def merged_boxes(candidates: Candidates, which: int, merging: Mapping[str, Any]) -> Merged:
    """The merged boxes of one of the classes; `merging` are keywords of `merge`."""
    return merge(candidates.edges[:, which], candidates.scores[:, which], **merging)


def best_box(merged: Merged) -> np.ndarray:
    """The edges [4] of the merged box of the highest score."""
    best: np.ndarray = merged.edges[merged.scores.argmax()]
    return best


def answers(candidates: Sequence[Candidates], merging: Mapping[str, Any]) -> np.ndarray:
    """The box of each class of each image: float64 [N, K, 4]."""
    return np.array(
        [
            [best_box(merged_boxes(own, which, merging)) for which in range(own.scores.shape[1])]
            for own in tqdm(candidates, desc="merging boxes", unit="image", disable=None)
        ]
    )
