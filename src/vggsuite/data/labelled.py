"""Images with their targets, and the splits by which a transfer is trained, chosen and tested."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from vggsuite.config import SplitsConfig
from vggsuite.data.layouts import ImageSet, digest, split_positions
from vggsuite.data.samples import Files, Samples
from vggsuite.data.skipping import LeftOut, kept, require_classes, require_filled
from vggsuite.errors import UserError

HEADER_READERS = 16  # threads: reading a header is waiting for the disk


class Split(NamedTuple):
    """Indices of the images to train on, of those among them that are held out while hyper-parameters are chosen, and
    of those to test on."""

    train: np.ndarray
    held_out: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class LabelledImages:
    """A data set for transfer. An image may be there several times, with a box for each person in it.

    Attributes:
        classes: their names, in order.
        samples: the images, with their labels where each has one.
        targets: int8 [N, classes]: 1 for a class that the image has, -1 for one that it has not, 0 where that does not
            count (VOC's "difficult").
        splits: one or several.
        boxes: int [N, 4] in pixels: left, top, right and bottom, the latter two not included.
        multi_label: whether an image may have several classes.
        left_out: the images that data.skip leaves out, None without it.
    """

    classes: list[str]
    samples: Samples
    targets: np.ndarray
    splits: list[Split]
    boxes: np.ndarray | None = None
    multi_label: bool = False
    left_out: LeftOut | None = None

    def fingerprint(self) -> str:
        """SHA-256 over the class names and every image's name, targets, box and size in bytes."""
        boxes = [""] * len(self.samples) if self.boxes is None else self.boxes.tolist()
        targets = (row.tobytes().hex() for row in self.targets)
        return digest(self.classes, *zip(self.samples.names(), targets, boxes, self.samples.num_bytes(), strict=True))

    def without(self, left_out: LeftOut) -> "LabelledImages":
        """The images less those that a report leaves out.

        Raises:
            UserError: where the report does not fit, and for a class that would have no image to learn or to test.
        """
        require_classes(self.classes, left_out)
        kept_ones = kept(self.samples.names(), left_out.everything(), left_out)
        place = np.full(len(self.samples), -1)
        place[kept_ones] = np.arange(len(kept_ones))
        splits = [Split(*(place[part][place[part] >= 0] for part in split)) for split in self.splits]
        boxes = None if self.boxes is None else self.boxes[kept_ones]
        found = replace(
            self,
            samples=self.samples.take(kept_ones),
            targets=self.targets[kept_ones],
            splits=splits,
            boxes=boxes,
            left_out=left_out,
        )
        for before, after in zip(self.splits, splits, strict=True):
            for name, old, new in zip(("train", "test"), before[::2], after[::2], strict=True):
                require_filled(self.classes_of(old), found.classes_of(new), self.classes, f"{name} image", left_out)
            if not len(after.held_out):
                raise UserError(f"data.skip={left_out.place} would leave no image held out; mend some, and check anew.")
        return found

    def classes_of(self, indices: np.ndarray) -> np.ndarray:
        """The classes that some of the images at `indices` have."""
        return np.flatnonzero((self.targets[indices] == 1).any(axis=0))

    def sizes(self) -> list[tuple[int, int]]:
        """Width and height of every image.

        Raises:
            UserError: naming an image that cannot be read, and a box that is not inside its image.
        """
        with ThreadPoolExecutor(HEADER_READERS) as pool:
            found = list(pool.map(self.samples.size, range(len(self.samples))))
        for index, (left, top, right, bottom) in enumerate([] if self.boxes is None else self.boxes.tolist()):
            width, height = found[index]
            if not (0 <= left < right <= width and 0 <= top < bottom <= height):
                raise UserError(
                    f"{self.samples.location(index)} has {width} x {height} pixels, and a box from ({left}, {top}) to "
                    f"({right}, {bottom}) that is not inside it; mend its annotation."
                )
        return found


def one_label(classes: list[str], samples: Samples, splits: list[Split]) -> LabelledImages:
    """Images that have one class each."""
    targets = np.where(np.arange(len(classes)) == samples.labels[:, None], 1, -1).astype(np.int8)
    return LabelledImages(classes, samples, targets, splits)


def randomly_split(classes: list[str], samples: Samples, splits: SplitsConfig, held_out: float) -> LabelledImages:
    """Images of one tree, split at random as often as `splits` says (Caltech's protocol, appendix B).

    Raises:
        UserError: for a class that has too few images.
    """
    assert splits.train_per_class is not None  # `find_labelled` has seen to it
    by_class = indices_by_class(samples.labels, len(classes))
    for name, own in zip(classes, by_class, strict=True):
        if len(own) <= splits.train_per_class:
            lower = f", or lower it (data.splits.train_per_class={len(own) - 1})" if len(own) > 1 else ""
            raise UserError(
                f"class {name} has {len(own)} images, and data.splits.train_per_class={splits.train_per_class} takes "
                f"that many to train on and the others to test on; add some{lower}."
            )
    last = splits.train_per_class + splits.test_per_class if splits.test_per_class is not None else None
    found = []
    for number in range(splits.number):
        rng = np.random.default_rng((splits.seed, number))
        drawn = [rng.permutation(own) for own in by_class]
        train = [own[: splits.train_per_class] for own in drawn]
        test = np.sort(np.concatenate([own[splits.train_per_class : last] for own in drawn]))
        found.append(make_split(train, test, samples.labels, splits, held_out))
    return one_label(classes, samples, found)


def as_published(images: ImageSet, splits: SplitsConfig, held_out: float) -> LabelledImages:
    """Images with a split of their own; where training images are left out, they are drawn anew for each split."""
    samples = joined(images.train, images.val)
    test = np.arange(len(images.train), len(samples))
    found = []
    for number in range(splits.number):
        rng = np.random.default_rng((splits.seed, number))
        own = indices_by_class(images.train.labels, len(images.classes))
        train = [rng.permutation(indices) for indices in own] if splits.keep_per_class else own
        found.append(make_split(train, test, samples.labels, splits, held_out))
    return one_label(images.classes, samples, found)


def make_split(
    train: Sequence[np.ndarray], test: np.ndarray, labels: np.ndarray, splits: SplitsConfig, held_out: float
) -> Split:
    """A split, of the training images of each class in the order in which they were drawn."""
    chosen = np.concatenate([own[: splits.keep_per_class] for own in train])
    return Split(chosen, chosen[split_positions(labels[chosen], held_out)], test)


def indices_by_class(labels: np.ndarray, num_classes: int) -> list[np.ndarray]:
    """The indices of the images of each class."""
    return [np.flatnonzero(labels == label) for label in range(num_classes)]


def joined(first: Samples, second: Samples) -> Samples:
    """The samples of both, one after the other.

    Raises:
        UserError: where they are not files of their own.
    """
    if not (isinstance(first.store, Files) and isinstance(second.store, Files)):
        raise UserError("data.root is a pack, which a transfer does not take; name the folder it was made from.")
    names = [*first.names(), *second.names()]
    return Samples.all_of(Files(first.store.root, names), np.concatenate([first.labels, second.labels]))
