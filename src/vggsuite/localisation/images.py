"""The images that box regressors are tested on, and the classes that are guessed of them."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vggsuite.config import DataConfig
from vggsuite.data.annotations import BoxesOfSplit, read_boxes
from vggsuite.data.boxes import Boxes
from vggsuite.data.config import BoxesConfig
from vggsuite.data.layouts import ImageSet, split_samples
from vggsuite.data.samples import Samples
from vggsuite.errors import UserError
from vggsuite.localisation.config import TestSplit
from vggsuite.results.predictions import load_posteriors, load_truth
from vggsuite.results.record import EVALUATION_FILE, as_member, read_evaluation

NUM_GUESSES = 5  # labels of an image, each with a box


@dataclass(frozen=True)
class BoxedImages:
    """Images of a data set that have boxes.

    Attributes:
        images: the data set.
        samples: those images.
        boxes: of the images of that split.
        counts: of what was left out.
        data: its settings.
        split: which images these are.
    """

    images: ImageSet
    samples: Samples
    boxes: Boxes
    counts: dict[str, int]
    data: DataConfig
    split: TestSplit

    @cached_property
    def sizes(self) -> list[tuple[int, int]]:
        """Width and height of every image."""
        return self.samples.sizes(range(len(self.samples)), "image sizes")

    @property
    def labels(self) -> np.ndarray:
        """The right classes, int64 [N]."""
        return self.samples.labels

    @cached_property
    def truth(self) -> np.ndarray:
        """The true boxes, float64 [N, M, 4]; not numbers where an image has fewer."""
        return self.boxes.padded(self.samples.entries)

    @cached_property
    def told(self) -> dict[str, Any]:
        """What a record says of them."""
        images, val = self.images, self.split == TestSplit.val
        return {
            "name": self.data.name,
            "fingerprint": images.fingerprint() if val else images.train_fingerprint(),
            "num_classes": len(self.images.classes),
            "split": str(self.split),
            "decoder": str(self.data.decoder),
            "boxes": self.boxes.fingerprint(),
            "counts": self.counts,
        }


def read_boxed(images: ImageSet, data: DataConfig, boxes: BoxesConfig, split: TestSplit) -> BoxedImages:
    """Those of the validation images, or of the training images held out, that have boxes; raises as `boxed_images`."""
    found = read_boxes(images, "val" if split == TestSplit.val else "train", boxes)
    return boxed_images(images, data, found, split)


def boxed_images(images: ImageSet, data: DataConfig, found: BoxesOfSplit, split: TestSplit) -> BoxedImages:
    """Those of the images of `split` for which boxes were `found`.

    Raises:
        UserError: where there are none.
    """
    samples = images.val if split == TestSplit.val else split_samples(images.train, data.held_out)[1]
    samples = samples.take(np.flatnonzero(found.boxes.counts(samples.entries)))
    if not len(samples):
        raise UserError(f"data.root={images.root} has no {split} image with a box; take another data set.")
    return BoxedImages(images, samples, found.boxes, found.counts, data, split)


class Guesses(NamedTuple):
    """What a classification system takes images for.

    Attributes:
        classes: int64 [N, K], the best first.
        told: what a record says of it.
    """

    classes: np.ndarray
    told: dict[str, str]

    @classmethod
    def none(cls, num_images: int) -> "Guesses":
        """Where boxes are tested given the class."""
        return cls(np.empty((num_images, 0), dtype=np.int64), {})


def guesses_of(folder: Path, boxed: BoxedImages) -> Guesses:
    """The five best classes of each image by the evaluation, or the fusion, in `folder`.

    Raises:
        UserError: where there is none, or it is of other images.
    """
    if not (folder / EVALUATION_FILE).is_file():
        raise UserError(
            f"labels={folder} holds no evaluation of a classification system; make one with: python src/evaluate.py "
            "... or python src/fuse.py ..., and type labels=<its folder>."
        )
    evaluation, names = read_evaluation(folder), boxed.images.val.names()
    if evaluation.data["fingerprint"] != boxed.images.fingerprint() or load_truth(folder).names.tolist() != names:
        raise UserError(f"labels={folder} is of other images than data={boxed.data.name}; evaluate those.")
    place = {entry: index for index, entry in enumerate(boxed.images.val.entries.tolist())}
    posteriors = load_posteriors(folder)[[place[entry] for entry in boxed.samples.entries.tolist()]]
    classes = np.argsort(-posteriors, axis=1, kind="stable")[:, :NUM_GUESSES].astype(np.int64)
    return Guesses(classes, as_member(evaluation) | {"guesses": hashlib.sha256(classes.tobytes()).hexdigest()})
