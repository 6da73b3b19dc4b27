"""Image descriptors (appendix B): the penultimate FC layer of a net that is applied densely, averaged over places and
with the mirror image's. Computed once for each image, whatever data set, split and classifier they serve."""

import hashlib
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vggsuite.config import PROJECT_ROOT, Decoder, Features, Region
from vggsuite.data.datasets import WholeImages
from vggsuite.data.images import naming_unreadable
from vggsuite.data.labelled import HEADER_READERS, LabelledImages
from vggsuite.data.samples import Samples
from vggsuite.evaluation import inference
from vggsuite.evaluation.dense import penultimate
from vggsuite.evaluation.run import Subject
from vggsuite.files import exclusive, load_arrays, naming_damaged, save_arrays
from vggsuite.models.net import ConvNet
from vggsuite.protocol import Precision
from vggsuite.results.environment import git

VERSION = 1  # of what is computed
FOLDER = "descriptors"  # in that of the run, or of the published weights
REMEDY = "remove it; what it held is computed anew"
SHARDS = "shards"  # what an unfinished computation has so far


@dataclass(frozen=True)
class Descriptor:
    """How an image is described at one scale; see `inference.Forward`.

    Attributes:
        side: Q.
        flip: whether the mirror image's is averaged with it.
        relu: whether activations are taken after the ReLU.
        pixels: raw pixels instead, of the image squeezed to the crop's square.
    """

    side: int
    flip: bool
    relu: bool = True
    precision: Precision = Precision.fp32
    pixels: bool = False
    ceil_mode: ClassVar[bool] = False
    whole: ClassVar[bool] = True

    @property
    def name(self) -> str:
        words = {"flip": self.flip, "before_relu": not self.relu, "bf16": self.precision == Precision.bf16}
        kind = [Features.pixels] if self.pixels else []
        return "-".join([*kind, str(self.side), *(word for word, said in words.items() if said)])

    def __call__(self, net: ConvNet, images: Tensor, indices: Tensor) -> Tensor:
        if self.pixels:
            square = F.interpolate(images.float(), (net.crop, net.crop), mode="bilinear", antialias=True)
            return square.flatten(1)
        return penultimate(net, images, relu=self.relu).float().mean(dim=1)


@dataclass(frozen=True)
class Describer:
    """Computes descriptors of the images of one data set, or finds them where they were computed before.

    Attributes:
        images: the data set.
        sizes: width and height of every image.
        contents: SHA-256 of every file.
        devices: one process for each.
        batch_size: how many crops' worth of pixels a device is given at a time.
        shard_size: after how many images what has been computed is saved.
        num_workers: processes that read images, for each device.
        decoder: of the images.
    """

    images: LabelledImages
    sizes: Sequence[tuple[int, int]]
    contents: Sequence[str]
    devices: Sequence[torch.device]
    batch_size: int
    shard_size: int
    num_workers: int
    decoder: Decoder

    def describe(self, subject: Subject, descriptor: Descriptor, region: Region) -> np.ndarray:
        """Descriptors, float32 [N, D], of every image or of the box in it."""
        boxes = self.images.boxes if region == Region.box else None
        keys = self.keys(boxes)
        folder = place_of(subject, descriptor, self.decoder)
        with exclusive(folder, wait=True):
            saved = saved_keys(folder)
            first = {key: index for index, key in reversed(list(enumerate(keys))) if key not in saved}
            if first:
                self.compute(subject, descriptor, boxes, first, folder)
            return gather(folder, keys)

    def keys(self, boxes: np.ndarray | None) -> list[str]:
        """What tells an image, or a box in it, from all others."""
        if boxes is None:
            return list(self.contents)
        return [
            f"{content}:{','.join(map(str, box))}" for content, box in zip(self.contents, boxes.tolist(), strict=True)
        ]

    def compute(
        self, subject: Subject, descriptor: Descriptor, boxes: np.ndarray | None, first: dict[str, int], folder: Path
    ) -> None:
        """Save the descriptors of the images that `first` has under their keys; an interrupted computation of these
        images goes on from its last saved shard."""
        keys, chosen = sorted(first), [first[key] for key in sorted(first)]
        name = hashlib.sha256("".join(keys).encode()).hexdigest()[:16]
        shards = inference.shards_of(
            folder / SHARDS, {"keys": name, "commit": git("rev-parse", "HEAD", root=PROJECT_ROOT)}
        )
        part = None if boxes is None else boxes[chosen]
        sizes = [self.sizes[index] for index in chosen]
        task = inference.Task(
            net=subject.net,
            preprocessing=subject.preprocessing,
            forward=descriptor,
            images=WholeImages(
                self.images.samples.take(chosen), side=descriptor.side, decoder=self.decoder, boxes=part
            ),
            sizes=sizes if part is None else (part[:, 2:] - part[:, :2]).tolist(),
            batch_size=self.batch_size,
            shard_size=self.shard_size,
            num_workers=self.num_workers,
            folder=shards,
        )
        inference.run(task, self.devices)
        found = inference.collect(shards, len(keys)).numpy()
        save_arrays(folder / f"part_{name}.npz", keys=np.array(keys), descriptors=found)
        shutil.rmtree(folder / SHARDS)


def place_of(subject: Subject, descriptor: Descriptor, decoder: Decoder) -> Path:
    """The folder of the descriptors of these weights, in this net, of pixels preprocessed like this; of raw pixels the
    crop alone counts of the net."""
    pixels = subject.preprocessing
    net = (
        [subject.net.crop]
        if descriptor.pixels
        else [subject.of["sha256"], *(f"{name}={value}" for name, value in asdict(subject.model).items())]
    )
    told = [VERSION, *pixels.mean.flatten().tolist(), *pixels.std.flatten().tolist(), pixels.bgr, *net]
    suffix = "" if decoder == Decoder.turbo else f"-{decoder}"
    name = hashlib.sha256(str(told).encode()).hexdigest()[:12]
    return subject.folder / FOLDER / f"{descriptor.name}{suffix}-{name}"


def saved_keys(folder: Path) -> set[str]:
    """The keys of the descriptors in `folder`."""
    found: set[str] = set()
    for file in folder.glob("part_*.npz"):
        found.update(load_arrays(file, {"keys": "UN"}, REMEDY)["keys"].tolist())
    return found


def gather(folder: Path, keys: Sequence[str]) -> np.ndarray:
    """The descriptors, float32 [N, D], of these keys in `folder`."""
    rows: dict[str, list[int]] = {}
    for index, key in enumerate(keys):
        rows.setdefault(key, []).append(index)
    result: np.ndarray | None = None
    for file in sorted(folder.glob("part_*.npz")):
        saved = load_arrays(file, {"keys": "UN"}, REMEDY)["keys"].tolist()
        pairs = [(row, index) for row, key in enumerate(saved) for index in rows.get(key, [])]
        if not pairs:
            continue
        descriptors = load_arrays(file, {"keys": "UN", "descriptors": "fND"}, REMEDY)["descriptors"]
        if result is None:
            result = np.empty((len(keys), descriptors.shape[1]), dtype=np.float32)
        with naming_damaged(file, REMEDY):
            if descriptors.shape[1] != result.shape[1]:
                raise ValueError(f"its descriptors are of {descriptors.shape[1]} numbers, others of {result.shape[1]}")
        theirs, ours = zip(*pairs, strict=True)
        result[list(ours)] = descriptors[list(theirs)]
    assert result is not None  # every key is saved
    return result


def content_digests(samples: Samples) -> list[str]:
    """SHA-256 of every image's file.

    Raises:
        UserError: naming one that cannot be read.
    """

    def digest(index: int) -> str:
        with naming_unreadable(samples.location(index)), samples.open(index) as file:
            return hashlib.sha256(file.read()).hexdigest()

    with ThreadPoolExecutor(HEADER_READERS) as pool:
        return list(pool.map(digest, range(len(samples))))
