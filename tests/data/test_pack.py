"""Packed data sets are the data sets that were packed, whatever happens to the packing."""

import io
import os
import shutil
import tarfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import smooth_picture
from vggsuite.config import DataConfig, Layout
from vggsuite.data import pack as packing
from vggsuite.data.config import PackConfig
from vggsuite.data.find import find_images
from vggsuite.data.layouts import ImageSet
from vggsuite.data.packed import read_pack
from vggsuite.data.samples import Samples
from vggsuite.errors import UserError
from vggsuite.files import exclusive

MakeTree = Callable[..., Path]


@pytest.fixture
def source(make_tree: MakeTree) -> Path:
    """17 training and 4 validation images in two classes, odd ones among them."""
    root = make_tree("train", classes=("cat", "dog"), images=6)
    make_tree("val", classes=("cat", "dog"), images=2)
    picture = smooth_picture(300, 200)
    picture.convert("CMYK").save(root / "train/cat/cmyk.jpg")
    picture.convert("L").save(root / "train/cat/grey.v1.2.JPEG", "JPEG")
    picture.save(root / "train/dog/png.JPEG", "PNG")
    picture.save(root / "train/dog/große Eule.jpg", progressive=True)
    (root / "train/dog/pixel.bmp").write_bytes(encoded(Image.new("RGB", (1, 1)), "BMP"))
    return root


def encoded(image: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def settings(source: Path, **changes: Any) -> PackConfig:
    data = DataConfig("birds", Layout.folder, str(source), 32, mean=[0.0] * 3, held_out=0.2)
    made = PackConfig(data, str(source.parent / "packed"), images_per_shard=4, num_threads=1)
    return replace(made, **changes)


def packed(config: PackConfig) -> ImageSet:
    packing.pack(config)
    return find_images(replace(config.data, root=config.output))


def contents(samples: Samples) -> list[bytes]:
    return [samples.open(index).read() for index in range(len(samples))]


def shards(config: PackConfig) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in Path(config.output).glob("*.tar")}


@pytest.mark.parametrize("num_threads", [1, 2])
def test_a_pack_is_the_data_set_itself(num_threads: int, source: Path) -> None:
    config = settings(source, num_threads=num_threads)
    loose, found = find_images(config.data), packed(config)
    assert found.classes == loose.classes
    assert found.fingerprint() == loose.fingerprint()
    assert found.train_fingerprint() == loose.train_fingerprint()
    for one, other in ((found.train, loose.train), (found.val, loose.val)):
        assert one.names() == other.names()
        assert one.num_bytes() == other.num_bytes()
        assert contents(one) == contents(other)
        assert [one.size(index) for index in range(len(one))] == [other.size(index) for index in range(len(other))]
    assert [len(shard) for shard in found.train.shards()] == [4, 4, 4, 4, 1]
    assert read_pack(Path(config.output), val_only=True).train.names() == []


def test_a_shard_is_in_webdatasets_layout_and_of_all_classes(source: Path) -> None:
    config = settings(source, images_per_shard=9)
    loose = find_images(config.data).train
    packed(config)
    with tarfile.open(Path(config.output) / "train-00000.tar") as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    numbers = [int(name.partition(".")[0]) for name in members]
    assert set(Counter(numbers).values()) == {2}
    for name, data in members.items():
        number, _, kind = name.partition(".")
        expected = str(loose.labels[int(number)]).encode() if kind == "cls" else loose.open(int(number)).read()
        assert data == expected
        assert "." not in kind
    assert {data for name, data in members.items() if name.endswith(".cls")} == {b"0", b"1"}
    assert sorted(set(numbers)) != list(dict.fromkeys(numbers))  # shuffled


def test_an_interrupted_packing_goes_on(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = settings(source, output=str(source.parent / "whole"))
    packed(whole)
    config, original, count = settings(source), packing.write_shard, Counter[str]()

    def killed(file: Path, *arguments: Any) -> None:
        count[file.name] += 1
        if sum(count.values()) == 4:
            file.with_name(f".{file.name}.1.tmp").write_bytes(b"half")
            raise KeyboardInterrupt
        original(file, *arguments)

    monkeypatch.setattr(packing, "write_shard", killed)
    with pytest.raises(KeyboardInterrupt):
        packed(config)
    with pytest.raises(UserError, match=r"packed is a pack whose train split is not complete; go on with the command"):
        find_images(replace(config.data, root=config.output))
    found = packed(config)
    assert [number for _, number in sorted(count.items())] == [1, 1, 1, 2, 1, 1]
    assert shards(config) == shards(whole)
    assert not list(Path(config.output).glob(".*.tmp"))
    assert found.fingerprint() == find_images(config.data).fingerprint()
    packed(config)
    assert sum(count.values()) == 7  # a finished pack is left alone


def test_damage_is_found_and_mended(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = settings(source)
    packed(config)
    as_written, folder = shards(config), Path(config.output)
    flipped = bytearray(as_written["train-00002.tar"])
    flipped[700] ^= 255
    (folder / "train-00002.tar").write_bytes(flipped)
    packed(config)
    assert shards(config) != as_written
    packed(replace(config, verify=True))
    assert shards(config) == as_written
    assert "train: 4 of 5 shards are there" in capsys.readouterr().out
    os.truncate(folder / "train-00001.tar", 1000)
    (folder / "val-00000.tar").unlink()
    with pytest.raises(UserError, match=r"train-00001.tar is cut off; mend it with the command that packed it"):
        find_images(replace(config.data, root=config.output))
    with pytest.raises(UserError, match=r"val-00000.tar is missing; mend it"):
        read_pack(folder, val_only=True)
    packed(config)
    assert shards(config) == as_written


def test_a_damaged_index_is_told_and_mended(source: Path) -> None:
    config = settings(source)
    loose, folder = packed(config), Path(config.output)
    (folder / "train-00001.npz").write_bytes(b"")
    packed(config)
    (folder / "train.npz").write_bytes((folder / "train.npz").read_bytes()[:-40])
    with pytest.raises(UserError, match=r"train.npz is damaged \(.*\); mend it with the command that packed it"):
        find_images(replace(config.data, root=config.output))
    assert packed(replace(config, verify=True)).train_fingerprint() == loose.train_fingerprint()
    (folder / "pack.json").write_text("{")
    with pytest.raises(UserError, match=r"pack.json is damaged \(.*\); pack the data set anew"):
        find_images(replace(config.data, root=config.output))


@pytest.mark.parametrize("output", ["", ".", "train/packed"])
def test_a_pack_within_what_is_packed_is_refused(output: str, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(source)
    with pytest.raises(UserError, match=r"is the folder of the images or in it"):
        packing.pack(settings(source, output=output))


def test_another_pack_in_the_folder_is_refused(source: Path) -> None:
    config = settings(source)
    packed(config)
    changes: list[dict[str, Any]] = [{"images_per_shard": 5}, {"smallest_side": 9}]
    for change in changes:
        with pytest.raises(UserError, match=r"holds a pack of other images or settings; type output="):
            packed(replace(config, **change))
    shutil.copy(source / "train/cat/cat_000.png", source / "train/cat/new.png")
    with pytest.raises(UserError, match=r"holds a pack of other images"):
        packed(config)


def test_two_processes_do_not_write_one_pack(source: Path) -> None:
    config = settings(source)
    with exclusive(Path(config.output)), pytest.raises(UserError, match="is being written by another process"):
        packed(config)


def test_what_training_would_refuse_when_it_sees_it_is_packed_as_it_is(source: Path) -> None:
    (source / "train/cat/broken.jpg").write_bytes(b"no image")
    found = packed(settings(source))
    assert b"no image" in contents(found.train)


def test_large_training_images_are_re_encoded_on_request(source: Path) -> None:
    config = settings(source, smallest_side=100, quality=90)
    loose, found = find_images(config.data), packed(config)
    assert found.re_encoded == {"smallest_side": 100, "quality": 90}
    assert contents(found.val) == contents(loose.val)
    for index, name in enumerate(loose.train.names()):
        before, after = loose.train.size(index), found.train.size(index)
        if min(before) > 100:
            assert after == (150, 100), name
            assert found.train.open(index).read().startswith(b"\xff\xd8")
        else:
            assert found.train.open(index).read() == loose.train.open(index).read()
    picture = np.asarray(Image.open(found.train.open(loose.train.names().index("train/dog/png.JPEG"))), int)
    assert np.abs(picture - np.asarray(smooth_picture(150, 100), int)).mean() < 3


def test_an_image_too_long_for_a_jpeg_is_packed_as_it_is(source: Path) -> None:
    Image.new("RGB", (70_000, 101)).save(source / "train/cat/long.png")
    found = packed(settings(source, smallest_side=100)).train
    assert (70_000, 101) in [found.size(index) for index in range(len(found))]


def test_an_image_that_cannot_be_re_encoded_is_named(source: Path) -> None:
    (source / "train/cat/broken.jpg").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"broken.jpg cannot be read as an image"):
        packed(settings(source, smallest_side=100))


def test_a_pack_is_not_packed_again(source: Path) -> None:
    config = settings(source)
    packed(config)
    with pytest.raises(UserError, match=r"packed is a pack already; type the folder of the files"):
        packing.pack(settings(Path(config.output), output=str(source.parent / "again")))


def test_a_pack_of_another_version_is_refused(source: Path) -> None:
    config = settings(source)
    packed(config)
    plan = Path(config.output) / "pack.json"
    plan.write_text(plan.read_text().replace('"version": 1', '"version": 9'))
    (Path(config.output) / "train.npz").write_bytes(b"in another layout")
    with pytest.raises(UserError, match=r"is a pack of version 9, not 1; pack the data set anew"):
        find_images(replace(config.data, root=config.output))


def test_a_folder_that_cannot_be_written_is_told(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot be written"):
        packed(settings(source, output=str(tmp_path / "file")))
