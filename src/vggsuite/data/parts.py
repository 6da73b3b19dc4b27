"""The images of a data set as they are checked: every one once, whatever is wrong with them or their classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vggsuite.config import MULTI_LABEL, DataConfig
from vggsuite.data.find import find_labelled, find_trees
from vggsuite.data.layouts import Trees
from vggsuite.data.packed import is_pack, read_pack
from vggsuite.data.samples import Samples
from vggsuite.data.trees import Tree


@dataclass(frozen=True)
class Part:
    """Images that belong together: a split, or all of a set that has none of its own.

    Attributes:
        name: "train" or "val", or "images".
        samples: every image once.
        classes: what their labels stand for; none where an image may have several classes.
        known: all classes of the data set that this part knows of.
        by_ending: whether the images' names tell their formats.
        tree: where they lie, if it is one.
    """

    name: str
    samples: Samples
    classes: Sequence[str]
    known: Sequence[str]
    by_ending: bool = True
    tree: Tree | None = None

    def class_of(self, index: int) -> str | None:
        """The class of an image, if it has one."""
        return self.classes[self.samples.labels[index]] if self.classes else None

    def classes_with_images(self) -> list[str]:
        """The classes that have images; of images of several, all."""
        return [self.classes[label] for label in np.unique(self.samples.labels)] if self.classes else [*self.known]


def find_parts(config: DataConfig) -> list[Part]:
    """The images of the data set that `config` names, in files or in a pack; an embedded one is drawn on first use.

    Raises:
        UserError: where nothing is found, or, of VOC's layouts and packs, their files do not go together.
    """
    root = Path(config.root).expanduser()
    if config.layout in MULTI_LABEL:
        return parts_of_scenes(config)
    if is_pack(root):
        pack = read_pack(root)
        return [
            Part("train", pack.train, pack.classes, pack.classes, by_ending=pack.re_encoded is None),
            Part("val", pack.val, pack.classes, pack.classes),
        ]
    found = find_trees(config)
    if not isinstance(found, Trees):
        return [part_of("images", found)]
    return [part_of(name, tree) for name, tree in found._asdict().items() if tree is not None]


def part_of(name: str, tree: Tree) -> Part:
    """The images of a tree."""
    return Part(name, tree.samples, tree.classes, tree.classes, tree=tree)


def parts_of_scenes(config: DataConfig) -> list[Part]:
    """The images of a layout of VOC's, of which one may be there for each person in it."""
    images = find_labelled(config)
    (split,) = images.splits
    names = np.array(images.samples.names())
    parts = []
    for name, indices in (("train", np.union1d(split.train, split.held_out)), ("val", split.test)):
        _, first = np.unique(names[indices], return_index=True)
        parts.append(Part(name, images.samples.take(indices[first]), [], images.classes))
    return parts
