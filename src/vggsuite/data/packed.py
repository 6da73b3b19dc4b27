"""A data set in few large files: shards in WebDataset's tar layout, with an index by which any image is read at once.

pack.json              what was packed, and how
train-00000.tar ...    <number>.<ending of the image's file> and <number>.cls, its class index as text
train-00000.npz ...    where every image lies in the shard, and its SHA-256; written when the shard is complete
train.npz, val.npz     the same of all shards, and the images' names and labels; written when a split is complete
"""

import io
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from vggsuite.data.layouts import ImageSet
from vggsuite.data.samples import NO_IMAGES, Samples, Shards
from vggsuite.errors import UserError
from vggsuite.files import file_digest, load_arrays, naming_damaged, replacing, save_arrays, write_atomically
from vggsuite.typed import typed_json

PACK_FILE = "pack.json"
VERSION = 1
# What lies beside a shard, and what an index holds; see `load_arrays`.
OF_SHARD = {"entries": "iN", "offset": "iN", "size": "iN", "num_bytes": "i", "sha256": "U"}
OF_SPLIT = {"names": "iB", "labels": "iN", "num_bytes": "iF", "shard": "iN", "offset": "iN", "size": "iN"}
REMEDY = "mend it with the command that packed it and verify=true"


@dataclass(frozen=True)
class Plan:
    """What is packed, and how.

    Attributes:
        classes: their names, in order.
        fingerprint: of the names and labels of all images.
        images_per_shard: of every shard but a split's last.
        smallest_side: larger training images are rescaled to it, in pixels; None to pack all as they are.
        quality: of their JPEGs.
        version: of the layout.
    """

    classes: list[str]
    fingerprint: str
    images_per_shard: int
    smallest_side: int | None
    quality: int
    version: int = VERSION

    def save(self, folder: Path) -> None:
        write_atomically(folder / PACK_FILE, json.dumps(asdict(self), indent=2) + "\n")


def read_plan(folder: Path) -> Plan:
    """The plan of the pack in `folder`.

    Raises:
        UserError: for a pack of another version, and for a damaged file.
    """
    with naming_damaged(folder / PACK_FILE, "pack the data set anew"):
        text = (folder / PACK_FILE).read_bytes()
        version = json.loads(text)["version"]
        if version != VERSION:
            raise UserError(f"{folder} is a pack of version {version!r}, not {VERSION}; pack the data set anew.")
        return typed_json(Plan, text)


def is_pack(folder: Path) -> bool:
    return (folder / PACK_FILE).is_file()


def shard_file(folder: Path, split: str, number: int) -> Path:
    return folder / f"{split}-{number:05d}.tar"


def write_shard(file: Path, entries: np.ndarray, samples: Samples, encode: Callable[[Samples, int], bytes]) -> None:
    """Write the images `entries` of `samples`, as `encode` gives them, in that order; then, beside the shard, where
    they lie in it. Either is complete or not there, and the same to the bit whenever it is written."""
    offsets, sizes = [], []
    with replacing(file) as stream, tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for entry in entries:
            data = encode(samples, entry)
            add(tar, f"{entry:09d}{Path(samples.name(entry)).suffix.lower()}", data)
            offsets.append(tar.offset - padded(len(data)))
            sizes.append(len(data))
            add(tar, f"{entry:09d}.cls", str(samples.labels[entry]).encode())
    save_arrays(
        index_file(file),
        entries=entries,
        offset=np.array(offsets),
        size=np.array(sizes),
        num_bytes=file.stat().st_size,
        sha256=file_digest(file),
    )


def is_complete(file: Path, *, verify: bool) -> bool:
    """Whether a shard is as it was written, judging by its size or, to `verify`, by its SHA-256."""
    if not index_file(file).is_file() or not file.is_file():
        return False
    try:
        index = load_arrays(index_file(file), {"num_bytes": "i", "sha256": "U"}, REMEDY)
    except UserError:
        return False
    return bool(file.stat().st_size == index["num_bytes"] and (not verify or file_digest(file) == str(index["sha256"])))


def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)  # with no time in it
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def padded(size: int) -> int:
    """How much room a member of `size` bytes takes in a tar file."""
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def index_file(shard: Path) -> Path:
    """Where it is written what lies where in a shard, once it is complete."""
    return shard.with_suffix(".npz")


def write_index(folder: Path, split: str, samples: Samples, files: Sequence[Path]) -> None:
    """Join what lies beside the shards of a split."""
    where = {name: np.zeros(len(samples), np.int64) for name in ("shard", "offset", "size")}
    num_bytes = []
    for number, file in enumerate(files):
        index = load_arrays(index_file(file), OF_SHARD, REMEDY)
        entries = index["entries"]
        with naming_damaged(index_file(file), REMEDY):
            if not ((entries >= 0) & (entries < len(samples))).all():
                raise ValueError(f"its entries are not those of {len(samples)} images")
        where["shard"][entries] = number
        where["offset"][entries], where["size"][entries] = index["offset"], index["size"]
        num_bytes.append(index["num_bytes"])
    names = np.frombuffer("\0".join(samples.names()).encode(), np.uint8)
    save_arrays(folder / f"{split}.npz", names=names, labels=samples.labels, num_bytes=np.array(num_bytes), **where)


def read_split(folder: Path, split: str) -> Samples:
    """The samples of a complete split, in the order of the data set that was packed.

    Raises:
        UserError: where the split is not complete, its index is damaged, or a shard is missing or cut off.
    """
    if not (folder / f"{split}.npz").is_file():
        raise UserError(
            f"{folder} is a pack whose {split} split is not complete; go on with the command that began it."
        )
    arrays = load_arrays(folder / f"{split}.npz", OF_SPLIT, REMEDY)
    with naming_damaged(folder / f"{split}.npz", REMEDY):
        names = arrays["names"].astype(np.uint8).tobytes().decode().split("\0")
        refuse_elsewhere(arrays, names)
    files = [shard_file(folder, split, number) for number in range(len(arrays["num_bytes"]))]
    for file, num_bytes in zip(files, arrays["num_bytes"], strict=True):
        if not file.is_file() or file.stat().st_size != num_bytes:
            raise UserError(
                f"{file} is {'cut off' if file.is_file() else 'missing'}; mend it with the command that packed it and "
                "verify=true."
            )
    store = Shards(
        files, np.array(names, dtype=np.dtypes.StringDType()), arrays["shard"], arrays["offset"], arrays["size"]
    )
    return Samples.all_of(store, arrays["labels"])


def refuse_elsewhere(arrays: Mapping[str, np.ndarray], names: Sequence[str]) -> None:
    """Make sure that the index of a split names every image, inside its shard.

    Raises:
        ValueError: where it does not.
    """
    shard, start, size = (arrays[name].astype(np.int64) for name in ("shard", "offset", "size"))
    num_bytes = arrays["num_bytes"].astype(np.int64)
    if len(names) != len(shard):
        raise ValueError(f"it has {len(names)} names for {len(shard)} images")
    if not ((shard >= 0) & (shard < len(num_bytes))).all():
        raise ValueError("it has an image in a shard that is not there")
    if not ((start >= 0) & (size >= 0) & (size <= num_bytes[shard] - start)).all():
        raise ValueError("it has an image that is not inside its shard")


def read_pack(folder: Path, *, val_only: bool = False) -> ImageSet:
    """The data set packed in `folder`, or its validation images alone.

    Raises:
        UserError: as `read_plan` and `read_split`.
    """
    plan = read_plan(folder)
    train = NO_IMAGES if val_only else read_split(folder, "train")
    re_encoded = {"smallest_side": plan.smallest_side, "quality": plan.quality} if plan.smallest_side else None
    return ImageSet(folder, plan.classes, train, read_split(folder, "val"), re_encoded)
