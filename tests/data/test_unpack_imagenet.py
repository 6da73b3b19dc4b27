"""The original tar files, in miniature, become class folders that the suite reads."""

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image
from torchvision.datasets import imagenet as torchvisions

from vggsuite.data.layouts import imagenet
from vggsuite.data.unpack_imagenet import unpack

WNIDS = ["n01440764", "n01443537"]


def jpeg() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (20, 20)).save(stream, "JPEG")
    return stream.getvalue()


def tar(files: dict[str, bytes], mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def devkit() -> bytes:
    """The devkit's class table and validation labels, as torchvision reads them."""
    fields = [(name, object) for name in ("ILSVRC2012_ID", "WNID", "words", "gloss", "num_children")]
    synsets = np.array([(i + 1, w, w, w, 0) for i, w in enumerate(WNIDS)], dtype=fields).reshape(-1, 1)
    stream = io.BytesIO()
    scipy.io.savemat(stream, {"synsets": synsets})
    folder = "ILSVRC2012_devkit_t12/data"
    return tar(
        {f"{folder}/meta.mat": stream.getvalue(), f"{folder}/ILSVRC2012_validation_ground_truth.txt": b"2\n1\n"}, "w:gz"
    )


def test_the_tar_files_become_class_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = tar({f"{w}.tar": tar({f"{w}_{n}.JPEG": jpeg() for n in range(3)}) for w in WNIDS})
    val = tar({f"ILSVRC2012_val_0000000{n}.JPEG": jpeg() for n in (1, 2)})
    contents = {"train": train, "val": val, "devkit": devkit()}
    archives = {
        part: (name, hashlib.md5(contents[part]).hexdigest()) for part, (name, _) in torchvisions.ARCHIVE_META.items()
    }
    monkeypatch.setattr(torchvisions, "ARCHIVE_META", archives)
    for part, (name, _) in archives.items():
        (tmp_path / name).write_bytes(contents[part])
    unpack(tmp_path)
    images = imagenet(tmp_path)
    assert images.classes == WNIDS
    assert images.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert images.val.labels.tolist() == [0, 1]
    assert [Path(name).name[-6:-5] for name in images.val.names()] == ["2", "1"]
