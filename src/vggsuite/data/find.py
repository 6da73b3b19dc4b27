"""From the config of a data set to its images."""

from pathlib import Path

from vggsuite.config import MULTI_LABEL, DataConfig, Layout
from vggsuite.data import layouts
from vggsuite.data.caltech import read_caltech
from vggsuite.data.digits import VERSION, embed_digits
from vggsuite.data.labelled import LabelledImages, as_published, joined, randomly_split
from vggsuite.data.layouts import ImageSet
from vggsuite.data.letters import VERSION as LETTERS_VERSION
from vggsuite.data.letters import embed_letters
from vggsuite.data.packed import is_pack, read_pack
from vggsuite.data.samples import Samples
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
    them; an embedded one is drawn on first use. Of a set for transfer, the split `data.splits.chosen`.

    Raises:
        UserError: where nothing is found, or not what `config` expects, and for a set that nets are not trained on.
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
            Path(config.root), found.classes, found.samples.take(split.train), found.samples.take(split.test)
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
    return images


def find_labelled(config: DataConfig) -> LabelledImages:
    """The images of the data set that `config` names, with all its splits.

    Raises:
        UserError: where nothing is found, or not what `config` expects, and for classes too small to be split.
    """
    root = Path(config.root).expanduser()
    if config.layout in MULTI_LABEL:
        found = read_voc(config.layout, root, config.held_out)
    elif config.layout in TREES:
        classes, samples = read_tree(config.layout, root)
        found = randomly_split(classes, samples, config.splits, config.held_out)
    else:
        images = find_published(config)
        if config.splits.train_per_class is None:
            return as_published(images, config.splits, config.held_out)
        everything = joined(images.train, images.val)
        return randomly_split(images.classes, everything, config.splits, config.held_out)
    require_counts(config, {"classes": len(found.classes), "images": len(found.samples)})
    return found


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
            root = root / f"v{VERSION}"
            embed_digits(root)
            return layouts.imagenet(root, val_only=val_only)
        case Layout.imagenet:
            return layouts.imagenet(root, val_only=val_only)
        case Layout.folder:
            return layouts.class_folders(root, config.val_fraction, val_only=val_only)
    raise ValueError(f"{config.layout} has no split of its own")
