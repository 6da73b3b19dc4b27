"""Encoded images and their labels, in arrays: a forked worker shares them, where it would copy lists of objects."""

import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from tqdm import tqdm

from vggsuite.data.images import NotThereError, image_size, naming_unreadable

HEADER_READERS = 16  # threads: reading a header is waiting for the disk
HEADERS_AT_A_TIME = 10_000
OPEN_SHARDS = 128  # in each process; systems allow 256 open files or more
ADVICE = 2**17  # bytes; of more at a time Linux may take only the beginning


class Store(Protocol):
    """Where encoded images lie, each known by its number."""

    def name(self, entry: int) -> str:
        """What the image is called, the same in every store that holds it."""

    def location(self, entry: int) -> str:
        """Where it is, for a person."""

    def open(self, entry: int, *, ahead: bool) -> BinaryIO:
        """Its encoded bytes, from the first one on; `ahead` says that its neighbours will be wanted soon."""

    def num_bytes(self, entry: int) -> int:
        """How many they are."""

    def shards(self, entries: np.ndarray) -> list[np.ndarray]:
        """The positions in `entries` of the images in each shard; all in one where every image is a file."""


class Files:
    """Image files below a folder, one image each.

    Args:
        root: the folder.
        names: their paths below it.
    """

    def __init__(self, root: Path, names: Sequence[str]) -> None:
        self.root = root
        self.names = np.array(names, dtype=np.dtypes.StringDType())  # one block of memory, unlike a list of str

    def name(self, entry: int) -> str:
        return str(self.names[entry])

    def location(self, entry: int) -> str:
        return str(self.root / self.name(entry))

    def open(self, entry: int, *, ahead: bool) -> BinaryIO:
        try:
            return open(self.location(entry), "rb")
        except FileNotFoundError as error:
            if self.root.is_dir():
                raise
            raise NotThereError(f"{self.root} is there no more; mount it again, and repeat the command.") from error

    def num_bytes(self, entry: int) -> int:
        return Path(self.location(entry)).stat().st_size

    def shards(self, entries: np.ndarray) -> list[np.ndarray]:
        return [np.arange(len(entries))]


@dataclass(frozen=True, eq=False)
class Shards:
    """Images inside large files; see `vggsuite.data.packed`.

    Attributes:
        files: the paths of the shards.
        names: of the images.
        shard: of each image, the number of its file.
        offset: of each image, its first byte there.
        length: of each image, its bytes.
    """

    files: Sequence[Path]
    names: np.ndarray
    shard: np.ndarray
    offset: np.ndarray
    length: np.ndarray

    def name(self, entry: int) -> str:
        return str(self.names[entry])

    def location(self, entry: int) -> str:
        return f"{self.files[self.shard[entry]]}:{self.name(entry)}"

    def open(self, entry: int, *, ahead: bool) -> BinaryIO:
        file = open_shard(self.files[self.shard[entry]], ahead)
        return io.BytesIO(os.pread(file.fileno(), self.num_bytes(entry), int(self.offset[entry])))

    def num_bytes(self, entry: int) -> int:
        return int(self.length[entry])

    def shards(self, entries: np.ndarray) -> list[np.ndarray]:
        shard = self.shard[entries]
        order = np.argsort(shard, kind="stable")
        return np.split(order, np.flatnonzero(np.diff(shard[order])) + 1)


@lru_cache(maxsize=OPEN_SHARDS)
def open_shard(path: Path, ahead: bool) -> BinaryIO:
    """The file at `path`, open, and with `ahead` all of it on its way into the page cache, in one sweep."""
    file = path.open("rb", buffering=0)
    if ahead and hasattr(os, "posix_fadvise"):
        for start in range(0, os.fstat(file.fileno()).st_size, ADVICE):
            os.posix_fadvise(file.fileno(), start, ADVICE, os.POSIX_FADV_WILLNEED)
    return file


@dataclass(frozen=True, eq=False)
class Samples:
    """Images of a store with their class indices, in a fixed order.

    Attributes:
        store: where the images are.
        entries: int64 [N], their numbers in the store.
        labels: int64 [N].
        read_ahead: whether images of one shard are wanted one after the other.
    """

    store: Store
    entries: np.ndarray
    labels: np.ndarray
    read_ahead: bool = False

    @classmethod
    def all_of(cls, store: Store, labels: Sequence[int] | np.ndarray) -> "Samples":
        """Every image of `store`, in its order."""
        return cls(store, np.arange(len(labels)), np.asarray(labels, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.entries)

    def take(self, indices: Sequence[int] | np.ndarray) -> "Samples":
        """The samples at `indices`, in that order."""
        chosen = np.asarray(indices, dtype=np.int64)
        return Samples(self.store, self.entries[chosen], self.labels[chosen])

    def open(self, index: int) -> BinaryIO:
        """The encoded image as a file."""
        return self.store.open(self.entries[index], ahead=self.read_ahead)

    def size(self, index: int) -> tuple[int, int]:
        """Width and height of the upright image.

        Raises:
            UserError: naming an image that cannot be read.
        """
        with naming_unreadable(self.location(index)), self.open(index) as file:
            return image_size(file)

    def sizes(self, indices: Sequence[int], told: str) -> list[tuple[int, int]]:
        """Width and height of the upright images at `indices`; `told` names a progress bar.

        Raises:
            UserError: naming an image that cannot be read.
        """
        found: list[tuple[int, int]] = []
        with (
            ThreadPoolExecutor(HEADER_READERS) as pool,
            tqdm(total=len(indices), desc=told, unit="image", disable=None) as bar,
        ):
            for start in range(0, len(indices), HEADERS_AT_A_TIME):
                found += pool.map(self.size, indices[start : start + HEADERS_AT_A_TIME])
                bar.update(len(found) - bar.n)
        return found

    def name(self, index: int) -> str:
        """What the image is called: its path below the data set's root."""
        return self.store.name(self.entries[index])

    def location(self, index: int) -> str:
        """Where the image is, for a person."""
        return self.store.location(self.entries[index])

    def names(self) -> list[str]:
        """What all images are called."""
        return [self.store.name(entry) for entry in self.entries]

    def num_bytes(self) -> list[int]:
        """The sizes of the encoded images.

        Raises:
            UserError: naming a file that is not there.
        """
        found = []
        for entry in self.entries:
            with naming_unreadable(self.store.location(entry)):
                found.append(self.store.num_bytes(entry))
        return found

    def shards(self) -> list[np.ndarray]:
        """The indices of the images in each shard; all in one where every image is a file."""
        return self.store.shards(self.entries)


NO_IMAGES = Samples.all_of(Files(Path(), []), [])
