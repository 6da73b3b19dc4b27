"""From the config of a data set to its images."""

from pathlib import Path

from vggsuite.config import DataConfig, Layout
from vggsuite.data import layouts
from vggsuite.data.digits import VERSION, embed_digits
from vggsuite.data.layouts import ImageSet
from vggsuite.data.packed import is_pack, read_pack
from vggsuite.errors import UserError


def find_images(config: DataConfig, *, val_only: bool = False) -> ImageSet:
    """The images of the data set that `config` names, or its validation images alone, from its files or from a pack of
    them; the embedded one is drawn on first use.

    Raises:
        UserError: where nothing is found, or not what `config` expects.
    """
    root = Path(config.root).expanduser()
    images = read_pack(root, val_only=val_only) if is_pack(root) else find_files(config, root, val_only=val_only)
    found = {"classes": len(images.classes), "train": len(images.train), "val": len(images.val)}
    for part, expected in config.expected.items():
        if found[part] != expected and not (val_only and part == "train"):
            raise UserError(
                f"data.root={config.root} holds {found[part]} {part} where data={config.name} has {expected}; complete "
                f"it, or say that this is meant: data.expected.{part}={found[part]}."
            )
    return images


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
