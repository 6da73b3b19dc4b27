"""ILSVRC's box annotations, PASCAL-VOC XML and Kaggle's csv, and what is wrong with them."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePath
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
from tqdm import tqdm

from vggsuite.config import BoxesConfig, Faulty
from vggsuite.data.boxes import Boxes
from vggsuite.data.samples import Samples
from vggsuite.errors import UserError

XML_FOLDERS = ("Annotations/CLS-LOC", "ILSVRC/Annotations/CLS-LOC", "Annotations", "Annotation", "bbox", ".")
HEADER_READERS = 16  # threads: reading a header is waiting for the disk

Edges = tuple[float, float, float, float]  # left, top, right, bottom
Named = tuple[str, Edges]  # a box, and the class of what is in it


class BoxesOfSplit(NamedTuple):
    """The boxes of the images of a split, each of its image's own class, and how many there were of what was left out
    or mended: `images_without`, `of_other_classes`, `clipped`, `empty` (inverted, or outside), `without_image`."""

    boxes: Boxes
    counts: dict[str, int]


def read_boxes(root: Path, split: str, samples: Samples, classes: Sequence[str], config: BoxesConfig) -> BoxesOfSplit:
    """The boxes of the images of a split, "train" or "val".

    Args:
        root: of the data set; `config.root` may name another place.
        split: its name.
        samples: all its images.
        classes: their names, by which annotations call them.
        config: where annotations are, and what is to be done with faulty ones.

    Raises:
        UserError: where there are none, where one cannot be read, and for faulty ones unless they are to be mended.
    """
    index_of = {PurePath(name).stem: index for index, name in enumerate(samples.names())}
    if len(index_of) < len(samples):
        raise UserError(
            f"data.root={root} has images of one name in several folders of {split}, which annotations cannot tell "
            "apart; rename them."
        )
    found: list[list[Edges]] = [[] for _ in range(len(samples))]
    counts = Counter(dict.fromkeys(("images_without", "of_other_classes", "clipped", "empty", "without_image"), 0))
    examples: dict[str, str] = {}
    for image, named in annotations(root, split, config.root):
        index = index_of.get(image)
        if index is None:
            counts["without_image"] += 1
            examples.setdefault("without_image", image)
            continue
        own = classes[samples.labels[index]]
        found[index] += [edges for name, edges in named if name == own]
        counts["of_other_classes"] += sum(name != own for name, _ in named)
    with_boxes = [index for index, own in enumerate(found) if own]
    with ThreadPoolExecutor(HEADER_READERS) as pool:
        sizes = list(pool.map(samples.size, with_boxes))
    for index, size in zip(with_boxes, sizes, strict=True):
        inside = [(edges, inside_of(edges, size)) for edges in found[index]]
        for edges, left in inside:
            fault = "empty" if left is None else "clipped" if left != edges else None
            if fault:
                counts[fault] += 1
                examples.setdefault(fault, samples.location(index))
        found[index] = [left for _, left in inside if left is not None]
    if config.faulty == Faulty.refuse and examples:
        refuse(split, counts, examples)
    counts["images_without"] = sum(not own for own in found)
    by_entry: list[list[Edges]] = [[] for _ in range(max(samples.entries, default=-1) + 1)]
    for entry, own_boxes in zip(samples.entries, found, strict=True):
        by_entry[entry] = own_boxes
    return BoxesOfSplit(Boxes.of_images(by_entry), dict(counts))


def inside_of(edges: Edges, size: tuple[int, int]) -> Edges | None:
    """What of a box lies inside an image of `size` (width, height); None if nothing does."""
    left, top, right, bottom = edges
    width, height = size
    left, top, right, bottom = max(0.0, left), max(0.0, top), min(float(width), right), min(float(height), bottom)
    return (left, top, right, bottom) if left < right and top < bottom else None


def refuse(split: str, counts: Counter[str], examples: dict[str, str]) -> None:
    """Raise a UserError for the faulty annotations, each kind with its number and the first."""
    told = {"without_image": "without an image", "clipped": "reaching outside", "empty": "inverted or outside"}
    parts = "; ".join(f"{counts[kind]} {told[kind]}, first that of {example}" for kind, example in examples.items())
    raise UserError(
        f"the {split} annotations have faulty boxes ({parts}); mend them, or type boxes.faulty=mend to have them "
        "clipped or left out, and counted in the record."
    )


def annotations(root: Path, split: str, place: str | None) -> Iterator[tuple[str, list[Named]]]:
    """The boxes of every annotated image, whose name comes first.

    Raises:
        UserError: where there are none.
    """
    places = [Path(place).expanduser()] if place else [root]
    for base in [inner for outer in places for inner in (outer, outer / "ILSVRC")]:
        if (file := base / f"LOC_{split}_solution.csv").is_file():
            yield from read_csv(file)
            return
    for folder in [base / name / split for base in places for name in XML_FOLDERS]:
        if folder.is_dir() and any(folder.glob("**/*.xml")):
            yield from read_xml_folder(folder, split)
            return
    raise UserError(
        f"{places[0]} holds no boxes of the {split} images, neither LOC_{split}_solution.csv nor "
        f"{XML_FOLDERS[0]}/{split}/ of XML files; type boxes.root=<folder that holds them>, or take another data set."
    )


def read_csv(file: Path) -> Iterator[tuple[str, list[Named]]]:
    """Kaggle's csv: `ImageId,PredictionString`, the latter a class and four numbers for each box."""
    with file.open(newline="") as lines:
        rows = csv.DictReader(lines)
        for row in rows:
            try:
                words = row["PredictionString"].split()
                boxes = [
                    (words[at], edges_of(words[at + 1 : at + 5])) for at in range(0, len(words), 5)
                ]  # fewer than five words are no box
                yield row["ImageId"], boxes
            except (KeyError, AttributeError, TypeError, ValueError) as error:
                raise UserError(
                    f"{file} cannot be read in line {rows.line_num}; allowed: an image, then <class> <xmin> <ymin> "
                    "<xmax> <ymax> for each box."
                ) from error


def read_xml_folder(folder: Path, split: str) -> Iterator[tuple[str, list[Named]]]:
    """PASCAL-VOC annotations, one file an image of the same name, at any depth."""
    for file in tqdm(sorted(folder.glob("**/*.xml")), desc=f"boxes of {split}", unit="file", disable=None):
        try:
            objects = ElementTree.parse(file).findall("object")
            yield file.stem, [(str(item.findtext("name")), edges_of(bounds(item))) for item in objects]
        except (OSError, ElementTree.ParseError, ValueError) as error:
            raise UserError(f"{file} is no PASCAL-VOC annotation ({error}); mend it or remove it.") from error


def bounds(item: ElementTree.Element) -> list[str]:
    """The four numbers of an object, as they are written."""
    return [item.findtext(f"bndbox/{tag}", "") for tag in ("xmin", "ymin", "xmax", "ymax")]


def edges_of(words: Sequence[str]) -> Edges:
    """Four finite numbers.

    Raises:
        ValueError: for anything else.
    """
    left, top, right, bottom = map(float, words)
    if not np.isfinite([left, top, right, bottom]).all():
        raise ValueError(f"{words} are not finite")
    return left, top, right, bottom
