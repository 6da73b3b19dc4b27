"""Where the images of a data set are, and which class each belongs to: the folder layouts that people have."""

import csv
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import NamedTuple

import numpy as np

from vggsuite.data.samples import NO_IMAGES, Files, Samples
from vggsuite.data.skipping import LeftOut
from vggsuite.data.trees import Tree, class_names, files_below, read_tree, require_folder, require_sound
from vggsuite.errors import UserError

KAGGLE_IMAGES = Path("Data/CLS-LOC")
KAGGLE_VAL_LABELS = "LOC_val_solution.csv"
TAR_FILES = ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar")


@dataclass(frozen=True)
class ImageSet:
    """A data set for classification: class names in order, and its two published splits (`train` is empty where only
    the validation images were asked for).

    Attributes:
        re_encoded: of training images that a pack holds rescaled, the smallest side and the JPEG quality.
        left_out: the images that data.skip leaves out, None without it.
    """

    root: Path
    classes: list[str]
    train: Samples
    val: Samples
    re_encoded: dict[str, int] | None = None
    left_out: LeftOut | None = None

    def fingerprint(self) -> str:
        """SHA-256 over the class names and every validation image's name, label and size in bytes: what a figure on
        the validation images depends on, the net aside."""
        return digest(self.classes, *zip(self.val.names(), self.val.labels, self.val.num_bytes(), strict=True))

    def train_fingerprint(self) -> str:
        """SHA-256 over the class names and every training image's name and label."""
        return digest(self.classes, *zip(self.train.names(), self.train.labels, strict=True))


def digest(*rows: Iterable[object]) -> str:
    """SHA-256 over rows of fields."""
    return hashlib.sha256("\n".join("\0".join(map(str, row)) for row in rows).encode()).hexdigest()


class Trees(NamedTuple):
    """The images of both splits as they lie, whatever is wrong with them; `train` is None where only the validation
    images were asked for."""

    train: Tree | None
    val: Tree

    def checked(self, root: Path) -> ImageSet:
        """The data set below `root` that they are.

        Raises:
            UserError: where a class is empty, or train and val differ in their classes.
        """
        for tree in (each for each in self if each is not None):
            require_sound(tree)
        if self.train is None:
            return ImageSet(root, self.val.classes, NO_IMAGES, self.val.samples)
        if self.train.classes != self.val.classes:
            odd = sorted(set(self.train.classes) ^ set(self.val.classes))
            raise UserError(
                f"{self.train.folder} and {self.val.folder} differ in their classes ({', '.join(odd[:5])}"
                f"{', ...' if len(odd) > 5 else ''} in one only); both need the same class folders."
            )
        return ImageSet(root, self.train.classes, self.train.samples, self.val.samples)


def class_folders(root: Path, val_fraction: float, *, val_only: bool = False) -> ImageSet:
    """`train/<class>/*` and `val/<class>/*` below `root`, or one tree `<class>/*` of which the last `val_fraction` of
    every class's sorted files is the validation split. With `val_only`, `val/` is enough.

    Raises:
        UserError: where nothing is found, a class is empty, or train and val differ in their classes.
    """
    images = folder_trees(root, val_fraction, val_only=val_only).checked(root)
    if not len(images.val):
        raise UserError(f"data.root={root} has too few images for data.val_fraction={val_fraction}; raise it.")
    return images


def folder_trees(root: Path, val_fraction: float, *, val_only: bool = False) -> Trees:
    """What lies in the layouts of `class_folders`.

    Raises:
        UserError: where nothing is found.
    """
    require_folder(root)
    if val_only and (root / "val").is_dir():
        return Trees(None, read_tree(root, "val"))
    if (root / "train").is_dir() and (root / "val").is_dir():
        return Trees(read_tree(root, "train"), read_tree(root, "val"))
    for split in ("train", "val"):
        if (root / split).is_dir():
            other = "val" if split == "train" else "train"
            raise UserError(
                f"data.root={root} has {split}/ but no {other}/; allowed: both, or one tree of class folders."
            )
    if not 0 < val_fraction < 1:
        raise UserError(
            f"data.root={root} has no train/ and val/, so data.val_fraction={val_fraction} of its images are to be "
            "the validation split; allowed: a number between 0 and 1 (data.val_fraction=0.2)."
        )
    tree = read_tree(root, ".")
    train, val = split_samples(tree.samples, val_fraction)
    return Trees(replace(tree, samples=train), replace(tree, samples=val))


def imagenet(root: Path, *, val_only: bool = False) -> ImageSet:
    """ILSVRC-2012 below `root`: class folders for train and val, or the Kaggle layout (`Data/CLS-LOC` with flat val
    and `LOC_val_solution.csv`, also inside `ILSVRC/`). Classes are in the standard order, that of their WordNet ids.
    With `val_only`, the validation part of either is enough.

    Raises:
        UserError: as `class_folders`, and where only the original tar files are found.
    """
    images = kaggle_folder(root)
    if images is not None:
        return kaggle(root, images, val_only=val_only)
    return imagenet_trees(root, val_only=val_only).checked(root)


def imagenet_trees(root: Path, *, val_only: bool = False) -> Trees:
    """What lies in the layouts of `imagenet`.

    Raises:
        UserError: where nothing is found, or only the original tar files.
    """
    images = kaggle_folder(root)
    if images is not None:
        return kaggle_trees(root, images, val_only=val_only)
    if val_only and (root / "val").is_dir():
        return folder_trees(root, val_fraction=0.0, val_only=True)
    if not (root / "train").is_dir() and any((root / name).is_file() for name in TAR_FILES):
        raise UserError(
            f"data.root={root} holds the original tar files, not yet unpacked; unpack them with: "
            f"make unpack-imagenet ROOT={root}"
        )
    if not (root / "train").is_dir():
        raise UserError(
            f"data.root={root} holds no ILSVRC-2012: neither {'' if val_only else 'train/ and '}val/, nor "
            f"{KAGGLE_IMAGES}/, nor its tar files; type data.root=<folder>."
        )
    return folder_trees(root, val_fraction=0.0)


def kaggle_folder(root: Path) -> Path | None:
    """The images of the layout of Kaggle's ImageNet competition, if that is what lies below `root`."""
    places = (root / KAGGLE_IMAGES, root / "ILSVRC" / KAGGLE_IMAGES)
    require_folder(root)
    return next((place for place in places if place.is_dir()), None)


def kaggle(root: Path, images: Path, *, val_only: bool) -> ImageSet:
    """The layout of Kaggle's ImageNet competition: `images`/train/<class>/*, `images`/val/* and a csv of labels."""
    trees = kaggle_trees(root, images, val_only=val_only)
    train, val = trees
    train_folder = images / "train"
    if train is not None:
        require_sound(train)
        classes = train.classes
    else:
        classes = class_names(train_folder) if train_folder.is_dir() else val.classes
    class_index = {name: index for index, name in enumerate(classes)}
    unknown = next((name for name in val.classes if name not in class_index), None)
    if unknown:
        raise UserError(f"{KAGGLE_VAL_LABELS} names class {unknown}, which {train_folder} does not have; add it there.")
    present = sum(1 for _ in (images / "val").glob("*.JPEG"))
    if present != len(val.samples):
        raise UserError(
            f"{images / 'val'} holds {present} JPEG images and {KAGGLE_VAL_LABELS} {len(val.samples)}; complete it."
        )
    labels = np.array([class_index[name] for name in val.classes], dtype=np.int64)[val.samples.labels]
    return ImageSet(root, classes, train.samples if train else NO_IMAGES, Samples.all_of(val.samples.store, labels))


def kaggle_trees(root: Path, images: Path, *, val_only: bool) -> Trees:
    """What lies in the layout of `kaggle`.

    Raises:
        UserError: where nothing tells the classes of the validation images.
    """
    csv_file = next((p for p in (root / KAGGLE_VAL_LABELS, images.parents[2] / KAGGLE_VAL_LABELS) if p.is_file()), None)
    if csv_file is None:
        raise UserError(
            f"{root / KAGGLE_VAL_LABELS} is missing, without which {images / 'val'} has no labels; put it there."
        )
    class_of = read_labels(csv_file)
    folder = images / "val"
    below = folder.relative_to(root)
    classes, names = sorted({*class_of.values()}), sorted(class_of)
    class_index = {name: index for index, name in enumerate(classes)}
    files = Files(root, [f"{below}/{name}.JPEG" for name in names])
    val = Samples.all_of(files, [class_index[class_of[name]] for name in names])
    there = [os.path.basename(path) for path in (files_below(str(folder), deep=False) if folder.is_dir() else [])]
    others = [f"{below}/{name}" for name in there if name.removesuffix(".JPEG") not in class_of]
    train = None if val_only else read_tree(root, images.relative_to(root) / "train")
    return Trees(train, Tree(folder, classes, val, others=others))


def read_labels(file: Path) -> dict[str, str]:
    """The class of each image, by its name, as Kaggle's csv tells: `ImageId,PredictionString`, the latter a class and
    boxes.

    Raises:
        UserError: naming the line that tells none.
    """
    line = 1
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            class_of = {}
            for row in (rows := csv.DictReader(lines)):
                line = rows.line_num
                require_name(row["ImageId"])
                class_of[row["ImageId"]] = row["PredictionString"].split()[0]
        return class_of
    except (OSError, LookupError, AttributeError, ValueError, csv.Error) as error:
        raise UserError(
            f"{file} cannot be read in line {line}; allowed: an image, then its class and <xmin> <ymin> <xmax> <ymax> "
            "for each box."
        ) from error


def require_name(name: str | None) -> None:
    """Make sure that an image of a csv has a name of its own, which is no path.

    Raises:
        ValueError: where it has not.
    """
    if not name or not name.isprintable() or PurePath(name).name != name:
        raise ValueError(f"{name!r} is no image's name")


def split_samples(samples: Samples, fraction: float) -> tuple[Samples, Samples]:
    """Split off the last `fraction` of every class's files, in their order: at least one of two or more, never all."""
    held = split_positions(samples.labels, fraction)
    return samples.take(np.flatnonzero(~held)), samples.take(np.flatnonzero(held))


def split_positions(labels: np.ndarray, fraction: float) -> np.ndarray:
    """Which of images with these labels `split_samples` splits off: bool [N]."""
    by_class = np.argsort(labels, kind="stable")
    held = np.zeros(len(labels), dtype=bool)
    for own in np.split(by_class, np.flatnonzero(np.diff(labels[by_class])) + 1):
        count = min(max(1, round(len(own) * fraction)), len(own) - 1)
        held[own[len(own) - count :]] = True
    return held
