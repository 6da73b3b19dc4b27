"""What lies in a tree of class folders: images with their labels, and what is odd about it."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torchvision.datasets.folder import IMG_EXTENSIONS

from vggsuite.data.samples import Files, Samples
from vggsuite.errors import UserError, printable


@dataclass(frozen=True)
class Tree:
    """The images of a split as they lie, whatever is wrong with them.

    Attributes:
        folder: of the class folders, or of the images.
        classes: their names, in order.
        samples: the images, with their labels.
        empty: classes whose folders hold no image.
        others: files beside the images, by their paths below the data set's root: their endings are not those of
            images, or nothing tells their class.
        misnamed: files whose names are not UTF-8, which have no place among `samples`.
    """

    folder: Path
    classes: list[str]
    samples: Samples
    empty: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    misnamed: list[str] = field(default_factory=list)


def read_tree(root: Path, tree: str | Path, *, endings: Sequence[str] = IMG_EXTENSIONS, deep: bool = True) -> Tree:
    """The class folders `root`/`tree`/<class>, in sorted order, and the files in them, or with `deep` below them, that
    have one of `endings`. What is hidden is passed over.

    Raises:
        UserError: where there are no class folders.
    """
    folder = root / tree
    classes = class_names(folder)
    names: list[str] = []
    labels: list[int] = []
    others: list[str] = []
    misnamed: list[str] = []
    for label, class_folder in enumerate(folder / name for name in classes):
        below = str(class_folder.relative_to(root))
        for path in files_below(str(class_folder), deep=deep):
            name = below + path[len(str(class_folder)) :]
            if not name.lower().endswith(tuple(endings)):
                others.append(name)
            elif not is_utf8(name):
                misnamed.append(name)
            else:
                names.append(name)
                labels.append(label)
    filled = set(labels)
    empty = [name for label, name in enumerate(classes) if label not in filled]
    return Tree(folder, classes, Samples.all_of(Files(root, names), labels), empty, others, misnamed)


def files_below(folder: str, *, deep: bool) -> list[str]:
    """The paths of the files in `folder`, or with `deep` at any depth, folder by folder, sorted."""
    found = sorted(walk(folder, deep=deep, above=()))
    return [os.path.join(place, name) for place, names in found for name in sorted(names)]


def walk(folder: str, *, deep: bool, above: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    """A folder with the names of its files, and those below it. Links are followed, but not those to one of the
    folders `above`, which would have no end; a link that leads nowhere counts as a file."""
    place = os.path.realpath(folder)
    if place in above:
        return
    with os.scandir(folder) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".")]
    folders = {entry.name for entry in visible if is_folder(entry)}
    yield folder, [e.name for e in visible if e.name not in folders and (e.is_symlink() or e.is_file())]
    for name in sorted(folders) if deep else []:
        yield from walk(os.path.join(folder, name), deep=deep, above=(*above, place))


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def is_utf8(name: str) -> bool:
    """Whether a file's name is text."""
    try:
        name.encode()
    except UnicodeEncodeError:  # Python keeps what is no UTF-8 as lone surrogates
        return False
    return True


def require_sound(tree: Tree) -> None:
    """Make sure that nothing of a tree is left out unnoticed.

    Raises:
        UserError: where a class is empty, or a file's name is not UTF-8.
    """
    if tree.empty:
        raise UserError(
            f"{tree.folder / tree.empty[0]} holds no images ({len(tree.empty)} class folder(s) without any); add some "
            f"({' '.join(IMG_EXTENSIONS)}) or remove the folder."
        )
    if tree.misnamed:
        raise UserError(
            f"{printable(tree.misnamed[0])} below {tree.folder} has a name that is not UTF-8 ({len(tree.misnamed)} "
            "such file(s)); rename them."
        )


def class_names(folder: Path) -> list[str]:
    """The names of the class folders in `folder`, sorted.

    Raises:
        UserError: where there are none, and for one that is not UTF-8.
    """
    require_folder(folder)
    classes = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not classes:
        raise UserError(f"{folder} holds no class folders; allowed: one folder of images for each class (data.root).")
    odd = next((name for name in classes if not is_utf8(name)), None)
    if odd:
        raise UserError(f"{folder} holds a class folder {printable(odd)}, whose name is not UTF-8; rename it.")
    return classes


def require_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; type data.root=<folder of the data set>.")
