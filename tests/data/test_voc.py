"""PASCAL VOC in the layout of its development kit, in miniature."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import smooth_picture
from vggsuite.config import DataConfig, Layout
from vggsuite.data.checking import check_data
from vggsuite.data.config import CheckDataConfig
from vggsuite.data.embedding import Box, voc_annotation
from vggsuite.data.find import find_images, find_labelled
from vggsuite.data.labelled import LabelledImages
from vggsuite.errors import UserError

WIDTH, HEIGHT = 40, 30
# Of each set the images, and whether each shows an aeroplane and a bird; 0 is a difficult one.
VOC2007 = {
    "train": {"000012": (1, -1), "000017": (-1, 1)},
    "val": {"000005": (1, 0), "000007": (-1, -1)},
    "test": {"000001": (-1, 1), "000002": (0, -1), "000003": (1, 1)},
}
VOC2012 = {
    "train": {f"2008_00000{n}": (1 if n % 2 else -1, -1) for n in range(1, 8)},
    "val": {"2009_000001": (1, -1), "2009_000002": (-1, 1)},
}
# Of each set the persons, and whether each jumps and phones.
ACTION = {
    "train": {"2010_000001 1": (1, -1), "2010_000001 3": (-1, 1)},
    "val": {"2010_000002 1": (1, 1)},
}
OBJECTS: dict[str, list[tuple[float, ...]]] = {  # the second one is no person
    "2010_000001": [(1, 1, WIDTH, HEIGHT), (2, 2, 9, 9), (11, 6, 20, 25)],
    "2010_000002": [(4.70000076, 2.2, 30.4, 29.6)],
}

Labels = Mapping[str, Mapping[str, tuple[int, int]]]


def write_sets(home: Path, task: str, classes: tuple[str, str], sets: Labels) -> None:
    """Lists of each set with the columns of VOC's own files, and of each of its classes."""
    folder = home / "ImageSets" / task
    folder.mkdir(parents=True)
    everything = dict(sets)
    everything["trainval"] = {**sets["train"], **sets["val"]}
    for name, labels in everything.items():
        (folder / f"{name}.txt").write_text("".join(f"{entry}\n" for entry in labels))
        for column, label in enumerate(classes):
            lines = [f"{entry} {targets[column]:2d}\n" for entry, targets in labels.items()]
            (folder / f"{label}_{name}.txt").write_text("".join(lines))
    (home / "JPEGImages").mkdir(exist_ok=True)
    for image in {entry.split()[0] for labels in sets.values() for entry in labels}:
        smooth_picture(WIDTH, HEIGHT).save(home / f"JPEGImages/{image}.jpg")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """VOC-2007, and VOC-2012 with its actions."""
    write_sets(tmp_path / "VOCdevkit/VOC2007", "Main", ("aeroplane", "bird"), VOC2007)
    home = tmp_path / "VOCdevkit/VOC2012"
    write_sets(home, "Main", ("aeroplane", "bird"), VOC2012)
    write_sets(home, "Action", ("jumping", "phoning"), ACTION)
    (home / "Annotations").mkdir()
    for image, boxes in OBJECTS.items():
        annotate(home, image, boxes)
    return tmp_path


def annotate(home: Path, image: str, boxes: list[tuple[float, ...]]) -> None:
    objects = [({"name": "person", "difficult": 0}, Box(*box)) for box in boxes]  # type: ignore[arg-type]  # as in VOC
    (home / f"Annotations/{image}.xml").write_bytes(voc_annotation({"folder": "VOC2012"}, (WIDTH, HEIGHT), objects))


def settings(root: Path, layout: Layout) -> DataConfig:
    return DataConfig(name=str(layout), layout=layout, root=str(root), held_out=0.2)


def found(root: Path, layout: Layout) -> LabelledImages:
    return find_labelled(settings(root, layout))


def stems(images: LabelledImages, indices: np.ndarray) -> list[str]:
    return [Path(images.samples.name(index)).stem for index in indices]


def test_voc_2007_is_trained_on_trainval_and_tested_on_test(root: Path) -> None:
    images = found(root, Layout.voc2007)
    (split,) = images.splits
    assert stems(images, split.train) == [*VOC2007["train"], *VOC2007["val"]]
    assert stems(images, split.held_out) == [*VOC2007["val"]]
    assert stems(images, split.test) == [*VOC2007["test"]]
    assert len(images.samples) == 7


def test_voc_2012_is_trained_on_train_of_which_a_fifth_is_held_out_and_tested_on_val(root: Path) -> None:
    images = found(root, Layout.voc2012)
    (split,) = images.splits
    assert stems(images, split.train) == [*VOC2012["train"]]
    assert stems(images, split.held_out) == ["2008_000001", "2008_000006"]
    assert stems(images, split.test) == [*VOC2012["val"]]


@pytest.mark.parametrize(("layout", "sets"), [(Layout.voc2007, VOC2007), (Layout.voc2012, VOC2012)])
def test_the_targets_are_those_of_the_lists(layout: Layout, sets: Labels, root: Path) -> None:
    images = found(root, layout)
    assert images.classes == ["aeroplane", "bird"]
    assert images.targets.tolist() == [list(targets) for labels in sets.values() for targets in labels.values()]
    assert images.targets.dtype == np.int8
    assert images.multi_label
    assert images.boxes is None
    assert images.sizes() == [(WIDTH, HEIGHT)] * len(images.samples)


def test_the_classes_of_one_image_go_together_in_whatever_order_the_lists_are(root: Path) -> None:
    before = found(root, Layout.voc2007)
    file = root / "VOCdevkit/VOC2007/ImageSets/Main/bird_test.txt"
    file.write_text("\n".join(reversed(file.read_text().splitlines())) + "\n\n")
    assert found(root, Layout.voc2007).targets.tolist() == before.targets.tolist()


def test_a_person_is_a_sample_with_a_box(root: Path) -> None:
    images = found(root, Layout.voc2012_action)
    assert images.classes == ["jumping", "phoning"]
    assert stems(images, np.arange(3)) == ["2010_000001", "2010_000001", "2010_000002"]
    assert images.targets.tolist() == [[1, -1], [-1, 1], [1, 1]]
    assert [part.tolist() for part in images.splits[0]] == [[0, 1], [0], [2]]
    assert images.boxes is not None
    assert images.boxes.tolist() == [[0, 0, WIDTH, HEIGHT], [10, 5, 20, 25], [4, 1, 30, 30]]
    assert images.sizes() == [(WIDTH, HEIGHT)] * 3


def test_the_box_of_a_part_is_not_that_of_the_person(root: Path) -> None:
    file = root / "VOCdevkit/VOC2012/Annotations/2010_000002.xml"
    part = "<part><name>head</name><bndbox><xmin>9</xmin><ymin>9</ymin><xmax>10</xmax><ymax>10</ymax></bndbox></part>"
    file.write_text(file.read_text().replace("<bndbox>", part + "<bndbox>", 1))
    boxes = found(root, Layout.voc2012_action).boxes
    assert boxes is not None
    assert boxes[2].tolist() == [4, 1, 30, 30]


@pytest.mark.parametrize("below", ["", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_the_root_may_be_any_folder_on_the_way(below: str, root: Path) -> None:
    images = found(root / below, Layout.voc2012)
    assert images.samples.location(0) == str(root / "VOCdevkit/VOC2012/JPEGImages/2008_000001.jpg")
    assert images.fingerprint() == found(root, Layout.voc2012).fingerprint()


def test_the_fingerprint_tells_targets_and_boxes(root: Path) -> None:
    prints = [found(root, Layout.voc2012_action).fingerprint()]
    home = root / "VOCdevkit/VOC2012"
    file = home / "ImageSets/Action/jumping_val.txt"
    file.write_text(file.read_text().replace(" 1\n", "-1\n"))
    prints.append(found(root, Layout.voc2012_action).fingerprint())
    annotate(home, "2010_000002", [(4, 2, 30, 30)])  # from 3 on, not 4
    prints.append(found(root, Layout.voc2012_action).fingerprint())
    assert len(set(prints)) == 3


def remove(root: Path) -> None:
    shutil.rmtree(root)


def leave_the_tar(root: Path) -> None:
    shutil.rmtree(root / "VOCdevkit")
    (root / "VOCtrainval_06-Nov-2007.tar").write_bytes(b"")


def leave_no_test_lists(root: Path) -> None:
    for file in (root / "VOCdevkit/VOC2007/ImageSets/Main").glob("*test.txt"):
        file.unlink()


def leave_no_lists(root: Path) -> None:
    for file in (root / "VOCdevkit/VOC2007/ImageSets/Main").glob("*_*.txt"):
        file.unlink()


def lose_an_image(root: Path) -> None:
    (root / "VOCdevkit/VOC2007/JPEGImages/000002.jpg").unlink()


def lose_a_line(root: Path) -> None:
    (root / "VOCdevkit/VOC2007/ImageSets/Main/bird_val.txt").write_text("000007 -1\n")


def spoil_a_line(root: Path) -> None:
    (root / "VOCdevkit/VOC2007/ImageSets/Main/bird_val.txt").write_text("000005  2\n000007 -1\n")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (remove, r"holds no VOCdevkit/VOC2007/; .* fetch it with: .* voc2007 "),
        (leave_the_tar, r"VOCtrainval_06-Nov-2007.tar is not yet unpacked; unpack it with: tar -xf .*2007.tar -C"),
        (leave_no_test_lists, r"aeroplane_test.txt is missing; unpack the archive that holds it"),
        (leave_no_lists, r"ImageSets/Main has no files <class>_train.txt"),
        (lose_an_image, r"ImageSets names .*VOC2007/JPEGImages/000002.jpg, which is missing"),
        (lose_a_line, r"bird_val.txt and .*aeroplane_val.txt differ in their images \(000005 is in one only\)"),
        (spoil_a_line, r"bird_val.txt has a line '000005  2'; allowed: <image> <1, -1 or 0>"),
    ],
)
def test_damage_is_told(damage: Callable[[Path], None], told: str, root: Path) -> None:
    damage(root)
    with pytest.raises(UserError, match=told) as error:
        found(root, Layout.voc2007)
    assert "\n" not in str(error.value)


def lose_an_annotation(home: Path) -> None:
    (home / "Annotations/2010_000002.xml").unlink()


def cut_an_annotation(home: Path) -> None:
    file = home / "Annotations/2010_000002.xml"
    file.write_bytes(file.read_bytes()[:-20])


def lose_a_person(home: Path) -> None:
    annotate(home, "2010_000002", [])


def lose_a_coordinate(home: Path) -> None:
    file = home / "Annotations/2010_000002.xml"
    file.write_text(file.read_text().replace("xmax", "width"))


def count_from_0(home: Path) -> None:
    for file in (home / "ImageSets/Action").glob("*_val.txt"):
        file.write_text("2010_000002 0  1\n")


def forget_the_number(home: Path) -> None:
    for file in (home / "ImageSets/Action").glob("*_val.txt"):
        file.write_text("2010_000002  1\n")


@pytest.mark.parametrize(
    ("damage", "number"),
    [
        (lose_an_annotation, 1),
        (cut_an_annotation, 1),
        (lose_a_person, 1),
        (lose_a_coordinate, 1),
        (count_from_0, 0),
        (forget_the_number, 0),
    ],
)
def test_a_person_without_a_box_is_told(damage: Callable[[Path], None], number: int, root: Path) -> None:
    damage(root / "VOCdevkit/VOC2012")
    with pytest.raises(
        UserError, match=rf"2010_000002.xml tells no box of object {number}; unpack the archive anew\.$"
    ):
        found(root, Layout.voc2012_action)


@pytest.mark.parametrize("box", [(0, 1, 5, 5), (1, 1, WIDTH + 1, 5), (1, 1, 5, HEIGHT + 1), (9, 1, 8, 5), (1, 9, 5, 8)])
def test_a_box_outside_its_image_is_told(box: tuple[int, int, int, int], root: Path) -> None:
    annotate(root / "VOCdevkit/VOC2012", "2010_000002", [box])
    images = found(root, Layout.voc2012_action)
    told = rf"2010_000002.jpg has 40 x 30 pixels, and a box from \({box[0] - 1}, {box[1] - 1}\) .* not inside it"
    with pytest.raises(UserError, match=told):
        images.sizes()


def test_an_image_that_cannot_be_read_is_named(root: Path) -> None:
    (root / "VOCdevkit/VOC2012/JPEGImages/2009_000002.jpg").write_bytes(b"none")
    with pytest.raises(UserError, match=r"2009_000002.jpg cannot be read as an image"):
        found(root, Layout.voc2012).sizes()


def test_the_images_are_counted(root: Path) -> None:
    config = settings(root, Layout.voc2007)
    config.expected = {"classes": 2, "images": 9963}
    with pytest.raises(UserError, match=r"holds 7 images where data=voc2007 has 9963"):
        find_labelled(config)


@pytest.mark.parametrize("layout", [Layout.voc2007, Layout.voc2012, Layout.voc2012_action])
def test_a_net_is_not_trained_on_images_of_several_classes(layout: Layout, root: Path) -> None:
    with pytest.raises(UserError, match=rf"data={layout} has images of several classes, .* mode=svm"):
        find_images(settings(root, layout))


def skipping(root: Path, layout: Layout, damage: str) -> DataConfig:
    """The settings that leave out, by the report of a check, the one image that is damaged."""
    (root / f"VOCdevkit/{damage}").write_bytes(b"")
    data = settings(root, layout)
    check_data(CheckDataConfig(data, str(root / "report.json"), num_workers=0), [])
    return replace(data, skip=str(root / "report.json"))


def test_an_image_of_a_split_is_left_out(root: Path) -> None:
    data = skipping(root, Layout.voc2007, "VOC2007/JPEGImages/000007.jpg")
    whole, images = found(root, Layout.voc2007), find_labelled(data)
    (split,) = images.splits
    assert stems(images, split.train) == ["000012", "000017", "000005"]
    assert stems(images, split.held_out) == ["000005"]
    assert stems(images, split.test) == [*VOC2007["test"]]
    assert images.targets.tolist() == np.delete(whole.targets, 3, axis=0).tolist()
    assert images.left_out is not None
    assert images.left_out.told() | {"report": ""} == {"report": "", "train": 1, "val": 0}


def test_an_image_of_several_persons_is_left_out_with_their_boxes(root: Path) -> None:
    other = {"train": {"2010_000003 1": (1, 1), **ACTION["train"]}, "val": ACTION["val"]}
    home = root / "VOCdevkit/VOC2012"
    shutil.rmtree(home / "ImageSets/Action")
    write_sets(home, "Action", ("jumping", "phoning"), other)
    annotate(home, "2010_000003", [(5, 5, 30, 25)])
    data = skipping(root, Layout.voc2012_action, "VOC2012/JPEGImages/2010_000001.jpg")
    assert json.loads((root / "report.json").read_text())["images"] == {"train": 2, "val": 1}
    images = find_labelled(data)
    assert images.boxes is not None
    assert images.boxes.tolist() == [[4, 4, 30, 25], [4, 1, 30, 30]]
    assert [len(part) for part in images.splits[0]] == [1, 1, 1]


def test_a_class_without_an_image_to_learn_is_refused(root: Path) -> None:
    data = skipping(root, Layout.voc2012_action, "VOC2012/JPEGImages/2010_000001.jpg")
    with pytest.raises(UserError, match="would leave class jumping without any train image"):
        find_labelled(data)


def test_a_split_without_an_image_held_out_is_refused(root: Path) -> None:
    held_out = VOC2007 | {"val": {"000005": (1, 1)}, "train": VOC2007["train"]}
    home = root / "VOCdevkit/VOC2007"
    shutil.rmtree(home / "ImageSets/Main")
    write_sets(home, "Main", ("aeroplane", "bird"), held_out)
    data = skipping(root, Layout.voc2007, "VOC2007/JPEGImages/000005.jpg")
    with pytest.raises(UserError, match="would leave no image held out"):
        find_labelled(data)
