"""Caltech's two data sets as they are distributed, in miniature, and the splits that are drawn of such images."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import MakeTree, smooth_picture
from vggsuite.config import DataConfig, Layout, SplitsConfig
from vggsuite.data.config import PackConfig
from vggsuite.data.find import find_images, find_labelled
from vggsuite.data.images import decode
from vggsuite.data.labelled import LabelledImages
from vggsuite.data.layouts import split_samples
from vggsuite.data.pack import pack
from vggsuite.errors import UserError

CLASSES = ["BACKGROUND_Google", "accordion", "airplanes"]
CLASSES_256 = ["001.ak47", "056.dog", "198.spider", "257.clutter"]


def write_images(folder: Path, classes: list[str], name: str, *, images: int) -> None:
    """So many JPEGs of each class, the second of each a grey one."""
    for label, own in enumerate(classes):
        (folder / own).mkdir(parents=True)
        for number in range(1, images + 1):
            picture = smooth_picture(12, 8 + number, level=60 * label)
            grey = picture.convert("L") if number == 2 else picture
            grey.save(folder / own / f"{name.format(number=number)}.jpg")


@pytest.fixture
def caltech101(tmp_path: Path) -> Path:
    """12 images of each class, and 3 more of the background."""
    root = tmp_path / "data"
    home = root / "101_ObjectCategories"
    write_images(home, CLASSES, "image_{number:04d}", images=12)
    for number in range(13, 16):
        smooth_picture(12, 12).save(home / CLASSES[0] / f"image_{number:04d}.jpg")
    (home / CLASSES[0] / "tmp").write_bytes(b"")  # as in the archive
    return root


@pytest.fixture
def caltech256(tmp_path: Path) -> Path:
    """4 images of each class, and what else is in the archive."""
    root = tmp_path / "data"
    home = root / "256_ObjectCategories"
    for own in CLASSES_256:
        write_images(home, [own], f"{own[:3]}_{{number:04d}}", images=4)
    (home / "198.spider/RENAME2").write_text("#!/bin/sh\n")
    (home / "056.dog/greg/vision309").mkdir(parents=True)
    smooth_picture(12, 12).save(home / "056.dog/greg/vision309/056_0001.jpg")
    return root


def settings(root: Path, layout: Layout = Layout.caltech101, **splits: Any) -> DataConfig:
    """How the miniature is found; by default split twice, 5 images of each class to train on."""
    drawn = SplitsConfig(**{"number": 2, "train_per_class": 5} | splits)
    return DataConfig(name=str(layout), layout=layout, root=str(root), held_out=0.2, splits=drawn)


def of_each_class(images: LabelledImages, indices: np.ndarray) -> list[int]:
    return np.bincount(images.samples.labels[indices], minlength=len(images.classes)).tolist()


def test_caltech_101_counts_its_background_and_has_grey_images(caltech101: Path) -> None:
    images = find_labelled(settings(caltech101))
    assert images.classes == CLASSES
    assert np.bincount(images.samples.labels).tolist() == [15, 12, 12]
    assert images.samples.name(15) == "101_ObjectCategories/accordion/image_0001.jpg"
    assert not images.multi_label
    assert images.boxes is None
    assert (images.targets.argmax(axis=1) == images.samples.labels).all()
    assert np.sort(images.targets, axis=1).tolist() == [[-1, -1, 1]] * 39
    assert images.sizes()[16] == (12, 10)
    assert decode(images.samples.open(16)).mode == "RGB"  # image_0002, a grey one


def test_caltech_256_and_what_else_is_in_its_archive(caltech256: Path) -> None:
    images = find_labelled(settings(caltech256, Layout.caltech256, train_per_class=2))
    assert images.classes == CLASSES_256
    assert [Path(name).name for name in images.samples.names()] == [
        f"{own[:3]}_{number:04d}.jpg" for own in CLASSES_256 for number in range(1, 5)
    ]


@pytest.mark.parametrize(
    ("layout", "folder", "wrapper"),
    [
        (Layout.caltech101, "101_ObjectCategories", "caltech101"),
        (Layout.caltech101, "101_ObjectCategories", "caltech-101"),
        (Layout.caltech256, "256_ObjectCategories", "caltech256"),
    ],
)
def test_a_folder_around_the_classes_or_they_themselves(
    layout: Layout, folder: str, wrapper: str, tmp_path: Path
) -> None:
    home = tmp_path / wrapper / folder
    write_images(home, ["a", "b"], "image_{number:04d}", images=3)
    for root in (tmp_path, tmp_path / wrapper, home):
        images = find_labelled(settings(root, layout, train_per_class=2))
        assert images.classes == ["a", "b"]
        assert images.samples.location(0) == str(home / "a/image_0001.jpg")


def test_what_a_mac_leaves_beside_images_is_passed_over(caltech101: Path) -> None:
    home = caltech101 / "101_ObjectCategories"
    (home / "accordion/._image_0001.jpg").write_bytes(b"Mac OS X")
    (home / "accordion/.DS_Store").write_bytes(b"")
    (home / ".cache").mkdir()
    assert np.bincount(find_labelled(settings(caltech101)).samples.labels).tolist() == [15, 12, 12]


def test_the_rest_of_every_class_is_tested_on(caltech101: Path) -> None:
    images = find_labelled(settings(caltech101, number=3))
    assert len(images.splits) == 3
    for split in images.splits:
        assert of_each_class(images, split.train) == [5, 5, 5]
        assert of_each_class(images, split.test) == [10, 7, 7]
        assert sorted([*split.train, *split.test]) == list(range(39))


def test_or_so_many_of_it(caltech101: Path) -> None:
    everything = find_labelled(settings(caltech101)).splits
    images = find_labelled(settings(caltech101, test_per_class=8))
    for split, all_of_it in zip(images.splits, everything, strict=True):
        assert of_each_class(images, split.test) == [8, 7, 7]
        assert set(split.test) < set(all_of_it.test)
        assert split.train.tolist() == all_of_it.train.tolist()


def test_a_fifth_of_each_class_is_held_out(caltech101: Path) -> None:
    images = find_labelled(settings(caltech101, train_per_class=10))
    for split in images.splits:
        assert of_each_class(images, split.held_out) == [2, 2, 2]
        assert set(split.held_out) < set(split.train)
    assert set(images.splits[0].held_out) != set(images.splits[1].held_out)


def test_the_splits_come_from_the_seed(caltech101: Path) -> None:
    def drawn(**splits: Any) -> list[list[list[int]]]:
        found = find_labelled(settings(caltech101, **splits)).splits
        return [[indices.tolist() for indices in split] for split in found]

    first = drawn()
    assert drawn() == first
    assert drawn(number=1) == first[:1]
    assert first[0] != first[1]
    assert all(split not in first for split in drawn(seed=1))


def test_fewer_training_images_are_among_more_of_them(caltech101: Path) -> None:
    full = find_labelled(settings(caltech101, train_per_class=8))
    fewer = {keep: find_labelled(settings(caltech101, train_per_class=8, keep_per_class=keep)) for keep in (2, 5, 8)}
    for number, split in enumerate(full.splits):
        found = {keep: images.splits[number] for keep, images in fewer.items()}
        for keep, own in found.items():
            assert of_each_class(full, own.train) == [keep] * 3
            assert of_each_class(full, own.held_out) == [max(1, round(0.2 * keep))] * 3
            assert set(own.held_out) < set(own.train)
            assert own.test.tolist() == split.test.tolist()
        assert set(found[2].train) < set(found[5].train) < set(found[8].train) == set(split.train)


def test_a_published_split_keeps_its_test_images(make_tree: MakeTree) -> None:
    make_tree("val", images=2)
    root = make_tree("train")
    whole = find_labelled(settings(root, Layout.folder, number=1, train_per_class=None))
    assert whole.classes == ["cat", "dog", "owl"]
    assert [of_each_class(whole, part) for part in whole.splits[0]] == [[6, 6, 6], [1, 1, 1], [2, 2, 2]]
    assert {whole.samples.name(index).partition("/")[0] for index in whole.splits[0].test} == {"val"}
    few = find_labelled(settings(root, Layout.folder, number=2, train_per_class=None, keep_per_class=2))
    more = find_labelled(settings(root, Layout.folder, number=2, train_per_class=None, keep_per_class=4))
    for less, own in zip(few.splits, more.splits, strict=True):
        assert [of_each_class(few, part) for part in less] == [[2, 2, 2], [1, 1, 1], [2, 2, 2]]
        assert set(less.train) < set(own.train) < set(whole.splits[0].train)
        assert less.test.tolist() == own.test.tolist() == whole.splits[0].test.tolist()
    assert set(few.splits[0].train) != set(few.splits[1].train)


def test_a_folder_is_split_at_random_on_request(make_tree: MakeTree) -> None:
    make_tree("val", images=2)
    images = find_labelled(settings(make_tree("train"), Layout.folder, train_per_class=5))
    for split in images.splits:
        assert of_each_class(images, split.train) == [5, 5, 5]
        assert sorted([*split.train, *split.test]) == list(range(24))
    trained_on = {images.samples.name(index).partition("/")[0] for index in images.splits[0].train}
    assert trained_on == {"train", "val"}


def test_a_training_sees_the_chosen_split(caltech101: Path) -> None:
    images = find_labelled(settings(caltech101))
    for number, split in enumerate(images.splits):
        config = settings(caltech101, chosen=number)
        chosen = find_images(config)
        assert chosen.classes == CLASSES
        for own, indices in ((chosen.train, split.train), (chosen.val, split.test)):
            assert own.names() == images.samples.take(indices).names()
            assert own.labels.tolist() == images.samples.labels[indices].tolist()
        _, held_out = split_samples(chosen.train, config.held_out)  # as a training chooses its epoch
        assert held_out.names() == images.samples.take(split.held_out).names()


def test_the_fingerprint_is_of_the_images_not_of_their_splits(caltech101: Path) -> None:
    first = find_labelled(settings(caltech101)).fingerprint()
    assert find_labelled(settings(caltech101, seed=1, train_per_class=3)).fingerprint() == first
    with (caltech101 / "101_ObjectCategories/airplanes/image_0003.jpg").open("ab") as file:
        file.write(b"more")
    assert find_labelled(settings(caltech101)).fingerprint() != first


def remove(root: Path) -> None:
    shutil.rmtree(root)


def leave_nothing(root: Path) -> None:
    shutil.rmtree(root / "101_ObjectCategories")


def leave_the_zip(root: Path) -> None:
    leave_nothing(root)
    (root / "caltech-101.zip").write_bytes(b"")


def leave_the_tar_of_the_zip(root: Path) -> None:
    leave_the_zip(root)
    (root / "caltech-101").mkdir()
    (root / "caltech-101/101_ObjectCategories.tar.gz").write_bytes(b"")


def empty_a_class(root: Path) -> None:
    for image in (root / "101_ObjectCategories/airplanes").iterdir():
        image.rename(image.with_suffix(".png"))


def shrink_a_class(root: Path) -> None:
    for number in range(6, 13):
        (root / f"101_ObjectCategories/airplanes/image_{number:04d}.jpg").unlink()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (remove, r"/data holds no 101_ObjectCategories/; .*fetch it with: .* caltech101 .*/data$"),
        (leave_nothing, r"/data holds no 101_ObjectCategories/"),
        (leave_the_zip, r"caltech-101.zip is not yet unpacked; unpack it.* with: unzip .*/caltech-101.zip -d .*/data$"),
        (leave_the_tar_of_the_zip, r"with: tar -xf .*/caltech-101/101_ObjectCategories.tar.gz -C .*/data$"),
        (empty_a_class, r"101_ObjectCategories/airplanes holds no JPEG images"),
        (shrink_a_class, r"class airplanes has 5 images, .*train_per_class=5 .*\(data.splits.train_per_class=4\)"),
    ],
)
def test_a_damaged_tree_is_refused(damage: Callable[[Path], None], told: str, caltech101: Path) -> None:
    damage(caltech101)
    with pytest.raises(UserError, match=told) as error:
        find_labelled(settings(caltech101))
    assert "\n" not in str(error.value)


def test_the_tar_of_caltech_256_is_not_mistaken_for_images(tmp_path: Path) -> None:
    (tmp_path / "256_ObjectCategories.tar").write_bytes(b"")
    with pytest.raises(UserError, match=r"with: tar -xf .*/256_ObjectCategories.tar -C"):
        find_labelled(settings(tmp_path, Layout.caltech256))


def test_a_class_of_one_image_cannot_be_split(tmp_path: Path) -> None:
    write_images(tmp_path / "101_ObjectCategories", ["a"], "image_{number:04d}", images=1)
    with pytest.raises(UserError, match=r"class a has 1 images, .*; add some\.$"):
        find_labelled(settings(tmp_path, train_per_class=1))


def test_the_classes_are_counted(caltech101: Path) -> None:
    config = settings(caltech101)
    config.expected = {"classes": 102}
    with pytest.raises(UserError, match=r"holds 3 classes where data=caltech101 has 102; .*data.expected.classes=3\."):
        find_labelled(config)
    config.expected = {"classes": 3, "images": 39}
    assert len(find_labelled(config).samples) == 39


def test_a_pack_is_not_taken(make_tree: MakeTree, tmp_path: Path) -> None:
    make_tree("val", images=1)
    config = settings(make_tree("train", images=2), Layout.folder, number=1, train_per_class=None)
    pack(PackConfig(config, str(tmp_path / "pack"), num_threads=1))
    config.root = str(tmp_path / "pack")
    assert len(find_images(config).train) == 6
    with pytest.raises(UserError, match="is a pack, which a transfer does not take"):
        find_labelled(config)
