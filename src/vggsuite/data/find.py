"""From the config of a data set to its images."""

from dataclasses import replace
from pathlib import Path

from vggsuite.config import MULTI_LABEL, DataConfig, Layout
from vggsuite.data import layouts
from vggsuite.data.caltech import caltech_tree, read_caltech
from vggsuite.data.digits import VERSION, embed_digits
from vggsuite.data.labelled import LabelledImages, as_published, joined, randomly_split
from vggsuite.data.layouts import ImageSet, Trees
from vggsuite.data.letters import VERSION as LETTERS_VERSION
from vggsuite.data.letters import embed_letters
from vggsuite.data.packed import is_pack, read_pack
from vggsuite.data.samples import Samples
from vggsuite.data.skipping import LeftOut, read_left_out, remaining, require_classes
from vggsuite.data.trees import Tree
from vggsuite.data.voc import read_action, read_classification
from vggsuite.errors import UserError

# One tree of classes, that a transfer splits at random.
TREES = {
    Layout.letters: "101_ObjectCategories",
    Layout.caltech101: "101_ObjectCategories",
    Layout.caltech256: "256_ObjectCategories",
}


def find_images(config: DataConfig, *, val_only: bool = False) -> ImageSet:
    """The images of the data set that `config` names, or its validation images alone, from its files or from a pack of
    them, less those that `config.skip` leaves out; an embedded one is drawn on first use. Of a set for transfer, the
    split `data.splits.chosen`.

    Raises:
        UserError: where nothing is found, or not what `config` expects, for a set that nets are not trained on, and
            where `config.skip` does not fit.
    """
    if config.layout in MULTI_LABEL:
        raise UserError(
            f"data={config.name} has images of several classes, which the soft-max cannot learn; allowed: another "
            "data set, or its features and a linear SVM (python src/transfer.py mode=svm)."
        )
    splits = config.splits
    if config.layout in TREES or splits.train_per_class is not None or splits.keep_per_class is not None:
        found = find_labelled(config)
        split = found.splits[splits.chosen]
        return ImageSet(
            Path(config.root),
            found.classes,
            found.samples.take(split.train),
            found.samples.take(split.test),
            left_out=found.left_out,
        )
    return find_published(config, val_only=val_only)


def find_published(config: DataConfig, *, val_only: bool = False) -> ImageSet:
    """The images of a data set with a published split; raises as `find_images`."""
    root = Path(config.root).expanduser()
    images = read_pack(root, val_only=val_only) if is_pack(root) else find_files(config, root, val_only=val_only)
    found = {"classes": len(images.classes), "train": len(images.train), "val": len(images.val)}
    if val_only and "train" in config.expected:
        found["train"] = config.expected["train"]  # not looked at
    require_counts(config, found)
    left_out = read_left_out(config)
    return images if left_out is None else without(images, left_out, val_only=val_only)


def without(images: ImageSet, left_out: LeftOut, *, val_only: bool) -> ImageSet:
    """The data set less what a report leaves out; raises as `remaining` and `require_classes`."""
    require_classes(images.classes, left_out)
    val = remaining(images.val, "val", images.classes, left_out)
    if val_only:
        seen = replace(left_out, names={"val": left_out.names.get("val", frozenset())})
        return replace(images, val=val, left_out=seen)
    train = remaining(images.train, "train", images.classes, left_out)
    return replace(images, train=train, val=val, left_out=left_out)


def find_labelled(config: DataConfig) -> LabelledImages:
    """The images of the data set that `config` names, with all its splits.

    Raises:
        UserError: where nothing is found, or not what `config` expects, for classes too small to be split, and where
            `config.skip` does not fit.
    """
    root = Path(config.root).expanduser()
    if config.layout in MULTI_LABEL:
        found = read_voc(config.layout, root, config.held_out)
        require_counts(config, {"classes": len(found.classes), "images": len(found.samples)})
        left_out = read_left_out(config)
        return found.without(left_out) if left_out else found
    if config.layout in TREES:
        return split_tree(config, root)
    images = find_published(config)
    if config.splits.train_per_class is None:
        found = as_published(images, config.splits, config.held_out)
    else:
        everything = joined(images.train, images.val)
        found = randomly_split(images.classes, everything, config.splits, config.held_out)
    return replace(found, left_out=images.left_out)


def split_tree(config: DataConfig, root: Path) -> LabelledImages:
    """The images of one tree, with the splits that are drawn of what is not left out."""
    classes, samples = read_tree(config.layout, root)
    require_counts(config, {"classes": len(classes), "images": len(samples)})
    left_out = read_left_out(config)
    if left_out:
        require_classes(classes, left_out)
        samples = remaining(samples, "images", classes, left_out)
    return replace(randomly_split(classes, samples, config.splits, config.held_out), left_out=left_out)


def find_trees(config: DataConfig) -> Trees | Tree:
    """What lies below `config.root` in files of their own, of a layout of class folders, whatever is wrong with it: the
    trees of both splits, or the one of a set for transfer.

    Raises:
        UserError: where nothing is found.
    """
    root = Path(config.root).expanduser()
    match config.layout:
        case Layout.digits:
            return layouts.imagenet_trees(digits(root))
        case Layout.imagenet:
            return layouts.imagenet_trees(root)
        case Layout.folder:
            return layouts.folder_trees(root, config.val_fraction)
    return caltech_tree(letters(root) if config.layout == Layout.letters else root, TREES[config.layout])


def read_voc(layout: Layout, root: Path, held_out: float) -> LabelledImages:
    """What a layout of VOC's holds."""
    match layout:
        case Layout.voc2007:
            return read_classification(root, "2007", held_out)
        case Layout.voc2012:
            return read_classification(root, "2012", held_out)
        case Layout.letters_voc:
            return read_classification(letters(root), "2012", held_out)
        case Layout.letters_action:
            return read_action(letters(root), held_out)
    return read_action(root, held_out)


def read_tree(layout: Layout, root: Path) -> tuple[list[str], Samples]:
    """What a layout of one tree holds."""
    return read_caltech(letters(root) if layout == Layout.letters else root, TREES[layout])


def letters(root: Path) -> Path:
    """The folder of the embedded letters, drawn if need be."""
    home = root / f"v{LETTERS_VERSION}"
    embed_letters(home)
    return home


def digits(root: Path) -> Path:
    """The folder of the embedded digits, drawn if need be."""
    home = root / f"v{VERSION}"
    embed_digits(home)
    return home


def require_counts(config: DataConfig, found: dict[str, int]) -> None:
    """Make sure that a data set holds as much as `config` expects."""
    for part, expected in config.expected.items():
        if part not in found:
            raise UserError(
                f"data.expected.{part}={expected} is not counted in data={config.name}; allowed: {', '.join(found)}."
            )
        if found[part] != expected:
            raise UserError(
                f"data.root={config.root} holds {found[part]} {part} where data={config.name} has {expected}; complete "
                f"it, or say that this is meant: data.expected.{part}={found[part]}."
            )


def find_files(config: DataConfig, root: Path, *, val_only: bool) -> ImageSet:
    """The images in files of their own below `root`."""
    match config.layout:
        case Layout.digits:
            return layouts.imagenet(digits(root), val_only=val_only)
        case Layout.imagenet:
            return layouts.imagenet(root, val_only=val_only)
        case Layout.folder:
            return layouts.class_folders(root, config.val_fraction, val_only=val_only)
    raise ValueError(f"{config.layout} has no split of its own")
