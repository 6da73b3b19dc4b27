"""Where the images of a data set are, and which class each belongs to: the folder layouts that people have."""

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
from torchvision.datasets.folder import IMG_EXTENSIONS, make_dataset

from vggsuite.data.samples import NO_IMAGES, Files, Samples
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
    """

    root: Path
    classes: list[str]
    train: Samples
    val: Samples
    re_encoded: dict[str, int] | None = None

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


def class_folders(root: Path, val_fraction: float, *, val_only: bool = False) -> ImageSet:
    """`train/<class>/*` and `val/<class>/*` below `root`, or one tree `<class>/*` of which the last `val_fraction` of
    every class's sorted files is the validation split. With `val_only`, `val/` is enough.

    Raises:
        UserError: where nothing is found, a class is empty, or train and val differ in their classes.
    """
    require_folder(root)
    if val_only and (root / "val").is_dir():
        classes, val = read_tree(root, "val")
        return ImageSet(root, classes, NO_IMAGES, val)
    if (root / "train").is_dir() and (root / "val").is_dir():
        return two_trees(root)
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
    classes, samples = read_tree(root, ".")
    train, val = split_samples(samples, val_fraction)
    if not len(val):
        raise UserError(f"data.root={root} has too few images for data.val_fraction={val_fraction}; raise it.")
    return ImageSet(root, classes, train, val)


def imagenet(root: Path, *, val_only: bool = False) -> ImageSet:
    """ILSVRC-2012 below `root`: class folders for train and val, or the Kaggle layout (`Data/CLS-LOC` with flat val
    and `LOC_val_solution.csv`, also inside `ILSVRC/`). Classes are in the standard order, that of their WordNet ids.
    With `val_only`, the validation part of either is enough.

    Raises:
        UserError: as `class_folders`, and where only the original tar files are found.
    """
    require_folder(root)
    for images in (root / KAGGLE_IMAGES, root / "ILSVRC" / KAGGLE_IMAGES):
        if images.is_dir():
            return kaggle(root, images, val_only=val_only)
    if val_only and (root / "val").is_dir():
        return class_folders(root, val_fraction=0.0, val_only=True)
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
    return class_folders(root, val_fraction=0.0)


def kaggle(root: Path, images: Path, *, val_only: bool) -> ImageSet:
    """The layout of Kaggle's ImageNet competition: `images`/train/<class>/*, `images`/val/* and a csv of labels."""
    csv_file = next((p for p in (root / KAGGLE_VAL_LABELS, images.parents[2] / KAGGLE_VAL_LABELS) if p.is_file()), None)
    if csv_file is None:
        raise UserError(
            f"{root / KAGGLE_VAL_LABELS} is missing, without which {images / 'val'} has no labels; put it there."
        )
    class_of = read_labels(csv_file)
    if not val_only:
        classes, train = read_tree(root, images.relative_to(root) / "train")
    else:
        train_folder = images / "train"
        classes, train = class_names(train_folder) if train_folder.is_dir() else sorted({*class_of.values()}), NO_IMAGES
    class_index = {name: index for index, name in enumerate(classes)}
    unknown = next((name for name in class_of.values() if name not in class_index), None)
    if unknown:
        raise UserError(f"{csv_file} names class {unknown}, which {images / 'train'} does not have; add it there.")
    names = sorted(class_of)
    present = sum(1 for _ in (images / "val").glob("*.JPEG"))
    if present != len(names):
        raise UserError(f"{images / 'val'} holds {present} JPEG images and {csv_file.name} {len(names)}; complete it.")
    files = Files(root, [f"{(images / 'val').relative_to(root)}/{name}.JPEG" for name in names])
    return ImageSet(root, classes, train, Samples.all_of(files, [class_index[class_of[name]] for name in names]))


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


def two_trees(root: Path) -> ImageSet:
    """One tree of class folders for each split."""
    classes, train = read_tree(root, "train")
    val_classes, val = read_tree(root, "val")
    if classes != val_classes:
        odd = sorted(set(classes) ^ set(val_classes))
        raise UserError(
            f"{root / 'train'} and {root / 'val'} differ in their classes ({', '.join(odd[:5])}"
            f"{', ...' if len(odd) > 5 else ''} in one only); both need the same class folders."
        )
    return ImageSet(root, classes, train, val)


def read_tree(root: Path, tree: str | Path) -> tuple[list[str], Samples]:
    """Class names (folder names in sorted order) and image files of `root`/`tree`/<class>/**."""
    folder = root / tree
    classes = class_names(folder)
    index = {name: label for label, name in enumerate(classes)}
    found = make_dataset(str(folder), index, extensions=IMG_EXTENSIONS, allow_empty=True)
    named = [(path[len(str(root)) + 1 :], label) for path, label in found if "/." not in path[len(str(folder)) :]]
    empty = sorted(set(range(len(classes))) - {label for _, label in named})
    if empty:
        raise UserError(
            f"{folder / classes[empty[0]]} holds no images ({len(empty)} class folder(s) without any); add some "
            f"({' '.join(IMG_EXTENSIONS)}) or remove the folder."
        )
    return classes, Samples.all_of(Files(root, [name for name, _ in named]), [label for _, label in named])


def class_names(folder: Path) -> list[str]:
    """The names of the class folders in `folder`, sorted.

    Raises:
        UserError: where there are none.
    """
    require_folder(folder)
    classes = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not classes:
        raise UserError(f"{folder} holds no class folders; allowed: one folder of images for each class (data.root).")
    return classes


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


def require_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; type data.root=<folder of the data set>.")
