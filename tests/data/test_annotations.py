"""ILSVRC's annotations in the layouts of their owners, and what may be wrong with them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import MakeTree, smooth_picture
from vggsuite.data.annotations import read_boxes
from vggsuite.data.config import BoxesConfig, Faulty
from vggsuite.data.embedding import Box, voc_annotation
from vggsuite.data.layouts import ImageSet, class_folders
from vggsuite.errors import UserError

CLASSES = ("cat", "dog")
MEND = BoxesConfig(faulty=Faulty.mend)
Objects = dict[str, list[tuple[str, tuple[float, float, float, float]]]]
GOOD: Objects = {
    "cat_000": [("cat", (3, 4, 20, 30))],
    "cat_001": [("cat", (1, 2, 10, 20)), ("dog", (5, 5, 9, 9)), ("cat", (0, 0, 40, 48))],
    "dog_000": [("dog", (2.5, 3, 17, 29))],
}


@pytest.fixture
def images(tmp_path: Path) -> ImageSet:
    """Two images of 40 x 48 pixels of each class, in train and in val."""
    for split in ("train", "val"):
        for name in CLASSES:
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(2):
                smooth_picture(40, 48).save(tmp_path / split / name / f"{name}_{number:03d}.png")
    return class_folders(tmp_path, 0.0)


def write_xml(folder: Path, objects: Objects) -> None:
    for image, named in objects.items():
        file = folder / named[0][0] / f"{image}.xml"
        file.parent.mkdir(parents=True, exist_ok=True)
        told = [({"name": name}, Box(*edges)) for name, edges in named]  # type: ignore[arg-type]
        file.write_bytes(voc_annotation({"filename": image}, (40, 48), told))


def write_csv(file: Path, objects: Objects) -> None:
    rows = ["ImageId,PredictionString"]
    for image, named in objects.items():
        words = [str(word) for name, edges in named for word in (name, *edges)]
        rows.append(f"{image},{' '.join(words)} ")
    file.write_text("\n".join(rows) + "\n")


def of_image(images: ImageSet, split: str, config: BoxesConfig, name: str) -> list[list[float]]:
    samples = getattr(images, split)
    found = read_boxes(images, split, config)
    place = [Path(each).stem for each in samples.names()].index(name)
    boxes: list[list[float]] = found.boxes.of(samples.entries[place]).tolist()
    return boxes


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("place", ["Annotations/CLS-LOC", "ILSVRC/Annotations/CLS-LOC", "Annotation", "bbox"])
def test_xml_in_its_usual_places(split: str, place: str, images: ImageSet) -> None:
    write_xml(images.root / place / split, GOOD)
    assert of_image(images, split, BoxesConfig(), "dog_000") == [[2.5, 3, 17, 29]]
    assert of_image(images, split, BoxesConfig(), "cat_001") == [[1, 2, 10, 20], [0, 0, 40, 48]]


@pytest.mark.parametrize("split", ["train", "val"])
def test_kaggles_csv(split: str, images: ImageSet) -> None:
    write_csv(images.root / f"LOC_{split}_solution.csv", GOOD)
    assert of_image(images, split, BoxesConfig(), "cat_001") == [[1, 2, 10, 20], [0, 0, 40, 48]]


def test_xml_and_csv_tell_the_same(images: ImageSet, tmp_path: Path) -> None:
    write_xml(tmp_path / "a/val", GOOD)
    (tmp_path / "b").mkdir()
    write_csv(tmp_path / "b/LOC_val_solution.csv", GOOD)
    both = [read_boxes(images, "val", BoxesConfig(root=str(tmp_path / place))) for place in "ab"]
    assert both[0].boxes.fingerprint() == both[1].boxes.fingerprint()
    assert both[0].counts == both[1].counts


def test_boxes_follow_an_image_that_is_smaller_than_what_was_annotated(images: ImageSet) -> None:
    annotation = voc_annotation({}, (400, 96), [({"name": "cat"}, Box(30, 40, 200, 60))])
    (images.root / "bbox/train").mkdir(parents=True)
    (images.root / "bbox/train/cat_000.xml").write_bytes(annotation)
    assert of_image(images, "train", BoxesConfig(), "cat_000") == [[3, 20, 20, 30]]
    write_csv(images.root / "LOC_train_solution.csv", GOOD)  # which tells no sizes
    packed = replace(images, re_encoded={"smallest_side": 40, "quality": 95})
    with pytest.raises(UserError, match=r"tells no sizes.*boxes\.root="):
        read_boxes(packed, "train", BoxesConfig())


def test_what_has_no_box_of_its_own_class_is_counted(images: ImageSet) -> None:
    write_xml(images.root / "Annotations/val", GOOD)
    found = read_boxes(images, "val", BoxesConfig())
    assert found.counts == {"images_without": 1, "of_other_classes": 1, "clipped": 0, "empty": 0, "without_image": 0}
    assert found.boxes.counts(images.val.entries).tolist() == [1, 2, 1, 0]


FAULTS = {
    "clipped": ("cat_000", (-3.0, 4.0, 20.0, 60.0), [[0, 4, 20, 48]]),
    "empty": ("cat_000", (20.0, 4.0, 3.0, 30.0), []),
    "without_image": ("cat_777", (3.0, 4.0, 20.0, 30.0), None),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_box_is_refused_or_mended_and_counted(fault: str, images: ImageSet) -> None:
    image, edges, mended = FAULTS[fault]
    write_xml(images.root / "Annotations/val", {"dog_001": [("dog", (1, 2, 3, 4))], image: [("cat", edges)]})
    with pytest.raises(UserError, match=rf"faulty boxes \(1 .*{image}.*boxes\.faulty=mend"):
        read_boxes(images, "val", BoxesConfig())
    found = read_boxes(images, "val", MEND)
    assert found.counts[fault] == 1
    if mended is not None:
        assert of_image(images, "val", MEND, image) == mended


def test_a_box_wholly_outside_is_none(images: ImageSet) -> None:
    write_csv(images.root / "LOC_val_solution.csv", {"cat_000": [("cat", (50, 60, 70, 80))]})
    assert of_image(images, "val", MEND, "cat_000") == []


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("LOC_val_solution.csv", "ImageId,PredictionString\ncat_000,cat 1 2 3\n", "cannot be read in line 2"),
        ("LOC_val_solution.csv", "ImageId,PredictionString\ncat_000,cat 1 2 3 inf\n", "cannot be read in line 2"),
        ("LOC_val_solution.csv", "ImageId\ncat_000\n", "cannot be read in line 2"),
        ("Annotations/val/cat_000.xml", "<annotation><object>", "is no PASCAL-VOC annotation"),
        ("Annotations/val/cat_000.xml", "<a><object><name>cat</name></object></a>", "is no PASCAL-VOC annotation"),
    ],
)
def test_a_damaged_annotation_is_named(file: str, content: str, told: str, images: ImageSet) -> None:
    (images.root / file).parent.mkdir(parents=True, exist_ok=True)
    (images.root / file).write_text(content)
    with pytest.raises(UserError, match=told):
        read_boxes(images, "val", BoxesConfig())


def test_without_annotations_it_says_where_they_were_looked_for(images: ImageSet) -> None:
    with pytest.raises(UserError, match=r"holds no boxes of the val images.*boxes\.root="):
        read_boxes(images, "val", BoxesConfig())


def test_images_of_one_name_cannot_be_told_apart(make_tree: MakeTree) -> None:
    root = make_tree("train")
    for folder in ("dog", "owl"):
        smooth_picture(40, 48).save(root / "train" / folder / "cat_000.png")
    make_tree("val")
    images = class_folders(root, 0.0)
    with pytest.raises(UserError, match="two images of train have one name"):
        read_boxes(images, "train", BoxesConfig())


def test_the_embedded_digits_have_a_box_each() -> None:
    from vggsuite.data.digits import draw_canvas

    rng = np.random.default_rng(0)
    digit = np.zeros((8, 8))
    digit[1:7, 2:6] = 16
    image, box = draw_canvas(rng, digit, digit[None])
    assert 0 <= box.xmin < box.xmax <= image.width
    assert 0 <= box.ymin < box.ymax <= image.height
