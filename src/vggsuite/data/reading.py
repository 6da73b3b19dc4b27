"""Reading every image of a data set once, in several processes."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from vggsuite.data.config import Problem
from vggsuite.data.examining import Fault, examine
from vggsuite.data.images import reason_of
from vggsuite.data.loader import FORK, PREFETCH
from vggsuite.data.samples import Samples
from vggsuite.errors import UserError, first_line

AT_A_TIME = 32  # images that a process is given
DIGEST = hashlib.sha256().digest_size  # bytes
WORKER_DIED = "DataLoader worker"  # how torch's error begins


@dataclass(frozen=True)
class Seen:
    """What was found of the images of a part.

    Attributes:
        digests: SHA-256 of each, uint8 [N, 32]; zeros of one without any bytes.
        faults: of each image that has any, by its index.
    """

    digests: np.ndarray
    faults: dict[int, list[Fault]]


class Looked(NamedTuple):
    """What a process found of the images that it was given: the digests of all, one after the other, and the faults of
    those that have any."""

    digests: bytes
    faults: list[tuple[int, list[Fault]]]


class Looks(Dataset[Looked]):
    """Images read and examined, `AT_A_TIME` of them at each place.

    Args:
        samples: the images.
        order: in which they are read.
        smallest, by_ending: see `examine`.
    """

    def __init__(self, samples: Samples, order: np.ndarray, *, smallest: int, by_ending: bool) -> None:
        self.samples, self.order, self.smallest, self.by_ending = samples, order, smallest, by_ending

    def __len__(self) -> int:
        return -(-len(self.order) // AT_A_TIME)

    def __getitem__(self, place: int) -> Looked:
        digests, faults = [], []
        for index in self.order[place * AT_A_TIME : (place + 1) * AT_A_TIME].tolist():
            digest, own = self.look(index)
            digests.append(digest)
            if own:
                faults.append((index, own))
        return Looked(b"".join(digests), faults)

    def look(self, index: int) -> tuple[bytes, list[Fault]]:
        """The digest of an image, and its faults."""
        try:
            with self.samples.open(index) as file:
                data = file.read()
        except OSError as error:
            return bytes(DIGEST), [Fault(Problem.unreadable, reason_of(error))]
        digest = hashlib.sha256(data).digest() if data else bytes(DIGEST)
        return digest, examine(data, self.samples.name(index), smallest=self.smallest, by_ending=self.by_ending)


def read_all(samples: Samples, told: str, *, smallest: int, by_ending: bool, num_workers: int) -> Seen:
    """Read and examine all images, shard after shard where they lie in such.

    Args:
        samples: the images.
        told: what the progress bar calls them.
        smallest, by_ending: see `examine`.
        num_workers: processes; 0 for none but this one.

    Raises:
        UserError: where a process ends before its time.
    """
    order = np.concatenate(samples.shards())
    looks = Looks(replace(samples, read_ahead=True), order, smallest=smallest, by_ending=by_ending)
    digests = np.zeros((len(order), DIGEST), np.uint8)
    faults: dict[int, list[Fault]] = {}
    done = 0
    with tqdm(total=len(order), desc=told, unit="image", disable=None) as bar:
        for looked in in_processes(looks, num_workers):
            own = np.frombuffer(looked.digests, np.uint8).reshape(-1, DIGEST)
            digests[order[done : done + len(own)]] = own
            faults |= dict(looked.faults)
            done += len(own)
            bar.update(len(own))
    return Seen(digests, dict(sorted(faults.items())))


def in_processes(looks: Looks, num_workers: int) -> Iterator[Looked]:
    """What `looks` finds, in order; raises as `read_all`."""
    loader = DataLoader(
        looks,
        batch_size=None,
        num_workers=num_workers,
        collate_fn=as_it_is,
        multiprocessing_context=FORK if num_workers else None,
        prefetch_factor=PREFETCH if num_workers else None,
    )
    try:
        yield from loader
    except RuntimeError as error:
        if not str(error).startswith(WORKER_DIED):
            raise
        raise UserError(
            f"a process that reads images came to a sudden end ({first_line(error)}), as the system makes it where "
            "memory runs out; type fewer of them (num_workers=1)."
        ) from error


def as_it_is(looked: Any) -> Any:
    """What torch would make tensors of."""
    return looked
