"""PASCAL VOC in the layout of its development kit: VOCdevkit/VOC2007 and VOCdevkit/VOC2012."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from vggsuite.data.labelled import LabelledImages, Split
from vggsuite.data.samples import Files, Samples
from vggsuite.errors import UserError
from vggsuite.files import read_lines

ARCHIVES = {
    "2007": ("VOCtrainval_06-Nov-2007.tar", "VOCtest_06-Nov-2007.tar"),
    "2012": ("VOCtrainval_11-May-2012.tar",),
}
# The image sets that are trained on, of these those held out to choose hyper-parameters, and those tested on. The test
# labels of VOC-2012 are its server's alone.
SETS = {"2007": (("train", "val"), ("val",), ("test",)), "2012": (("train",), (), ("val",))}

REMEDY = "unpack the archive anew"
MOST_PIXELS = 2**31
Entry = tuple[str, int]  # an image's name, and the number of a person in it, 0 for the whole image


def read_classification(root: Path, year: str, held_out: float) -> LabelledImages:
    """The classification task: which of the classes an image shows. Where VOC holds no set out, `held_out` is the share
    of the training images that is, evenly spread.

    Raises:
        UserError: where it is not found, or its files do not go together.
    """
    return assemble(find_year(root, year), "Main", year, held_out)


def read_action(root: Path, held_out: float) -> LabelledImages:
    """The action task of VOC-2012: what each person does, whose box is given.

    Raises:
        UserError: as `read_classification`, and where a person has no box.
    """
    return assemble(find_year(root, "2012"), "Action", "2012", held_out)


def find_year(root: Path, year: str) -> Path:
    """The folder VOC<year>: `root` itself, or below it."""
    places = [root, root / f"VOC{year}", root / "VOCdevkit" / f"VOC{year}"]
    home = next((place for place in places if (place / "ImageSets").is_dir()), None)
    if home is not None:
        return home
    archive = next((file for name in ARCHIVES[year] for file in sorted(root.glob(f"**/{name}"))), None)
    if archive is not None:
        raise UserError(f"{archive} is not yet unpacked; unpack it with: tar -xf {archive} -C {root}")
    raise UserError(
        f"data.root={root} holds no VOCdevkit/VOC{year}/; type data.root=<folder that holds it>, or fetch it with: "
        f"python -m vggsuite.data.download voc{year} {root}"
    )


def assemble(home: Path, task: str, year: str, share: float) -> LabelledImages:
    """The images of a task, with its split."""
    train, held_out, test = SETS[year]
    sets = (*train, *test)
    classes = class_names(home / "ImageSets" / task, sets[0])
    entries: list[Entry] = []
    targets: list[np.ndarray] = []
    of_set: list[str] = []
    for name in sets:
        own, labels = read_set(home / "ImageSets" / task, classes, name)
        entries += own
        targets.append(labels)
        of_set += [name] * len(own)
    samples = Samples.all_of(Files(home, image_files(home, entries)), [0] * len(entries))
    places = np.array(of_set)
    trained = np.flatnonzero(np.isin(places, train))
    held = np.flatnonzero(np.isin(places, held_out)) if held_out else trained[:: round(1 / share)]
    split = Split(trained, held, np.flatnonzero(np.isin(places, test)))
    found = np.array([box_of(home, entry) for entry in entries]) if task == "Action" else None
    return LabelledImages(classes, samples, np.concatenate(targets), [split], found, multi_label=True)


def class_names(folder: Path, name: str) -> list[str]:
    """The classes, by their files `<class>_<name>.txt`."""
    classes = sorted(file.stem.removesuffix(f"_{name}") for file in folder.glob(f"*_{name}.txt"))
    if not classes:
        raise UserError(f"{folder} has no files <class>_{name}.txt; unpack the archive anew.")
    return classes


def read_set(folder: Path, classes: Sequence[str], name: str) -> tuple[list[Entry], np.ndarray]:
    """The images of one set, and their targets int8 [N, classes]."""
    columns: list[dict[Entry, int]] = []
    for label in classes:
        file = folder / f"{label}_{name}.txt"
        if not file.is_file():
            raise UserError(f"{file} is missing; unpack the archive that holds it.")
        columns.append(dict(read_line(line, file) for line in read_lines(file, REMEDY) if line.strip()))
        if columns[-1].keys() != columns[0].keys():
            odd = sorted(columns[-1].keys() ^ columns[0].keys())[0]
            raise UserError(
                f"{file} and {folder / f'{classes[0]}_{name}.txt'} differ in their images ({odd[0]} is in one only); "
                "unpack the archive anew."
            )
    entries = list(columns[0])
    if not entries:
        raise UserError(f"{folder / f'{classes[0]}_{name}.txt'} lists no images; {REMEDY}.")
    return entries, np.array([[column[entry] for column in columns] for entry in entries], dtype=np.int8)


def read_line(line: str, file: Path) -> tuple[Entry, int]:
    """An image, perhaps with the number of an object, and its target."""
    match line.split():
        case [image, ("1" | "-1" | "0") as target]:
            return (image, 0), int(target)
        case [image, number, ("1" | "-1" | "0") as target] if re.fullmatch("[0-9]{1,9}", number):
            return (image, int(number)), int(target)
    raise UserError(f"{file} has a line {line!r}; allowed: <image> <1, -1 or 0>, or <image> <object> <1, -1 or 0>.")


def image_files(home: Path, entries: Iterable[Entry]) -> list[str]:
    """Their files below `home`.

    Raises:
        UserError: naming one that is missing.
    """
    present = {file.name for file in (home / "JPEGImages").glob("*.jpg")}
    names = [f"{image}.jpg" for image, _ in entries]
    absent = next((name for name in names if name not in present), None)
    if absent:
        raise UserError(f"{home / 'ImageSets'} names {home / 'JPEGImages' / absent}, which is missing; unpack it anew.")
    return [f"JPEGImages/{name}" for name in names]


def box_of(home: Path, entry: Entry) -> list[int]:
    """The box of an object of an image, in the pixels from 0 on that `LabelledImages` counts by."""
    image, number = entry
    file = home / "Annotations" / f"{image}.xml"
    try:
        item = dict(enumerate(ElementTree.parse(file).findall("object"), start=1))[number]
        left, top, right, bottom = (
            round(float(item.findtext(f"bndbox/{tag}", ""))) for tag in ("xmin", "ymin", "xmax", "ymax")
        )
        if max(map(abs, (left, top, right, bottom))) > MOST_PIXELS:
            raise ValueError("a number of pixels that no image has")
    except (OSError, ElementTree.ParseError, LookupError, ValueError, OverflowError) as error:
        raise UserError(f"{file} tells no box of object {number}; unpack the archive anew.") from error
    return [left - 1, top - 1, right, bottom]
