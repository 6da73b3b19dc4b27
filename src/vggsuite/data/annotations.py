"""ILSVRC's box annotations, PASCAL-VOC XML and Kaggle's csv, and what is wrong with them."""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
from tqdm import tqdm

from vggsuite.data.boxes import Boxes
from vggsuite.data.config import BoxesConfig, Faulty
from vggsuite.data.layouts import ImageSet, require_name
from vggsuite.data.samples import Samples
from vggsuite.errors import UserError

XML_FOLDERS = ("Annotations/CLS-LOC", "ILSVRC/Annotations/CLS-LOC", "Annotations", "Annotation", "bbox", ".")
TOLD = {"without_image": "without an image", "clipped": "reaching outside", "empty": "inverted or outside"}  # of faults

Edges = tuple[float, float, float, float]  # left, top, right, bottom
Size = tuple[int, int]  # width and height


class Annotation(NamedTuple):
    """What is told of an image: its name, each box with the class of what is in it, and the size in pixels of the image
    that was annotated, where it is told."""

    image: str
    boxes: list[tuple[str, Edges]]
    size: Size | None = None


class BoxesOfSplit(NamedTuple):
    """The boxes of the images of a split, each of its image's own class, and how many there were of what was left out
    or mended: `images_without`, `of_other_classes`, `clipped`, `empty` (inverted, or outside), `without_image`."""

    boxes: Boxes
    counts: dict[str, int]


def read_boxes(images: ImageSet, split: str, config: BoxesConfig) -> BoxesOfSplit:
    """The boxes of the images of a split, "train" or "val"; in pixels of the images as they are, which may be smaller
    than those that were annotated.

    Args:
        images: the data set; `config.root` may name another place of its annotations.
        split: its name.
        config: where annotations are, and what is to be done with faulty ones.

    Raises:
        UserError: where there are none, where one cannot be read, and for faulty ones unless they are to be mended.
    """
    samples: Samples = getattr(images, split)
    counts = Counter(dict.fromkeys(("images_without", "of_other_classes", "clipped", "empty", "without_image"), 0))
    examples: dict[str, str] = {}
    found: list[list[Edges]] = [[] for _ in range(len(samples))]
    annotated_sizes: dict[int, Size | None] = {}
    index_of = indices_by_name(samples, split)
    left_out = {PurePath(name).stem for name in images.left_out.names.get(split, ())} if images.left_out else set()
    for annotation in annotations(images, split, config.root):
        index = index_of.get(annotation.image)
        if index is None and annotation.image in left_out:
            continue
        if index is None:
            counts["without_image"] += 1
            examples.setdefault("without_image", annotation.image)
            continue
        own = images.classes[samples.labels[index]]
        found[index] += [edges for name, edges in annotation.boxes if name == own]
        counts["of_other_classes"] += sum(name != own for name, _ in annotation.boxes)
        annotated_sizes[index] = annotation.size
    for index, fault in fit(found, annotated_sizes, samples, split):
        counts[fault] += 1
        examples.setdefault(fault, samples.location(index))
    if config.faulty == Faulty.refuse and examples:
        refuse(split, counts, examples)
    counts["images_without"] = sum(not own_boxes for own_boxes in found)
    return BoxesOfSplit(by_entry(found, samples), dict(counts))


def fit(
    found: list[list[Edges]], annotated_sizes: Mapping[int, Size | None], samples: Samples, split: str
) -> list[tuple[int, str]]:
    """Bring the boxes of images to their images as they are: rescaled, and without what lies outside; return the index
    of an image, and the fault, for every box that had one."""
    with_boxes = [index for index, own_boxes in enumerate(found) if own_boxes]
    faults = []
    for index, size in zip(with_boxes, samples.sizes(with_boxes, f"sizes of {split}"), strict=True):
        scaled = [rescaled(edges, annotated_sizes[index], size) for edges in found[index]]
        inside = [inside_of(edges, size) for edges in scaled]
        faults += [
            (index, "clipped" if left else "empty") for edges, left in zip(scaled, inside, strict=True) if left != edges
        ]
        found[index] = [edges for edges in inside if edges]
    return faults


def indices_by_name(samples: Samples, split: str) -> dict[str, int]:
    """The samples' indices by the names of their files without ending, as annotations call them.

    Raises:
        UserError: where two have one name.
    """
    found = {PurePath(name).stem: index for index, name in enumerate(samples.names())}
    if len(found) < len(samples):
        raise UserError(
            f"two images of {split} have one name, so that annotations cannot tell them apart; rename them "
            f"(the folder of {samples.location(0)}, and others)."
        )
    return found


def by_entry(found: Sequence[list[Edges]], samples: Samples) -> Boxes:
    """The boxes of samples in the order of their store."""
    boxes: list[list[Edges]] = [[] for _ in range(max(samples.entries, default=-1) + 1)]
    for entry, own in zip(samples.entries, found, strict=True):
        boxes[entry] = own
    return Boxes.of_images(boxes)


def rescaled(edges: Edges, annotated: Size | None, size: Size) -> Edges:
    """A box of an image that was `annotated` at another size than it has."""
    if annotated is None or annotated == size:
        return edges
    across, down = (own / then for own, then in zip(size, annotated, strict=True))
    left, top, right, bottom = edges
    return left * across, top * down, right * across, bottom * down


def inside_of(edges: Edges, size: Size) -> Edges | None:
    """What of a box lies inside an image of `size` (width, height); None if nothing does."""
    left, top, right, bottom = edges
    width, height = size
    left, top, right, bottom = max(0.0, left), max(0.0, top), min(float(width), right), min(float(height), bottom)
    return (left, top, right, bottom) if left < right and top < bottom else None


def refuse(split: str, counts: Counter[str], examples: dict[str, str]) -> None:
    """Raise a UserError for the faulty annotations, each kind with its number and the first."""
    parts = "; ".join(f"{counts[kind]} {TOLD[kind]}, first that of {example}" for kind, example in examples.items())
    raise UserError(
        f"the {split} annotations have faulty boxes ({parts}); mend them, or type boxes.faulty=mend to have them "
        "clipped or left out, and counted in the record."
    )


def annotations(images: ImageSet, split: str, place: str | None) -> Iterator[Annotation]:
    """What is told of every annotated image.

    Raises:
        UserError: where nothing is, and where a csv, which tells no sizes, is of images that a pack has rescaled.
    """
    base = Path(place).expanduser() if place else images.root
    for folder in (base, base / "ILSVRC"):
        if (file := folder / f"LOC_{split}_solution.csv").is_file():
            if split == "train" and images.re_encoded:
                raise UserError(
                    f"{file} tells no sizes, and {images.root} holds smaller images than were annotated; type "
                    "boxes.root=<folder of the XML annotations>, or take the images as they were (data.root=...)."
                )
            return read_csv(file)
    for name in XML_FOLDERS:
        if any((base / name / split).glob("**/*.xml")):
            return read_xml_folder(base / name / split, split)
    raise UserError(
        f"{base} holds no boxes of the {split} images, neither LOC_{split}_solution.csv nor {XML_FOLDERS[0]}/{split}/ "
        "of XML files; type boxes.root=<folder that holds them>, or take another data set."
    )


def read_csv(file: Path) -> Iterator[Annotation]:
    """Kaggle's csv: `ImageId,PredictionString`, the latter a class and four numbers for each box."""
    line = 1
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            rows = csv.DictReader(lines)
            for row in rows:
                line = rows.line_num
                require_name(row["ImageId"])
                words = row["PredictionString"].split()
                boxes = [(words[at], edges_of(words[at + 1 : at + 5])) for at in range(0, len(words), 5)]
                yield Annotation(row["ImageId"], boxes)
    except (OSError, KeyError, AttributeError, TypeError, ValueError, csv.Error) as error:
        raise UserError(
            f"{file} cannot be read in line {line}; allowed: an image, then <class> <xmin> <ymin> <xmax> <ymax> for "
            "each box."
        ) from error


def read_xml_folder(folder: Path, split: str) -> Iterator[Annotation]:
    """PASCAL-VOC annotations, one file an image of the same name, at any depth."""
    for file in tqdm(sorted(folder.glob("**/*.xml")), desc=f"boxes of {split}", unit="file", disable=None):
        try:
            root = ElementTree.parse(file)
            width, height = (int(float(root.findtext(f"size/{side}", "0"))) for side in ("width", "height"))
            boxes = [(str(item.findtext("name")), edges_of(bounds(item))) for item in root.findall("object")]
            yield Annotation(file.stem, boxes, (width, height) if min(width, height) > 0 else None)
        except (OSError, ElementTree.ParseError, LookupError, ValueError, OverflowError) as error:
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
