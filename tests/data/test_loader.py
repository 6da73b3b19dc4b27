"""What workers hand over through shared memory is what one process would make."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.conftest import training_views
from vggsuite.data.datasets import EpochBatches
from vggsuite.data.layouts import class_folders
from vggsuite.data.loader import ViewLoader
from vggsuite.errors import UserError

MakeTree = Callable[..., Path]


class Numbered:
    """Views whose every pixel is the image's index."""

    crop = 3

    def fill(self, pixels: Tensor, positions: Sequence[tuple[int, int]]) -> tuple[Any, ...]:
        for place, (_, index) in enumerate(positions):
            pixels[place] = index
        return len(positions), torch.tensor([index for _, index in positions])


def loader(num_workers: int, batch_size: int = 4) -> ViewLoader:
    batches = EpochBatches([torch.arange(203).numpy()], batch_size=batch_size, seed=0, window=1)
    return ViewLoader(Numbered(), batches, batch_size=batch_size, num_workers=num_workers)


def copies(batches: ViewLoader) -> list[tuple[Tensor, ...]]:
    return [(pixels.clone(), *rest) for pixels, *rest in batches]


@pytest.mark.parametrize("num_workers", [1, 3])
def test_workers_overwrite_nothing_that_is_still_to_be_read(num_workers: int) -> None:
    batches = loader(num_workers)
    alone = copies(loader(0))
    for _ in range(3):  # the workers persist
        taken = copies(batches)
        assert len(taken) == len(alone) == 50
        for (pixels, indices), (_, expected) in zip(taken, alone, strict=True):
            assert torch.equal(indices, expected)
            assert torch.equal(pixels, indices.view(-1, 1, 1, 1).expand(-1, 3, 3, 3).byte())
            assert pixels.is_contiguous(memory_format=torch.channels_last)
    assert (batches.num_images, batches.num_by_pillow) == (600, 600)
    assert batches.seconds_waited > 0


def test_the_images_are_the_same_for_any_number_of_workers(make_tree: MakeTree) -> None:
    samples = class_folders(make_tree(ending="JPEG"), 0.2).train
    drawn = []
    for num_workers in (0, 2):
        batches = EpochBatches(samples.shards(), batch_size=4, seed=0, window=1)
        from_files = ViewLoader(training_views(samples), batches, batch_size=4, num_workers=num_workers)
        drawn.append(copies(from_files))
        assert from_files.num_by_pillow == 0
    for one, other in zip(*drawn, strict=True):
        assert all(map(torch.equal, one, other))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_epoch_goes_on_where_it_was_left(num_workers: int) -> None:
    everything = copies(loader(num_workers))
    left = loader(num_workers)
    for number, _ in enumerate(left, start=1):
        if number == 7:
            break
    resumed = loader(num_workers)
    resumed.load_state_dict(left.state_dict())
    rest = copies(resumed)
    assert len(rest) == 43
    assert all(torch.equal(one[1], other[1]) for one, other in zip(rest, everything[7:], strict=True))
    assert resumed.state_dict() == {"num_taken": 0}
    assert len(copies(resumed)) == 50


def test_a_half_resumed_epoch_tells_where_it_is() -> None:
    resumed = loader(0)
    resumed.load_state_dict({"num_taken": 7})
    next(iter(resumed))
    assert resumed.state_dict() == {"num_taken": 8}


def test_a_whole_epoch_left_just_before_its_end_is_an_epoch() -> None:
    """Lightning counts the batches, and does not ask for one more."""
    left = loader(0)
    batches = iter(left)
    for _ in range(50):
        next(batches)
    assert left.state_dict() == {"num_taken": 0}


def test_too_little_shared_memory_is_told_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=700))
    with pytest.raises(UserError, match=r"data.num_workers=4 needs .* shared memory .*data.num_workers=2"):
        loader(4)


def test_an_error_in_a_worker_arrives(make_tree: MakeTree) -> None:
    samples = class_folders(make_tree(), 0.2).train
    Path(samples.location(3)).write_bytes(b"")
    batches = EpochBatches(samples.shards(), batch_size=4, seed=0, window=1)
    with pytest.raises(UserError, match=samples.location(3)):
        copies(ViewLoader(training_views(samples), batches, batch_size=4, num_workers=1))
