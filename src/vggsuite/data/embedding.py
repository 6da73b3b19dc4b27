"""What the embedded data sets share: drawing a set once, printing on a canvas, and PASCAL VOC's annotations."""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
from PIL import Image

Colour = tuple[int, int, int]


class Box(NamedTuple):
    """A bounding box in pixels of its image."""

    xmin: int
    ymin: int
    xmax: int
    ymax: int


def draw_once(root: Path, write: Callable[[Path], None]) -> None:
    """Let `write` draw a data set into `root` unless it is there.

    Drawn beside `root` and renamed when complete: a killed process leaves no half data set, and of several at once
    the first one wins.
    """
    if root.is_dir():
        return
    root.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
    try:
        write(staging)
        staging.chmod(0o755)
        try:
            staging.rename(root)
        except OSError:
            if not root.is_dir():  # else another process was first, with the same images
                raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def paste_mask(
    canvas: Image.Image,
    mask: Image.Image,
    centre: np.ndarray,
    colour: Callable[[float], Colour],
    *,
    opacity: float = 1.0,
) -> Box:
    """Print `mask` about `centre` in the one colour that `colour` makes of the mean grey level of what lies below;
    return the box of what is clearly visible: from the first column and row to those after the last, counted from 0."""
    left, top = (round(middle - length / 2) for middle, length in zip(centre, mask.size, strict=True))
    below = np.asarray(canvas.crop((left, top, left + mask.width, top + mask.height)).convert("L")).mean()
    canvas.paste(colour(float(below)), (left, top), mask.point(lambda level: round(opacity * level)))
    box = mask.point(lambda level: 255 * (level > 64)).getbbox() or (0, 0, *mask.size)
    xmin, ymin, xmax, ymax = (offset + origin for offset, origin in zip(box, (left, top) * 2, strict=True))
    return Box(max(0, xmin), max(0, ymin), min(canvas.width, xmax), min(canvas.height, ymax))


def voc_annotation(
    header: Mapping[str, object], size: tuple[int, int], objects: Iterable[tuple[Mapping[str, object], Box]]
) -> bytes:
    """A PASCAL-VOC annotation: the fields of `header`, the image's size (width, height), and each object's fields and
    box, as it is to be written."""
    annotation = ElementTree.Element("annotation")
    add_fields(annotation, header)
    add_fields(ElementTree.SubElement(annotation, "size"), {"width": size[0], "height": size[1], "depth": 3})
    for fields, box in objects:
        item = ElementTree.SubElement(annotation, "object")
        add_fields(item, fields)
        add_fields(ElementTree.SubElement(item, "bndbox"), box._asdict())
    ElementTree.indent(annotation)
    return ElementTree.tostring(annotation)


def add_fields(parent: ElementTree.Element, fields: Mapping[str, object]) -> None:
    """Append an element with text for each field."""
    for tag, value in fields.items():
        ElementTree.SubElement(parent, tag).text = str(value)
