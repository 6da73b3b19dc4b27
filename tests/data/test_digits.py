"""The embedded data set: deterministic, its splits disjoint, its boxes where the digits are."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import sklearn.datasets
from sklearn.datasets import load_digits

from vggsuite.data import digits
from vggsuite.data.layouts import imagenet


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set with one canvas a training digit and every fifth digit only."""
    root = tmp_path_factory.mktemp("data") / "digits"
    patch = pytest.MonkeyPatch()
    bunch = load_digits()
    bunch.images, bunch.target = bunch.images[::5], bunch.target[::5]
    patch.setattr(sklearn.datasets, "load_digits", lambda: bunch)
    patch.setattr(digits, "NUM_VAL_DIGITS", 100)
    patch.setattr(digits, "CANVASES_PER_TRAIN_DIGIT", 1)
    digits.embed_digits(root)
    patch.undo()
    return root


def test_it_is_read_as_ilsvrc(few: Path) -> None:
    images = imagenet(few)
    assert images.classes == [f"digit_{label}" for label in range(10)]
    assert (len(images.train), len(images.val)) == (260, 100)
    shares = [np.bincount(split.labels) / len(split) for split in (images.train, images.val)]
    assert np.abs(shares[0] - shares[1]).max() < 0.02


def test_every_image_has_its_annotation(few: Path) -> None:
    jpegs = sorted(file.relative_to(few / "Data").with_suffix("") for file in few.glob("Data/**/*.JPEG"))
    xmls = sorted(file.relative_to(few / "Annotations").with_suffix("") for file in few.glob("Annotations/**/*.xml"))
    assert len(jpegs) == 360
    assert jpegs == xmls


def test_the_label_in_the_csv_is_that_of_the_annotation(few: Path) -> None:
    lines = (few / "LOC_val_solution.csv").read_text().split("\n")[1:-1]
    for line in lines[:20]:
        stem, prediction = line.split(",")
        annotation = ElementTree.parse(few / f"Annotations/CLS-LOC/val/{stem}.xml")
        assert prediction.split()[0] == annotation.findtext("object/name")
        assert prediction.split()[1:] == [e.text for e in annotation.iterfind("object/bndbox/")]


def test_the_digits_of_the_splits_are_disjoint() -> None:
    labels = load_digits().target
    train, val = digits.split_digits(labels)
    assert len(set(train) & set(val)) == 0
    assert len(train) + len(val) == len(labels) == 1797


def test_a_canvas_is_deterministic_and_its_box_holds_the_digit() -> None:
    ink = load_digits().images
    blank = np.zeros_like(ink[:1])
    for seed in range(20):
        canvas, box = digits.draw_canvas(np.random.default_rng(seed), ink[seed], ink)
        again, same_box = digits.draw_canvas(np.random.default_rng(seed), ink[seed], ink)
        assert canvas.tobytes() == again.tobytes()
        assert box == same_box
        without, _ = digits.draw_canvas(np.random.default_rng(seed), blank[0], ink)
        change = np.abs(np.asarray(canvas, int) - np.asarray(without, int)).sum(axis=-1)
        inside = change[box.ymin : box.ymax, box.xmin : box.xmax].sum()
        assert inside > 0.9 * change.sum() > 0
        assert 0 <= box.xmin < box.xmax <= canvas.width
        assert 0 <= box.ymin < box.ymax <= canvas.height


def test_what_is_there_is_left_alone_and_no_staging_folder_stays(few: Path) -> None:
    stamp = (few / "LOC_val_solution.csv").stat().st_mtime_ns
    digits.embed_digits(few)
    assert (few / "LOC_val_solution.csv").stat().st_mtime_ns == stamp
    assert [path.name for path in few.parent.iterdir()] == [few.name]


def test_an_interrupted_drawing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(digits, "write_canvas", fail)
    with pytest.raises(KeyboardInterrupt):
        digits.embed_digits(tmp_path / "digits")
    assert list(tmp_path.iterdir()) == []
