"""What a check finds in data sets that were made faulty, and what its report then leaves out."""

import io
import json
import os
import signal
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import MakeTree, smooth_picture
from tests.data.test_layouts import make_kaggle
from vggsuite.config import DataConfig, Layout, SplitsConfig
from vggsuite.data.annotations import read_boxes
from vggsuite.data.checking import check_data, next_command
from vggsuite.data.config import BoxesConfig, CheckDataConfig, PackConfig, Problem
from vggsuite.data.duplicates import groups_of_equals
from vggsuite.data.examining import examine
from vggsuite.data.find import find_images, find_labelled
from vggsuite.data.pack import pack
from vggsuite.data.reading import Looks
from vggsuite.errors import UserError
from vggsuite.naming import variant_of

PICTURE = smooth_picture(60, 50, level=7)


def encoded(image: Image.Image, kind: str, **settings: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **settings)
    return file.getvalue()


JPEG, PNG, GIF, WEBP = (encoded(PICTURE, kind) for kind in ("JPEG", "PNG", "GIF", "WEBP"))
CUT = JPEG[:-300]  # after its header, which is the most of so small a file


def png_of_size(width: int, height: int) -> bytes:
    """A PNG file that is whole but for its pixels, of which it has few."""
    chunks = ((b"IHDR", struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(bytes(99))))
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in (*chunks, (b"IEND", b""))
    )
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(
    ("name", "data", "kinds", "told"),
    [
        ("fine.jpg", JPEG, [], ""),
        ("fine.JPEG", JPEG, [], ""),
        ("fine.PNG", PNG, [], ""),
        ("bytes after its end.jpg", JPEG + b"thumbnail", [], ""),
        ("progressive.jpeg", encoded(PICTURE, "JPEG", progressive=True), [], ""),
        ("several.jpg", encoded(PICTURE, "MPO", save_all=True, append_images=[PICTURE]), [], ""),
        ("cut.jpg", CUT, ["truncated"], "image file is truncated"),
        ("cut, with an end.jpg", CUT + b"\xff\xd9", ["truncated"], "premature end"),
        ("without an end.jpg", JPEG[:-2], ["truncated"], "image file is truncated"),
        ("cut in its header.jpg", JPEG[:30], ["truncated"], "Truncated File Read"),
        ("cut.png", PNG[: len(PNG) // 2], ["truncated"], "truncated"),
        ("cut.webp", WEBP[: len(WEBP) // 2], ["truncated"], "decoder"),
        ("extraneous.jpg", JPEG[:-2] + bytes(50) + JPEG[-2:], ["damaged"], "extraneous bytes"),
        ("empty.jpg", b"", ["unreadable"], "the file is empty"),
        ("text.png", b"It is no image.", ["unreadable"], "no image of a known format"),
        ("broken.png", PNG[:60] + b"\0\0" + PNG[62:], ["unreadable"], "broken data stream"),
        ("bomb.png", png_of_size(60_000, 60_000), ["unreadable"], "3600000000 pixels"),
        ("png.jpg", PNG, ["wrong_extension"], "PNG by its content"),
        ("jpeg.png", JPEG, ["wrong_extension"], "JPEG by its content"),
        ("gif.png", GIF, ["wrong_extension"], "GIF by its content"),
        ("cmyk.jpg", encoded(PICTURE.convert("CMYK"), "JPEG"), ["cmyk"], "CMYK"),
        ("pixel.png", encoded(Image.new("RGB", (1, 1)), "PNG"), ["tiny"], "1 x 1 pixels"),
        ("narrow.png", encoded(Image.new("RGB", (31, 500)), "PNG"), ["tiny"], "31 x 500 pixels"),
        ("small.png", encoded(Image.new("RGB", (32, 32)), "PNG"), [], ""),
        ("cut, of another name.png", CUT, ["truncated", "wrong_extension"], "truncated"),
    ],
)
def test_what_is_wrong_with_an_image(name: str, data: bytes, kinds: list[str], told: str) -> None:
    faults = examine(data, name, smallest=32)
    assert [fault.kind for fault in faults] == kinds
    assert not faults or told in faults[0].reason
    assert all("\n" not in fault.reason for fault in faults)


@pytest.fixture
def faulty(make_tree: MakeTree) -> Path:
    """Class folders in train and val with one of each fault."""
    root = make_tree("train", classes=("cat", "dog"), images=8)
    make_tree("val", classes=("cat", "dog"), images=2)
    for number, name in enumerate(("cat_000", "cat_001", "dog_000", "dog_001")):  # else they would be those of train
        smooth_picture(40, 50, level=200 + number).save(root / "val" / name[:3] / f"{name}.png")
    cat = root / "train/cat"
    for name, data in (
        ("cut\nhere.jpg", CUT),
        ("disguised.jpg", PNG),
        ("text.png", b"It is no image."),
        ("CMYK.JPEG", encoded(PICTURE.convert("CMYK"), "JPEG")),
        ("pixel.png", encoded(Image.new("RGB", (1, 1)), "PNG")),
        ("again.png", (cat / "cat_000.png").read_bytes()),
        ("notes.txt", b""),
    ):
        (cat / name).write_bytes(data)
    (root / "train/dog/seen.png").write_bytes((root / "val/cat/cat_000.png").read_bytes())
    (root / "val/dog/cut.png").write_bytes(PNG[: len(PNG) // 2])
    (root / "train/cat/lost.jpg").symlink_to("/nowhere")
    return root


def settings(root: Path, **changes: Any) -> DataConfig:
    data = DataConfig("pets", Layout.folder, str(root), 32, mean=[0.0] * 3, held_out=0.2, num_workers=0)
    return replace(data, **changes)


def check(data: DataConfig, **changes: Any) -> Path:
    """The report of a check of `data`."""
    config = CheckDataConfig(data, str(Path(data.root).parent / "reports/report.json"), num_workers=0)
    config = replace(config, **changes)
    check_data(config, ["data=folder", "data.name=pets"])
    return Path(config.output)


def checked(data: DataConfig, **changes: Any) -> Any:
    return json.loads(check(data, **changes).read_text())


@pytest.mark.parametrize("num_workers", [0, 2])
def test_the_report(num_workers: int, faulty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (faulty / "train/bird").mkdir()
    (faulty / "val/owl").mkdir()
    PICTURE.save(faulty / "val/owl/owl.png")
    report = checked(settings(faulty, expected={"train": 30, "val": 6}), num_workers=num_workers)
    assert report["images"] == {"train": 24, "val": 6}
    assert [(each["image"], each["part"], each["kind"]) for each in report["problems"]] == [
        ("train/cat/CMYK.JPEG", "train", "cmyk"),
        ("train/cat/cut\nhere.jpg", "train", "truncated"),
        ("train/cat/disguised.jpg", "train", "wrong_extension"),
        ("train/cat/lost.jpg", "train", "unreadable"),
        ("train/cat/pixel.png", "train", "tiny"),
        ("train/cat/text.png", "train", "unreadable"),
        ("val/dog/cut.png", "val", "truncated"),
    ]
    assert report["problems"][3]["reason"] == "no such file"
    none = {"train": 0, "val": 0}
    assert report["counts"] == {
        "unreadable": {"train": 2, "val": 0},
        "truncated": {"train": 1, "val": 1},
        "damaged": none,
        "wrong_extension": {"train": 1, "val": 0},
        "cmyk": {"train": 1, "val": 0},
        "tiny": {"train": 1, "val": 0},
        "duplicate": {"train": 2, "val": 2},
    }
    assert report["duplicates"] == [
        {"names": {"train": ["train/cat/disguised.jpg"], "val": ["val/owl/owl.png"]}, "classes": ["cat", "owl"]},
        {"names": {"train": ["train/dog/seen.png"], "val": ["val/cat/cat_000.png"]}, "classes": ["cat", "dog"]},
        {"names": {"train": ["train/cat/again.png", "train/cat/cat_000.png"]}, "classes": ["cat"]},
    ]
    train, val = report["classes"].pop("folders")
    assert report["classes"] == {
        "names": ["cat", "dog", "owl"],
        "in_one_only": {"train": ["bird"], "val": ["owl"]},
    }
    assert (train["empty"], train["other_files"]) == (["bird"], {"count": 1, "first": ["train/cat/notes.txt"]})
    assert (val["empty"], val["other_files"]) == ([], {"count": 0, "first": []})
    assert report["unexpected"] == {"train": {"found": 24, "expected": 30}}
    assert report["skip"] == {
        "unreadable": {"train": ["train/cat/lost.jpg", "train/cat/text.png"], "val": []},
        "truncated": {"train": ["train/cat/cut\nhere.jpg"], "val": ["val/dog/cut.png"]},
    }
    told = capsys.readouterr().out
    assert "pets: 24 train and 6 val images of 3 classes" in told
    assert "train/cat/cut\\nhere.jpg: image file is truncated" in told
    assert "to be left out (skip=[unreadable,truncated]): 3 train and 1 val images" in told
    assert told.splitlines()[-1].startswith(
        "leave them out with: python src/train.py data=folder data.name=pets data.skip="
    )


def test_of_a_pair_in_train_and_val_the_training_image_is_left_out(faulty: Path) -> None:
    report = checked(settings(faulty), skip=[Problem.duplicate, Problem.tiny])
    assert report["skip"] == {
        "duplicate": {"train": ["train/dog/seen.png"], "val": []},
        "tiny": {"train": ["train/cat/pixel.png"], "val": []},
    }


def test_one_tree_is_checked_as_it_is_split(make_tree: MakeTree) -> None:
    root = make_tree(images=4)
    (root / "owl/owl_000.png").write_bytes(b"")
    (root / "cat/notes.txt").write_bytes(b"")
    data = settings(root, val_fraction=0.25)
    report = checked(data)
    assert report["images"] == {"train": 9, "val": 3}
    assert [folder["other_files"]["count"] for folder in report["classes"]["folders"]] == [1]
    images = find_images(replace(data, skip=str(root.parent / "reports/report.json")))
    assert "owl/owl_000.png" not in images.train.names()
    assert images.val.names() == find_images(data).val.names()


def test_kaggles_layout_is_checked_with_labels_that_do_not_fit(make_tree: MakeTree) -> None:
    root = make_kaggle(make_tree)
    val = root / "ILSVRC/Data/CLS-LOC/val"
    for name in ("val_1", "val_3", "val_4"):
        (val / f"{name}.JPEG").write_bytes(JPEG + name.encode())
    (val / "val_2.JPEG").unlink()
    csv = root / "LOC_val_solution.csv"
    csv.write_text(csv.read_text().replace("val_3,dog", "val_3,bird"))
    report = checked(settings(root, layout=Layout.imagenet))
    assert report["images"] == {"train": 18, "val": 3}
    assert report["counts"]["unreadable"] == {"train": 0, "val": 1}
    assert report["classes"]["in_one_only"] == {"train": ["cat"], "val": ["bird"]}
    assert report["classes"]["folders"][1]["other_files"]["first"] == ["ILSVRC/Data/CLS-LOC/val/val_4.JPEG"]


def test_a_set_without_splits_has_one_part(tmp_path: Path) -> None:
    """Of one content, all but the first are left out, before splits are drawn."""
    for name in ("accordion", "airplanes"):
        (tmp_path / "data/101_ObjectCategories" / name).mkdir(parents=True)
        for number in range(6):
            picture = smooth_picture(40, 40 + number, level=(20 if name == "accordion" else 90) * (number != 5))
            picture.save(tmp_path / f"data/101_ObjectCategories/{name}/image_{number:04d}.jpg")
    splits = SplitsConfig(number=2, train_per_class=3)
    data = settings(tmp_path / "data", layout=Layout.caltech101, splits=splits, expected={"images": 12})
    report = check(data, skip=[Problem.duplicate])
    assert json.loads(report.read_text())["skip"] == {
        "duplicate": {"images": ["101_ObjectCategories/airplanes/image_0005.jpg"]}
    }
    found = find_labelled(replace(data, skip=str(report)))
    assert len(found.samples) == 11
    assert [len(split.test) for split in found.splits] == [5, 5]
    assert found.left_out is not None
    assert found.left_out.told()["images"] == 1
    assert next_command(report, data, ["data=caltech101"]).startswith("python src/transfer.py data=caltech101 ")


def test_a_pack_is_checked_as_its_files_are_and_takes_their_report(faulty: Path) -> None:
    (faulty / "train/cat/lost.jpg").unlink()
    data = settings(faulty)
    packed = replace(data, root=str(faulty.parent / "packed"))
    pack(PackConfig(data, packed.root, images_per_shard=5, num_threads=1))
    loose, found = checked(data), checked(packed, output=str(faulty.parent / "pack.json"))
    for told in ("images", "problems", "duplicates", "skip", "counts"):
        assert found[told] == loose[told]
    images = find_images(replace(packed, skip=str(faulty.parent / "reports/report.json")))
    assert (len(images.train), len(images.val)) == (21, 4)


def test_training_images_that_a_pack_re_encoded_are_not_told_by_their_names(faulty: Path) -> None:
    for name in ("text.png", "cut\nhere.jpg", "lost.jpg"):
        (faulty / "train/cat" / name).unlink()
    data = settings(faulty)
    packed = replace(data, root=str(faulty.parent / "packed"))
    pack(PackConfig(data, packed.root, smallest_side=36, num_threads=1))
    assert checked(packed)["counts"]["wrong_extension"] == {"train": 0, "val": 0}


def test_what_the_report_names_is_left_out(faulty: Path) -> None:
    data = settings(faulty, expected={"classes": 2, "train": 24, "val": 5})
    skipping = replace(data, skip=str(check(data)))
    whole, images = find_images(data), find_images(skipping)
    gone = {"train/cat/lost.jpg", "train/cat/text.png", "train/cat/cut\nhere.jpg"}
    assert set(whole.train.names()) - set(images.train.names()) == gone
    assert set(whole.val.names()) - set(images.val.names()) == {"val/dog/cut.png"}
    assert len(images.train) == 24 - 3
    assert images.fingerprint() != whole.fingerprint()
    assert images.left_out is not None
    told = images.left_out.told()
    assert len(told.pop("report")) == 64
    assert told == {"train": 3, "val": 1}
    tested = find_images(skipping, val_only=True)
    assert tested.fingerprint() == images.fingerprint()
    assert tested.left_out is not None
    assert tested.left_out.told() | {"report": ""} == {"report": "", "val": 1}
    transferred = find_labelled(skipping)
    assert len(transferred.samples) == 21 + 4
    assert transferred.left_out == images.left_out


def spoil(report: Any, change: Callable[[Any], None]) -> str:
    change(report)
    return json.dumps(report)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda report: "", "is no report of python src/check_data.py, or a damaged one"),
        (lambda report: "[]", "is no report of"),
        (lambda report: json.dumps(report)[:-20], "is no report of"),
        (lambda report: "[" * 100_000, "is no report of"),
        (lambda report: spoil(report, lambda r: r.pop("skip")), "is no report of"),
        (lambda report: spoil(report, lambda r: r.update(schema_version=9)), "is no report of"),
        (lambda report: spoil(report, lambda r: r["skip"].update(tiny={"train": "cat"})), "is no report of"),
        (lambda report: spoil(report, lambda r: r["skip"].update(tiny={"test": ["a"]})), "is no report of"),
        (
            lambda report: spoil(report, lambda r: r["data"].update(name="birds")),
            "is the report of data=birds, not of pets",
        ),
        (lambda report: spoil(report, lambda r: r["classes"]["names"].append("owl")), r"of other classes \(owl is in"),
        (
            lambda report: spoil(report, lambda r: r["skip"]["truncated"]["val"].append("val/dog/x.png")),
            "lists val/dog/x.png, which the data set does not have",
        ),
        (
            lambda report: spoil(
                report,
                lambda r: r["skip"]["truncated"]["val"].extend(f"val/cat/cat_00{number}.png" for number in range(2)),
            ),
            "would leave class cat without any val image",
        ),
    ],
)
def test_a_report_that_does_not_fit_is_refused(change: Callable[[Any], str], told: str, faulty: Path) -> None:
    data = settings(faulty)
    report = check(data)
    report.write_text(change(json.loads(report.read_text())))
    with pytest.raises(UserError, match=told) as error:
        find_images(replace(data, skip=str(report)))
    assert "\n" not in str(error.value)


def test_a_report_that_is_not_there_is_refused(faulty: Path) -> None:
    for place in ("/nowhere/report.json", str(faulty)):
        with pytest.raises(UserError, match=r"cannot be read \((No such file|Is a directory).*\); type data.skip="):
            find_images(settings(faulty, skip=place))


def test_boxes_of_images_that_are_left_out_are_no_fault(faulty: Path) -> None:
    rows = ["ImageId,PredictionString"]
    rows += [f"{name},{name[:3]} 1 2 30 40 " for name in ("cat_000", "cat_001", "dog_000", "dog_001")]
    (faulty / "LOC_val_solution.csv").write_text("\n".join([*rows, "cut,dog 1 2 30 40 "]) + "\n")
    data = settings(faulty)
    report = str(check(data))
    images = find_images(replace(data, skip=report))
    assert read_boxes(images, "val", BoxesConfig()).counts["without_image"] == 0
    (faulty / "LOC_val_solution.csv").write_text("\n".join([*rows, "gone,dog 1 2 30 40 "]) + "\n")
    with pytest.raises(UserError, match="1 without an image, first that of gone"):
        read_boxes(images, "val", BoxesConfig())


def test_odd_names_and_links(make_tree: MakeTree) -> None:
    """Folders named as images are folders, links in circles are not followed for ever, pipes are no images, and a name
    that is not UTF-8 is told of, though it cannot be listed."""
    root = make_tree("train", classes=("cat",), images=2)
    make_tree("val", classes=("cat",), images=1)
    cat = root / "train/cat"
    (cat / "folder.jpg").mkdir()
    PICTURE.save(cat / "folder.jpg/in it.png")
    (cat / "circle").symlink_to(".")
    (cat / "folder.jpg/circle").symlink_to("..")
    (cat / "self.jpg").symlink_to("self.jpg")
    os.mkfifo(cat / "pipe.jpg")
    Path(os.fsdecode(os.fsencode(cat) + b"/\xff.jpg")).write_bytes(JPEG)
    report = checked(settings(root))
    assert report["images"]["train"] == 4
    assert [each["image"] for each in report["problems"]] == ["train/cat/self.jpg"]
    assert report["classes"]["folders"][0]["not_utf8"] == ["train/cat/\\udcff.jpg"]
    with pytest.raises(UserError, match=r"train/cat/\\udcff.jpg .* has a name that is not UTF-8 \(1 such file"):
        find_images(settings(root))


def test_a_killed_process_is_told_of_and_leaves_no_report(make_tree: MakeTree, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tree("val")
    data = settings(make_tree("train"))
    monkeypatch.setattr(Looks, "look", lambda looks, index: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(UserError, match=r"came to a sudden end .*num_workers=1"):
        check(data, num_workers=1)
    assert not list((Path(data.root).parent / "reports").iterdir())


def test_a_report_that_cannot_be_written_is_told_of_before_anything_is_read(
    make_tree: MakeTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(Looks, "look")
    make_tree("val")
    with pytest.raises(UserError, match=r"output=/proc/no/x.json cannot be written"):
        check(settings(make_tree("train")), output="/proc/no/x.json")


def test_equal_contents_are_found_whatever_their_bytes() -> None:
    rng = np.random.default_rng(0)
    contents = rng.integers(0, 256, (40, 32), dtype=np.uint8)
    contents[3, :31] = contents[4, :31]  # all but the last byte
    contents[5] = 0
    which = rng.integers(0, 40, 200)
    expected = [np.flatnonzero(which == content).tolist() for content in dict.fromkeys(which.tolist()) if content != 5]
    found = groups_of_equals(contents[which])
    assert [group.tolist() for group in found] == [group for group in expected if len(group) > 1]
    assert groups_of_equals(np.zeros((0, 32), np.uint8)) == []


def test_a_run_is_named_by_its_report() -> None:
    long = f"/{'far/' * 60}away/pets.json"
    names = {variant_of([f"data.skip={place}"], None) for place in (long, "pets.json", "'other/pets.json'")}
    assert len(names) == 3
    assert all(name.startswith("+data.skip-pets-") and len(name) == len("+data.skip-pets-012345") for name in names)
    assert variant_of(["data.skip=null"], None) == "+data.skip-null"
