"""Caltech-101 and Caltech-256 in the layouts in which Caltech distributes them: one folder of JPEGs for each class."""

from pathlib import Path

from vggsuite.data.samples import Samples
from vggsuite.data.trees import Tree, read_tree, require_sound
from vggsuite.errors import UserError

ARCHIVES = {  # of the folder of classes
    "101_ObjectCategories": ("101_ObjectCategories.tar.gz", "caltech-101.zip"),
    "256_ObjectCategories": ("256_ObjectCategories.tar",),
}
WRAPPERS = ("", "caltech101", "caltech-101", "caltech256", "caltech-256")  # of archives, and of torchvision


def read_caltech(root: Path, folder: str) -> tuple[list[str], Samples]:
    """The classes and images of `folder`, "101_ObjectCategories" or "256_ObjectCategories", below `root`. Background
    and clutter count as classes.

    Raises:
        UserError: where it is not found, and where a class is empty.
    """
    tree = caltech_tree(root, folder)
    if tree.empty:
        raise UserError(f"{tree.folder / tree.empty[0]} holds no JPEG images; unpack the archive anew.")
    require_sound(tree)
    return tree.classes, tree.samples


def caltech_tree(root: Path, folder: str) -> Tree:
    """What lies in the layout of `read_caltech`. Caltech-256 has folders in class folders, which are no part of it.

    Raises:
        UserError: where it is not found.
    """
    places = [root / wrapper / folder for wrapper in WRAPPERS]
    home = root if root.name == folder else next((place for place in places if place.is_dir()), None)
    if home is None:
        raise UserError(missing(root, folder))
    return read_tree(root, home.relative_to(root), endings=(".jpg", ".jpeg"), deep=False)


def missing(root: Path, folder: str) -> str:
    """What to do where the classes are not found."""
    archive = next((file for name in ARCHIVES[folder] for file in sorted(root.glob(f"**/{name}"))), None)
    if archive is not None and archive.suffix == ".zip":
        return f"{archive} is not yet unpacked; unpack it, and what it holds, with: unzip {archive} -d {root}"
    if archive is not None:
        return f"{archive} is not yet unpacked; unpack it with: tar -xf {archive} -C {root}"
    number = folder.partition("_")[0]
    return (
        f"data.root={root} holds no {folder}/; type data.root=<folder that holds it>, or fetch it with: "
        f"python -m vggsuite.data.download caltech{number} {root}"
    )
