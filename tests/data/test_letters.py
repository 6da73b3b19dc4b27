"""The second embedded data set: deterministic, its letters where the boxes are, its lists as the annotations say."""

import hashlib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from vggsuite.data import letters
from vggsuite.data.embedding import draw_once


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole data set."""
    root = tmp_path_factory.mktemp("data") / "letters"
    letters.embed_letters(root)
    return root


@pytest.fixture(scope="module")
def voc(drawn: Path) -> Path:
    return drawn / "VOCdevkit/VOC2012"


@pytest.fixture(scope="module")
def objects(voc: Path) -> dict[str, list[ElementTree.Element]]:
    """The annotated objects of each scene."""
    return {file.stem: ElementTree.parse(file).findall("object") for file in sorted(voc.glob("Annotations/*.xml"))}


def read(file: Path) -> list[list[str]]:
    return [line.split() for line in file.read_text().splitlines()]


def box_of(item: ElementTree.Element) -> tuple[int, ...]:
    return tuple(int(item.findtext(f"bndbox/{edge}", "")) for edge in ("xmin", "ymin", "xmax", "ymax"))


def test_each_class_has_each_typeface_in_both_cases(drawn: Path) -> None:
    folders = sorted((drawn / "101_ObjectCategories").iterdir())
    assert "".join(folder.name for folder in folders) == "abcdefghijklmnopqrstuvwxyz"
    for folder in folders:
        assert sorted(file.name for file in folder.iterdir()) == [f"image_{n:04d}.jpg" for n in range(1, 45)]
        assert len({file.read_bytes() for file in folder.iterdir()}) == 44
    glyphs = {
        letters.draw_glyph(typeface, character).tobytes()
        for typefaces in letters.TYPEFACES.values()
        for typeface in typefaces
        for character in "gG"
    }
    assert len(glyphs) == 44


def test_the_splits_of_the_scenes_share_no_image_and_no_typeface(
    voc: Path, objects: dict[str, list[ElementTree.Element]]
) -> None:
    train, val, trainval = (
        [stem for [stem] in read(voc / f"ImageSets/Main/{s}.txt")] for s in ("train", "val", "trainval")
    )
    assert (len(train), len(val)) == (250, 250)
    assert sorted(train + val) == trainval == sorted(file.stem for file in voc.glob("JPEGImages/*.jpg"))
    typefaces = [{item.findtext("typeface") for stem in split for item in objects[stem]} for split in (train, val)]
    assert [len(used) for used in typefaces] == [11, 11]
    assert not typefaces[0] & typefaces[1]


def test_the_annotated_boxes_are_inside_the_image_and_apart(
    voc: Path, objects: dict[str, list[ElementTree.Element]]
) -> None:
    for stem, items in objects.items():
        annotation = ElementTree.parse(voc / f"Annotations/{stem}.xml")
        width, height = Image.open(voc / f"JPEGImages/{stem}.jpg").size
        assert [e.text for e in annotation.iterfind("size/")] == [str(width), str(height), "3"]
        assert 3 <= len({item.findtext("name") for item in items}) == len(items) <= 5
        covered = np.zeros((height + 1, width + 1), int)
        for xmin, ymin, xmax, ymax in map(box_of, items):
            assert 1 <= xmin < xmax <= width
            assert 1 <= ymin < ymax <= height
            covered[ymin : ymax + 1, xmin : xmax + 1] += 1
        assert covered.max() == 1


@pytest.mark.parametrize("split", ["train", "val", "trainval"])
def test_the_lists_say_what_the_annotations_say(
    voc: Path, objects: dict[str, list[ElementTree.Element]], split: str
) -> None:
    stems = [stem for [stem] in read(voc / f"ImageSets/Main/{split}.txt")]
    clear = [
        (stem, str(number), item.findtext("name"))
        for stem in stems
        for number, item in enumerate(objects[stem], start=1)
        if item.findtext("difficult") == "0"
    ]
    difficult = {(stem, item.findtext("name")) for stem in stems for item in objects[stem]}
    difficult -= {(stem, name) for stem, _, name in clear}
    assert 0.02 < len(difficult) / (len(difficult) + len(clear)) < 0.08
    assert read(voc / f"ImageSets/Action/{split}.txt") == [[stem, number] for stem, number, _ in clear]
    for name in letters.CLASSES:
        positive = {stem for stem, _, own in clear if own == name}
        labels = {stem: "1" if stem in positive else "0" if (stem, name) in difficult else "-1" for stem in stems}
        assert read(voc / f"ImageSets/Main/{name}_{split}.txt") == [[stem, label] for stem, label in labels.items()]
        actions = [[stem, number, "1" if own == name else "-1"] for stem, number, own in clear]
        assert read(voc / f"ImageSets/Action/{name}_{split}.txt") == actions
        assert len(positive) >= 20


def test_lines_are_in_the_columns_of_voc(voc: Path) -> None:
    lines = (voc / "ImageSets/Main/a_train.txt").read_text().splitlines()
    assert {line[:5] + line[11:] for line in lines} >= {"2012_ -1", "2012_  1"}
    assert lines[0].startswith("2012_000001 ")


@pytest.mark.parametrize(("faint", "least", "most"), [(False, 68, 152), (True, 8, 22)])
def test_a_letter_is_lighter_than_its_ground_and_fills_its_box(faint: bool, least: int, most: int) -> None:
    for seed in range(40):
        canvas = Image.new("RGB", (128, 128), (50, 60, 70))
        ground = np.asarray(canvas.convert("L"), int)
        rng = np.random.default_rng(seed)
        centre = np.array([64.0, 64.0])
        box = letters.print_letter(rng, canvas, "DejaVuSans-Bold", "Q", side=48, centre=centre, faint=faint)
        change = np.asarray(canvas.convert("L"), int) - ground
        inside = change[box.ymin : box.ymax, box.xmin : box.xmax]
        assert np.abs(change).sum() * 0.99 <= np.abs(inside).sum()
        assert least <= change.max() <= most
        for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]):
            assert np.abs(edge).max() >= np.abs(change).max() / 5
        assert 46 <= max(inside.shape) <= 62


def test_drawn_twice_it_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters, "CLASSES", "abcde")
    monkeypatch.setattr(letters, "NUM_SCENES", 10)
    digests = []
    for name in ("first", "second"):
        root = tmp_path / name
        letters.embed_letters(root)
        files = sorted(file for file in root.rglob("*") if file.is_file())
        parts = [str(file.relative_to(root)).encode() + file.read_bytes() for file in files]
        digests.append(hashlib.sha256(b"".join(parts)).hexdigest())
        assert len(files) == 5 * 44 + 10 * 2 + 2 * 3 * (1 + 5)
    assert digests[0] == digests[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "second"]


def test_of_two_processes_that_draw_at_once_the_first_wins(tmp_path: Path) -> None:
    root = tmp_path / "set"

    def first(staging: Path) -> None:
        (staging / "file").write_text("first")

    def second(staging: Path) -> None:
        (staging / "file").write_text("second")
        draw_once(root, first)

    draw_once(root, second)
    assert (root / "file").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
