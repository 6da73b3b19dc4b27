"""A data loader whose workers write pixels where the main process reads them."""

import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from vggsuite.data.datasets import EpochBatches
from vggsuite.errors import UserError
from vggsuite.faults import KILLED_READER

PREFETCH = 2  # batches that a worker may be ahead
SHARED_MEMORY = Path("/dev/shm")
FORK = "fork" if sys.platform == "linux" else None  # shares what there is; elsewhere it is copied to each worker


class Views(Protocol):
    """Square views of images."""

    crop: int

    def fill(self, pixels: Tensor, positions: Sequence[Any]) -> tuple[Any, ...]:
        """Write the views at `positions` to `pixels`, uint8 [N, crop, crop, 3]; return for how many Pillow was
        needed though another decoder was asked for, and the rest of the batch."""


class Slot(NamedTuple):
    """Where in a `Ring` a batch's pixels lie."""

    worker: int
    number: int
    num_images: int


class Ring:
    """Pixels of batches in memory that all workers share, some slots for each, used in turn: what would be sent from
    process to process is written once, to pages that are there already.

    A worker is at most `PREFETCH` batches ahead, so that a slot is written again only when another batch has been asked
    for.

    Raises:
        UserError: where the system allows less shared memory.
    """

    def __init__(self, num_workers: int, batch_size: int, crop: int) -> None:
        shape = (num_workers, PREFETCH + 1, batch_size, crop, crop, 3)
        require_shared_memory(torch.Size(shape).numel(), num_workers)
        self.pixels = torch.empty(shape, dtype=torch.uint8).share_memory_()
        self.used = 0  # by the worker that this copy of the object lives in

    def next(self, num_images: int) -> Slot:
        """The slot of the next batch of this worker."""
        info = get_worker_info()
        assert info is not None
        self.used += 1
        return Slot(info.id, self.used % self.pixels.shape[1], num_images)

    def __getitem__(self, slot: Slot) -> Tensor:
        """The pixels of a slot: uint8 [N, crop, crop, 3]."""
        return self.pixels[slot.worker, slot.number, : slot.num_images]


class Filled(Dataset[tuple[Any, ...]]):
    """Batches of views: (pixels uint8 [N, crop, crop, 3] or, with a ring, where they lie there; the rest)."""

    def __init__(self, views: Views, ring: Ring | None) -> None:
        self.views, self.ring = views, ring

    def __getitems__(self, positions: Sequence[Any]) -> tuple[Any, ...]:
        if self.ring is None:
            pixels = torch.empty(len(positions), self.views.crop, self.views.crop, 3, dtype=torch.uint8)
            return pixels, *self.views.fill(pixels, positions)
        slot = self.ring.next(len(positions))
        return slot, *self.views.fill(self.ring[slot], positions)


class ViewLoader(DataLoader[tuple[Any, ...]]):
    """Batches of (uint8 pixels [N, 3, crop, crop], channels last; the rest of what `views` gives).

    The pixels of a batch are valid until the next is asked for, unless they are `pinned`.

    Args:
        views: what to load.
        batches: their positions, batch by batch.
        batch_size: the largest of them.
        num_workers: processes, of one thread each, that read ahead; 0 for none.
        pinned: whether batches are copied to page-locked memory, from which a GPU fetches them by itself.

    Attributes:
        seconds_waited: how long batches were waited for.
        num_images: how many images were loaded.
        num_by_pillow: of those, for how many Pillow was needed though another decoder was asked for.
    """

    def __init__(
        self,
        views: Views,
        batches: Iterable[list[Any]],
        *,
        batch_size: int,
        num_workers: int,
        pinned: bool = False,
    ) -> None:
        self.ring = Ring(num_workers, batch_size, views.crop) if num_workers else None
        self.pinned = pinned
        self.seconds_waited, self.num_images, self.num_by_pillow = 0.0, 0, 0
        self.num_taken = 0
        super().__init__(
            Filled(views, self.ring),
            batch_sampler=batches,
            num_workers=num_workers,
            collate_fn=tuple,
            multiprocessing_context=FORK if num_workers else None,
            prefetch_factor=PREFETCH if num_workers else None,
            persistent_workers=num_workers > 0,
            generator=torch.Generator(),  # its draws, one an epoch, are not those of the net
        )

    def __iter__(self) -> Iterator[tuple[Any, ...]]:  # type: ignore[override]
        self.num_taken = getattr(self.batch_sampler, "num_skipped", 0)
        started = time.perf_counter()
        batches = super().__iter__()
        while True:
            try:
                loaded = next(batches, None)
            except ConnectionError as error:  # a killed worker's tensors, before torch sees that it is gone
                raise RuntimeError(f"{KILLED_READER} is gone") from error
            self.seconds_waited += time.perf_counter() - started
            if loaded is None:
                self.num_taken = 0
                return
            self.num_taken += 1
            yield self.handed_over(*loaded)
            started = time.perf_counter()

    def take_counts(self) -> tuple[float, int, int]:
        """`seconds_waited`, `num_images` and `num_by_pillow` since the last call."""
        counts = self.seconds_waited, self.num_images, self.num_by_pillow
        self.seconds_waited, self.num_images, self.num_by_pillow = 0.0, 0, 0
        return counts

    def state_dict(self) -> dict[str, int]:
        """How far the epoch is. Lightning saves it with the run's state."""
        return {"num_taken": self.num_taken % max(1, len(self))}  # a whole epoch may be left just before its end

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Let the next epoch begin where `state` was taken."""
        assert isinstance(self.batch_sampler, EpochBatches)
        self.batch_sampler.skip(state["num_taken"])

    def handed_over(self, pixels: Slot | Tensor, num_by_pillow: int, *rest: Tensor) -> tuple[Tensor, ...]:
        """A batch as the main process wants it."""
        if isinstance(pixels, Slot):
            assert self.ring is not None
            pixels = self.ring[pixels]
        self.num_images += len(pixels)
        self.num_by_pillow += num_by_pillow
        batch = (pixels, *rest)
        if self.pinned:
            batch = tuple(tensor.pin_memory() for tensor in batch)
        return batch[0].permute(0, 3, 1, 2), *batch[1:]


def require_shared_memory(num_bytes: int, num_workers: int) -> None:
    """Make sure that the system allows as much shared memory: a process that touches more is killed.

    Raises:
        UserError: where it does not.
    """
    if SHARED_MEMORY.is_dir() and (free := shutil.disk_usage(SHARED_MEMORY).free) < num_bytes:
        raise UserError(
            f"data.num_workers={num_workers} needs {num_bytes / 1e6:.0f} MB of shared memory and {SHARED_MEMORY} has "
            f"{free / 1e6:.0f} MB; allowed: fewer workers (data.num_workers={num_workers * free // num_bytes}), or "
            f"more of it (docker run --shm-size={num_bytes})."
        )
