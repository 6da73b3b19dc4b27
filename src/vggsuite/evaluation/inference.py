"""Forward passes over a data set: batches of one shape, on one device or several, saved shard by shard."""

import hashlib
import json
import logging
import math
import shutil
import signal
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.multiprocessing.spawn import ProcessRaisedException, spawn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader
from tqdm import tqdm

from vggsuite.data.datasets import WholeImages
from vggsuite.data.images import naming_unreadable
from vggsuite.data.preprocessing import Preprocessing
from vggsuite.data.views import rescaled_size
from vggsuite.errors import UserError
from vggsuite.evaluation.dense import dense_posteriors
from vggsuite.evaluation.views import corners, crop_at, with_mirrored
from vggsuite.files import load_arrays, naming_damaged, save_arrays
from vggsuite.models.net import ConvNet
from vggsuite.protocol import Method, Precision, Protocol

REMEDY = "remove it; what it held is computed anew"  # of a damaged shard
AFRESH = "remove that folder and repeat the command"
DTYPES = {Precision.fp32: torch.float32, Precision.bf16: torch.bfloat16}


class Forward(typing.Protocol):
    """What is computed of an image at one scale: one vector, averaged with its mirror image's where it flips. Vectors
    of images of one shape are equally long."""

    @property
    def name(self) -> str:
        """What it is called while it runs."""

    @property
    def side(self) -> int:
        """Q."""

    @property
    def flip(self) -> bool: ...

    @property
    def precision(self) -> Precision: ...

    @property
    def ceil_mode(self) -> bool: ...

    @property
    def whole(self) -> bool:
        """Whether the net sees whole images, or crops of them."""

    def __call__(self, net: ConvNet, images: Tensor, indices: Tensor) -> Tensor:
        """Vectors [N, D] of preprocessed whole images [N, 3, H, W], which are those at `indices` of the data set."""


@dataclass(frozen=True)
class Posteriors:
    """The soft-max posteriors of the classes, by a protocol that has no parts. All crops are cut from the images as
    they lie on the device."""

    protocol: Protocol

    @property
    def name(self) -> str:
        return self.protocol.name

    @property
    def side(self) -> int:
        (side,) = self.protocol.scales
        return side

    @property
    def flip(self) -> bool:
        return self.protocol.flip

    @property
    def precision(self) -> Precision:
        return self.protocol.precision

    @property
    def ceil_mode(self) -> bool:
        return self.protocol.ceil_mode

    @property
    def whole(self) -> bool:
        return self.protocol.method == Method.dense

    def __call__(self, net: ConvNet, images: Tensor, indices: Tensor) -> Tensor:
        if self.whole:
            return dense_posteriors(net, images, self.protocol.average)
        height, width = images.shape[2:]
        places = corners(self.protocol.method, height=height, width=width, crop=net.crop)
        scores = [net(crop_at(images, corner, net.crop)) for corner in places]
        return torch.stack(scores).float().softmax(dim=-1).mean(dim=0)


def prepare(net: ConvNet, forward: Forward, device: torch.device) -> None:
    """Put the net on its device in eval mode, its weights converted once to its precision: an autocast
    would convert all of them again in every call.

    Raises:
        ValueError: for a net that was converted to less before.
    """
    if net.last.weight.dtype == torch.bfloat16 and forward.precision == Precision.fp32:
        raise ValueError("this net's weights were rounded to bf16 before; load them anew for fp32")
    net.to(device, DTYPES[forward.precision]).to(memory_format=torch.channels_last).eval()
    net.set_ceil_mode(forward.ceil_mode)


@dataclass(frozen=True)
class Task:
    """Forward passes to be made.

    Attributes:
        net: with its weights.
        preprocessing: of its pixels.
        forward: what is computed.
        images: the images, and what of each is seen.
        sizes: the native (width, height) of that.
        batch_size: how many crops' worth of pixels the net is given at a time.
        shard_size: how many images are saved at a time.
        num_workers: processes that read images, for each device.
        folder: of the shards.
    """

    net: ConvNet
    preprocessing: Preprocessing
    forward: Forward
    images: WholeImages
    sizes: Sequence[tuple[int, int]]
    batch_size: int
    shard_size: int
    num_workers: int
    folder: Path


def run(task: Task, devices: Sequence[torch.device]) -> None:
    """Save the vector of every image that the shards in `task.folder` lack yet.

    Each device works in a process of its own where there are several.
    """
    batches = shape_batches(task, sorted(set(range(len(task.images))) - saved_images(task.folder)))
    shards = group(batches, min(task.shard_size, -(-len(task.images) // len(devices))))
    if len(devices) == 1:
        work(0, task, shards, devices)
        return
    logging.getLogger(spawn.__module__).setLevel(logging.ERROR)  # silent when one that fails ends the others
    try:
        spawn(work, args=(task, shards, devices), nprocs=len(devices))
    except ProcessRaisedException as error:
        told = str(error).strip().splitlines()[-1]
        if UserError.__name__ in told:
            raise UserError(told) from error
        raise


def shards_of(folder: Path, what: dict[str, Any]) -> Path:
    """The folder, below `folder`, of the shards of `what` (weights, images and code), all others removed: whatever
    still writes of others, a process that outlived its killed parent, does not write here."""
    ours = folder / hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:12]
    ours.mkdir(parents=True, exist_ok=True)
    for other in folder.iterdir():
        if other != ours:
            shutil.rmtree(other, ignore_errors=True)
    return ours


def saved_images(folder: Path) -> set[int]:
    """The indices of the images in the shards of `folder`."""
    files = folder.glob("shard_*.npz")
    return {index for file in files for index in load_arrays(file, {"indices": "iN"}, REMEDY)["indices"].tolist()}


def shape_batches(task: Task, indices: Sequence[int]) -> list[list[int]]:
    """Batches of images that have one shape when rescaled, so that a device is full though shapes differ; as many in
    each as `task.batch_size` crops have pixels."""
    shapes: dict[tuple[int, int], list[int]] = {}
    for index in indices:
        with naming_unreadable(task.images.samples.location(index)):
            shapes.setdefault(rescaled_size(*task.sizes[index], task.forward.side), []).append(index)
    batches = []
    for (width, height), alike in shapes.items():
        pixels = width * height if task.forward.whole else task.net.crop**2
        count = max(1, task.batch_size * task.net.crop**2 // (pixels * (1 + task.forward.flip)))
        batches += [alike[start : start + count] for start in range(0, len(alike), count)]
    return batches


def group(batches: Sequence[list[int]], shard_size: int) -> list[list[list[int]]]:
    """The batches in shards of at least `shard_size` images, the last one aside."""
    shards: list[list[list[int]]] = []
    room = 0
    for batch in batches:
        if room <= 0:
            shards.append([])
            room = shard_size
        shards[-1].append(batch)
        room -= len(batch)
    return shards


def work(rank: int, task: Task, shards: Sequence[Sequence[list[int]]], devices: Sequence[torch.device]) -> None:
    """What the process of device `rank` does: its share of the shards, one after the other."""
    device = devices[rank]
    if len(devices) > 1:  # torch sends SIGINT when the parent has died, which a shell's background jobs ignore
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if device.type == "cuda":
        torch.cuda.set_device(device)
        torch.backends.cudnn.allow_tf32 = False  # fp32 is fp32 on every device
    elif len(devices) > 1:
        torch.set_num_threads(max(1, torch.get_num_threads() // len(devices)))
    prepare(task.net, task.forward, device)
    task.preprocessing.to(device)
    ours = shards[rank :: len(devices)]
    batches = [batch for shard in ours for batch in shard]
    loader = DataLoader(
        task.images,
        batch_sampler=batches,
        num_workers=task.num_workers,
        pin_memory=device.type == "cuda",
    )
    total = sum(map(len, batches))
    with tqdm(total=total, unit="image", desc=task.forward.name, disable=None if rank == 0 else True) as bar:
        loaded = iter(loader)
        for shard in ours:
            found: list[Tensor] = []
            for pixels, indices in islice(loaded, len(shard)):
                pixels = pixels.permute(0, 3, 1, 2).to(device, non_blocking=True)
                found += predict(task.net, task.preprocessing, task.forward, pixels, indices).cpu()
                bar.update(len(indices))
            save_shard(task.folder, found, [index for batch in shard for index in batch])


def vectors(net: ConvNet, images: Tensor, forward: Forward, indices: Tensor) -> Tensor:
    """Vectors [N, D] of preprocessed images [N, 3, H, W], each the mean with its mirror image's where that is asked
    for."""
    if not forward.flip:
        return forward(net, images, indices)
    each = forward(net, with_mirrored(images), indices.repeat(2))
    return each.unflatten(0, (2, len(images))).mean(dim=0)


@torch.inference_mode()
def predict(net: ConvNet, preprocessing: Preprocessing, forward: Forward, pixels: Tensor, indices: Tensor) -> Tensor:
    """Vectors [N, D], float32, of uint8 images [N, 3, H, W], those at `indices` of the data set, on the device that the
    net was prepared for.

    Raises:
        RuntimeError: where they are no numbers.
    """
    images = preprocessing(pixels).to(DTYPES[forward.precision], memory_format=torch.channels_last)
    found = vectors(net, images, forward, indices)
    if not found.isfinite().all():
        raise RuntimeError("what was computed of an image is not finite")
    return found


def save_shard(folder: Path, found: list[Tensor], indices: list[int]) -> None:
    """Save the vectors of the images at `indices`, complete or not at all; shorter ones with no numbers after them."""
    vectors = pad_sequence(found, batch_first=True, padding_value=math.nan).numpy()
    save_arrays(folder / f"shard_{min(indices):08d}.npz", indices=np.array(indices), vectors=vectors)


def collect(folder: Path, num_images: int) -> Tensor:
    """The vectors of `collect_each` where all are equally long: float32 [N, D]; raises as it does."""
    with naming_damaged(folder, AFRESH):
        return torch.from_numpy(np.stack(collect_each(folder, num_images)))


def collect_each(folder: Path, num_images: int) -> list[np.ndarray]:
    """The vectors, float32, of all shards in `folder`, in the data set's order. An image that is in two of them (a
    process outlived the one that had started it) counts once.

    Raises:
        UserError: for a damaged shard, and unless every image is there.
    """
    found: dict[int, np.ndarray] = {}
    for file in sorted(folder.glob("shard_*.npz")):
        shard = load_arrays(file, {"indices": "iN", "vectors": "fND"}, REMEDY)
        ends = np.isfinite(shard["vectors"]).sum(axis=1)
        rows = zip(shard["indices"].tolist(), shard["vectors"], ends, strict=True)
        found |= {index: vector[:end] for index, vector, end in rows if index not in found}
    if found.keys() != set(range(num_images)):
        raise UserError(f"the shards in {folder} hold {len(found)} of {num_images} images, or others; {AFRESH}.")
    return [found[index] for index in range(num_images)]
