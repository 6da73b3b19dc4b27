"""Finding the images of a data set, in the layouts that people have."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from vggsuite.data.layouts import class_folders, imagenet, split_samples
from vggsuite.data.samples import Files, Samples
from vggsuite.errors import UserError

MakeTree = Callable[..., Path]
CLASSES = ["cat", "dog", "owl"]


def names(samples: Samples) -> list[str]:
    return [Path(name).name for name in samples.names()]


def make_kaggle(make_tree: MakeTree) -> Path:
    """The Kaggle layout, its csv in an order of its own, with several boxes."""
    root = make_tree("ILSVRC", "Data", "CLS-LOC", "train")
    val = root / "ILSVRC/Data/CLS-LOC/val"
    val.mkdir()
    lines = ["ImageId,PredictionString"]
    for number, name in ((2, "owl"), (1, "dog"), (3, "dog")):
        (val / f"val_{number}.JPEG").write_bytes(b"")
        lines.append(f"val_{number},{name} 1 2 30 40 {name} 5 6 7 8 ")
    (root / "LOC_val_solution.csv").write_text("\n".join(lines) + "\n")
    return root


def test_class_folders_for_both_splits(make_tree: MakeTree) -> None:
    make_tree("val", images=2)
    images = class_folders(make_tree("train"), val_fraction=0.0)
    assert images.classes == CLASSES
    assert images.train.labels.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    assert names(images.val)[:3] == ["cat_000.png", "cat_001.png", "dog_000.png"]
    assert imagenet(images.root).fingerprint() == images.fingerprint()


def test_one_tree_is_split_by_a_fraction(make_tree: MakeTree) -> None:
    images = class_folders(make_tree(), val_fraction=0.34)
    assert [images.val.labels.tolist().count(label) for label in range(3)] == [2, 2, 2]
    assert set(images.train.names()).isdisjoint(images.val.names())
    assert len(images.train) + len(images.val) == 18


def test_files_that_are_no_images_and_hidden_folders_are_passed_over(make_tree: MakeTree) -> None:
    root = make_tree()
    (root / "cat" / "notes.txt").write_text("not an image")
    (root / ".cache").mkdir()
    shutil.copy(root / "cat/cat_000.png", root / "cat/._cat_000.png")
    assert class_folders(root, val_fraction=0.5).classes == CLASSES
    assert len(class_folders(root, val_fraction=0.5).train) == 9


def test_the_kaggle_layout(make_tree: MakeTree) -> None:
    images = imagenet(make_kaggle(make_tree))
    assert images.classes == CLASSES
    assert len(images.train) == 18
    assert names(images.val) == ["val_1.JPEG", "val_2.JPEG", "val_3.JPEG"]
    assert images.val.labels.tolist() == [1, 2, 1]


def test_the_kaggle_layout_must_be_complete(make_tree: MakeTree) -> None:
    root = make_kaggle(make_tree)
    (root / "ILSVRC/Data/CLS-LOC/val/val_2.JPEG").unlink()
    with pytest.raises(UserError, match=r"holds 2 JPEG images and LOC_val_solution.csv 3"):
        imagenet(root)
    (root / "LOC_val_solution.csv").unlink()
    with pytest.raises(UserError, match=r"LOC_val_solution.csv is missing"):
        imagenet(root)


def test_the_tar_files_are_not_mistaken_for_images(tmp_path: Path) -> None:
    (tmp_path / "ILSVRC2012_img_train.tar").write_bytes(b"")
    with pytest.raises(UserError, match="make unpack-imagenet ROOT="):
        imagenet(tmp_path)


def break_nothing_there(root: Path) -> None:
    shutil.rmtree(root)


def break_empty(root: Path) -> None:
    shutil.rmtree(root / "train")
    shutil.rmtree(root / "val")


def break_one_split(root: Path) -> None:
    shutil.rmtree(root / "val")


def break_empty_class(root: Path) -> None:
    for image in (root / "train" / "dog").iterdir():
        image.unlink()


def break_classes_differ(root: Path) -> None:
    (root / "val" / "owl").rename(root / "val" / "bird")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (break_nothing_there, "is no folder"),
        (break_empty, "holds no class folders"),
        (break_one_split, "has train/ but no val/"),
        (break_empty_class, r"train/dog holds no images"),
        (break_classes_differ, r"differ in their classes \(bird, owl"),
    ],
)
def test_a_damaged_tree_is_refused(damage: Callable[[Path], None], told: str, make_tree: MakeTree) -> None:
    make_tree("val")
    root = make_tree("train")
    damage(root)
    with pytest.raises(UserError, match=told):
        class_folders(root, val_fraction=0.2)


def test_every_class_is_split_and_none_is_emptied() -> None:
    samples = Samples.all_of(Files(Path(), [f"{i}.png" for i in range(14)]), [0] * 10 + [1] * 3 + [2])
    kept, held = split_samples(samples, 0.2)
    assert held.names() == ["8.png", "9.png", "12.png"]
    assert kept.labels.tolist() == [0] * 8 + [1] * 2 + [2]


def test_the_fingerprint_tells_labels_names_and_validation_sizes(make_tree: MakeTree) -> None:
    make_tree("val", images=2)
    root = make_tree("train")
    prints = [class_folders(root, 0.0).fingerprint()]
    with (root / "val/cat/cat_000.png").open("ab") as file:
        file.write(b"more")
    prints.append(class_folders(root, 0.0).fingerprint())
    (root / "val/cat/cat_000.png").rename(root / "val/cat/cat_999.png")
    prints.append(class_folders(root, 0.0).fingerprint())
    assert len(set(prints)) == 3
    moved = root.rename(root.with_name("elsewhere"))
    assert class_folders(moved, 0.0).fingerprint() == prints[-1]


def test_the_training_images_have_a_fingerprint_of_their_own(make_tree: MakeTree) -> None:
    make_tree("val", images=2)
    root = make_tree("train")
    before = class_folders(root, 0.0)
    (root / "train/cat/cat_000.png").rename(root / "train/cat/cat_999.png")
    after = class_folders(root, 0.0)
    assert before.fingerprint() == after.fingerprint()
    assert before.train_fingerprint() != after.train_fingerprint()


def test_the_validation_images_are_enough_for_an_evaluation(make_tree: MakeTree) -> None:
    root = make_tree("val", images=2)
    for images in (class_folders(root, 0.0, val_only=True), imagenet(root, val_only=True)):
        assert (images.classes, len(images.train), len(images.val)) == (["cat", "dog", "owl"], 0, 6)
    with pytest.raises(UserError, match="has val/ but no train/"):
        class_folders(root, 0.0)
