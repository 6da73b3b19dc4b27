"""Archives of strangers: whatever their members are, nothing is written outside the folder they go to."""

import hashlib
import io
import sys
import tarfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torchvision
from torchvision.datasets import imagenet as torchvisions
from torchvision.datasets.utils import extract_archive

from tests.data.test_unpack_imagenet import devkit, jpeg, tar
from vggsuite.data import download
from vggsuite.data.unpack_imagenet import unpack
from vggsuite.errors import UserError


def member(name: str, **fields: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def hostile_members(outside: Path) -> dict[str, list[tarfile.TarInfo]]:
    """Members that would write to `outside`, which is beside the folder that they are unpacked to, or that are no files
    at all."""
    up = "../" * 3
    return {
        "above": [member(f"{up}{outside.name}/written", size=1)],
        "absolute": [member(f"{outside}/written", size=1)],
        "link": [member("link", type=tarfile.SYMTYPE, linkname=str(outside)), member("link/written", size=1)],
        "link inside": [member("link", type=tarfile.SYMTYPE, linkname=".")],
        "hard link": [member("link", type=tarfile.LNKTYPE, linkname=f"{up}{outside.name}/there")],
        "device": [member("device", type=tarfile.CHRTYPE, devmajor=1, devminor=3)],
        "pipe": [member("pipe", type=tarfile.FIFOTYPE)],
    }


def hostile_tar(kind: str, outside: Path, *, packed: bool = False) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz" if packed else "w") as archive:
        for info in hostile_members(outside)[kind]:
            archive.addfile(info, io.BytesIO(b"x" * info.size))
    return stream.getvalue()


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder that nothing may write to."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/there").write_text("untouched")
    return tmp_path / "outside"


def untouched(outside: Path) -> bool:
    return [(file.name, file.read_text()) for file in outside.iterdir()] == [("there", "untouched")]


@pytest.mark.parametrize("part", ["train", "val", "class", "devkit"])
@pytest.mark.parametrize("kind", hostile_members(Path("/outside")))
def test_imagenets_archives_stay_in_their_folder(
    kind: str, part: str, outside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "some/imagenet"
    root.mkdir(parents=True)
    hostile = hostile_tar(kind, outside, packed=part == "devkit")
    contents = {"train": tar({"n01440764.tar": hostile if part == "class" else tar({"a.JPEG": jpeg()})})}
    contents |= {"val": tar({f"ILSVRC2012_val_0000000{n}.JPEG": jpeg() for n in (1, 2)}), "devkit": devkit()}
    contents |= {part: hostile} if part != "class" else {}
    archives = {
        name: (file, hashlib.md5(contents[name]).hexdigest()) for name, (file, _) in torchvisions.ARCHIVE_META.items()
    }
    monkeypatch.setattr(torchvisions, "ARCHIVE_META", archives)
    for name, (file, _) in archives.items():
        (root / file).write_bytes(contents[name])
    if kind == "absolute":  # which is put into the folder, and is no data set, or one too many
        with suppress(OSError, KeyError, IndexError, RuntimeError):
            unpack(root)
    else:
        with pytest.raises(UserError, match="an archive holds what is no plain file or folder"):
            unpack(root)
    assert untouched(outside)


@pytest.mark.parametrize("kind", hostile_members(Path("/outside")))
def test_a_downloaded_archive_stays_in_its_folder(
    kind: str, outside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "some/data/voc"
    archive = tmp_path / "archive.tar"
    archive.write_bytes(hostile_tar(kind, outside))
    monkeypatch.setattr(
        torchvision.datasets.voc,
        "download_and_extract_archive",
        lambda url, folder, **named: extract_archive(str(archive), str(folder)),
    )
    monkeypatch.setattr(sys, "argv", ["download", "voc2007", str(root)])
    before = tarfile.TarFile.extractall
    with pytest.raises((SystemExit, RuntimeError)) as told:
        download.main()
    if kind != "absolute":  # which is put into the folder, and is no data set
        assert "an archive holds what is no plain file or folder" in str(told.value)
    assert untouched(outside)
    assert tarfile.TarFile.extractall is before
