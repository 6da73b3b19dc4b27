"""How fast files become training samples, as ratios within one run: python benchmarks/input_pipeline.py

A sample: S drawn, a crop of 224 pixels, a flip. First one way after another on one core, in the process's own time;
then through a loader with two workers (DALI: two threads) and batches of 64, each copied to one buffer as a GPU would
take it, in wall time and in the CPU time of the workers and of the main process. All ways are interleaved in shuffled
order; a ratio is the median of the rounds' ratios [lowest, highest]. Files lie in the page cache.

The peers are torchvision as its references train (Pillow, whole image rescaled, float32, normalised), the same without
floats, torchvision's own JPEG decoder, and DALI's CPU pipeline in its best form (it decodes the crop alone). FFCV has
no wheel: pip builds it only where OpenCV and libturbojpeg are installed beforehand.
"""

import argparse
import functools
import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from measure import arguments_parser, ratio, report, rounds, setting, table
from photographs import LARGE, write_jpegs
from vggsuite.config import Decoder
from vggsuite.data.config import PackConfig
from vggsuite.data.datasets import EpochBatches, TrainingViews
from vggsuite.data.loader import ViewLoader
from vggsuite.data.pack import pack_split
from vggsuite.data.packed import read_split
from vggsuite.data.samples import Samples
from vggsuite.data.scale import Scale
from vggsuite.data.views import rescaled_size

CROP, BATCH, WORKERS = 224, 64, 2
JITTERED, FIXED = Scale(256, 512), Scale(256, 256)
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
REFERENCE, DALI = "torchvision, float32", "DALI, CPU"
AHEAD = 2  # batches that DALI makes beforehand
Way = Callable[[], float]


def drawn(width: int, height: int, index: int, scale: Scale) -> tuple[tuple[int, int], int, int, bool]:
    """The size to which image `index` is rescaled, the crop's left and top there, and whether it is flipped."""
    rng = np.random.default_rng(index)
    size = rescaled_size(width, height, int(rng.integers(scale.low, scale.high + 1)))
    left, top = (int(rng.integers(length - CROP + 1)) for length in size)
    return size, left, top, rng.random() < 0.5


class Torchvision(Dataset[tuple[Any, int]]):
    """torchvision's way: all of the image is rescaled, then cropped."""

    def __init__(self, samples: Samples, scale: Scale, *, floats: bool, jpeg: bool = False) -> None:
        self.samples, self.scale, self.floats, self.jpeg = samples, scale, floats, jpeg

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        with self.samples.open(index) as file:
            data = file.read()
        if self.jpeg:
            image: Any = decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), ImageReadMode.RGB)
            height, width = image.shape[1:]
        else:
            image = Image.open(io.BytesIO(data)).convert("RGB")
            width, height = image.size
        size, left, top, flip = drawn(width, height, index, self.scale)
        image = F.resize(image, [size[1], size[0]], v2.InterpolationMode.BILINEAR, antialias=True)
        image = F.crop(image, top, left, CROP, CROP)
        image = F.to_image(F.horizontal_flip(image) if flip else image)
        if self.floats:
            image = F.normalize(F.to_dtype(image, torch.float32, scale=True), MEAN, STD)
        return image, int(self.samples.labels[index])


def training_views(samples: Samples, scale: Scale, decoder: Decoder) -> TrainingViews:
    return TrainingViews(samples, scale=scale, crop=CROP, flip=True, colour_std=0.1, seed=0, decoder=decoder)


def dali(samples: Samples, scale: Scale, num_threads: int, **execution: bool) -> Any:
    """DALI's pipeline on the CPU: sizes from the headers, the crop alone decoded, then rescaled, antialiased."""
    from nvidia.dali import fn, math, pipeline_def, types

    @pipeline_def(batch_size=BATCH, num_threads=num_threads, device_id=None, prefetch_queue_depth=AHEAD, **execution)
    def pipeline() -> Any:
        files = [samples.location(index) for index in range(len(samples))]
        encoded, labels = fn.readers.file(files=files, labels=samples.labels.tolist(), name="files")
        size = fn.cast(fn.peek_image_shape(encoded)[0:2], dtype=types.FLOAT)
        side = math.floor(fn.random.uniform(range=[scale.low, scale.high + 1]))
        extent = CROP * fn.reductions.min(size) / side
        start = math.floor((size - extent) * fn.random.uniform(range=[0.0, 1.0], shape=[2]))
        images = fn.decoders.image_slice(
            encoded,
            start,
            fn.stack(extent, extent),
            axes=[0, 1],
            normalized_anchor=False,
            normalized_shape=False,
        )
        images = fn.resize(images, size=[CROP, CROP], interp_type=types.INTERP_LINEAR, antialias=True)
        return fn.flip(images, horizontal=fn.random.coin_flip()), labels

    made = pipeline()
    made.build()
    return made


def processor_time(work: Callable[[], object], count: int) -> float:
    """The process's own seconds for each of `count` images."""
    started = time.process_time()
    work()
    return (time.process_time() - started) / count


def one_by_one(dataset: Dataset[Any], count: int) -> None:
    for index in range(count):
        dataset[index]


def fill(views: TrainingViews, pixels: Tensor) -> None:
    for start in range(0, len(views.samples), BATCH):
        positions = [(0, index) for index in range(start, min(start + BATCH, len(views.samples)))]
        views.fill(pixels[: len(positions)], positions)


def single_core(samples: Samples, scale: Scale) -> dict[str, Way]:
    """Every way on one core: seconds for an image."""
    count, buffer = len(samples), torch.empty(BATCH, CROP, CROP, 3, dtype=torch.uint8)
    sets: dict[str, Dataset[Any]] = {
        REFERENCE: Torchvision(samples, scale, floats=True),
        "torchvision, uint8": Torchvision(samples, scale, floats=False),
        "torchvision decode_jpeg, uint8": Torchvision(samples, scale, floats=False, jpeg=True),
    }
    ways: dict[str, Callable[[], object]] = {
        name: functools.partial(one_by_one, dataset, count) for name, dataset in sets.items()
    }
    if find_spec("nvidia.dali"):
        pipeline = dali(samples, scale, 1, exec_async=False, exec_pipelined=False)
        ways[DALI] = lambda: [pipeline.run() for _ in range(count // BATCH)]
    for decoder in (Decoder.pillow, Decoder.turbo):
        ways[f"ours, {decoder}"] = functools.partial(fill, training_views(samples, scale, decoder), buffer)
    images = {name: count // BATCH * BATCH if name == DALI else count for name in ways}
    return {name: functools.partial(processor_time, work, images[name]) for name, work in ways.items()}


def single_core_table(sets: dict[str, tuple[Samples, Scale]], count: int) -> str:
    times = {name: rounds(single_core(*chosen), count) for name, chosen in sets.items()}
    rows = []
    for way in next(iter(times.values())):
        row = [way]
        for found in times.values():
            row += [f"{1 / statistics.median(found[way]):.0f}", ratio(found, way, REFERENCE)]
        rows.append(row)
    headers = [word for name in sets for word in (f"{name}: images/s", "x reference")]
    return table(rows, ["way", *headers])


def cpu_time(processes: Sequence[int]) -> float:
    """CPU seconds that processes have used so far, from Linux's own count."""
    ticks = 0
    for process in processes:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class Loader:
    """Batches of 64 from files in random order, from workers that are there already, copied to one buffer.

    Attributes:
        workers: CPU seconds of the workers for an image, pass by pass.
        main: of the main process.
    """

    def __init__(self, batches: Iterable[Any], dtype: torch.dtype = torch.uint8) -> None:
        self.batches = batches
        layout = torch.contiguous_format if dtype == torch.float32 else torch.channels_last
        self.buffer = torch.zeros(BATCH, 3, CROP, CROP, dtype=dtype).contiguous(memory_format=layout)
        self.workers: list[float] = []
        self.main: list[float] = []

    def passed(self) -> float:
        """Go through all batches; note both CPU times, and return the wall time, each for an image."""
        time.sleep(1)  # let DALI's threads finish what they make ahead: it is no other way's time
        workers = [child.pid for child in getattr(getattr(self.batches, "_iterator", None), "_workers", [])]
        before = cpu_time(workers), time.process_time(), time.perf_counter()
        count = 0
        for pixels, *_ in self.batches:
            self.buffer.copy_(pixels)
            count += len(pixels)
        after = cpu_time(workers), time.process_time(), time.perf_counter()
        used = [(now - then) / count for now, then in zip(after, before, strict=True)]
        self.workers.append(used[0])
        self.main.append(used[1])
        return used[2]


class DaliBatches:
    """An epoch of a DALI pipeline that works ahead all the time."""

    def __init__(self, pipeline: Any, count: int) -> None:
        self.pipeline, self.count = pipeline, count

    def __iter__(self) -> Iterator[tuple[Tensor]]:
        for number in range(self.count + AHEAD):
            images, _ = self.pipeline.run()
            if number >= AHEAD:  # what was made while nobody measured
                yield (torch.from_numpy(images.as_array()).permute(0, 3, 1, 2),)


def torchvision_loader(samples: Samples, *, floats: bool, jpeg: bool = False) -> Loader:
    dataset = Torchvision(samples, JITTERED, floats=floats, jpeg=jpeg)
    batches = DataLoader(dataset, BATCH, shuffle=True, num_workers=WORKERS, drop_last=True, persistent_workers=True)
    return Loader(batches, torch.float32 if floats else torch.uint8)


def our_loader(samples: Samples, decoder: Decoder) -> Loader:
    batches = EpochBatches(samples.shards(), batch_size=BATCH, seed=0, window=50_000)
    views = training_views(samples, JITTERED, decoder)
    return Loader(ViewLoader(views, batches, batch_size=BATCH, num_workers=WORKERS))


def loaders(samples: Samples, packed: Samples) -> dict[str, Loader]:
    """Every way through a loader with two workers."""
    found = {
        REFERENCE: torchvision_loader(samples, floats=True),
        "torchvision, uint8": torchvision_loader(samples, floats=False),
        "torchvision decode_jpeg, uint8": torchvision_loader(samples, floats=False, jpeg=True),
    }
    if find_spec("nvidia.dali"):
        found[DALI] = Loader(DaliBatches(dali(samples, JITTERED, WORKERS), len(samples) // BATCH))
    return found | {
        "ours, pillow": our_loader(samples, Decoder.pillow),
        "ours, turbo": our_loader(samples, Decoder.turbo),
        "ours, turbo, packed": our_loader(packed, Decoder.turbo),
    }


def loader_table(samples: Samples, packed: Samples, count: int) -> str:
    ways = loaders(samples, packed)
    for way in ways.values():
        way.passed()  # starts its workers
    wall = rounds({name: way.passed for name, way in ways.items()}, count)
    workers, main = ({name: getattr(way, part)[2:] for name, way in ways.items()} for part in ("workers", "main"))
    both = {name: [sum(pair) for pair in zip(workers[name], main[name], strict=True)] for name in ways}
    rows = [
        (
            name,
            f"{1 / statistics.median(wall[name]):.0f}",
            *(ratio(wall, name, to) for to in (REFERENCE, DALI) if to in ways),
            f"{1e3 * statistics.median(workers[name]):.2f}",
            f"{1e3 * statistics.median(main[name]):.2f}",
            *(ratio(both, name, to) for to in (REFERENCE, DALI) if to in ways),
        )
        for name in ways
    ]
    to_peer = [f"x {DALI}"] * (DALI in ways)
    cpu = ("workers: CPU ms an image", "main process", "x in both", *to_peer)
    return table(rows, ("loader", "images/s", "x reference", *to_peer, *cpu))


def packed_samples(folder: Path, samples: Samples) -> Samples:
    """`samples` in shards of 200 images."""
    folder.mkdir()
    config = PackConfig(output=str(folder), images_per_shard=200, num_threads=1)
    pack_split(config, folder, "train", samples)
    return read_split(folder, "train")


def main() -> None:
    parser = arguments_parser(__doc__, rounds=7)
    parser.add_argument("--images", type=int, default=640)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as home:
        run(arguments, Path(home))


def run(arguments: argparse.Namespace, home: Path) -> None:
    samples = write_jpegs(home / "standard", arguments.images)
    large = write_jpegs(home / "large", 2 * BATCH, shapes=LARGE)
    packed = packed_samples(home / "packed", samples)
    kilobytes = sum(samples.num_bytes()) / len(samples) / 1e3
    sets = {
        "S 256 to 512": (samples, JITTERED),
        "S = 256": (samples, FIXED),
        "originals of 1500 x 1125, S 256 to 512": (large, JITTERED),
    }
    peers = ("pillow", "simplejpeg", "nvidia-dali-cuda130", "ffcv")
    parts = {
        f"# From file to training sample: {len(samples)} JPEGs of {kilobytes:.0f} kB on average": lambda: setting(
            packages=peers
        ),
        "## One core": lambda: single_core_table(sets, arguments.rounds),
        f"## A loader with {WORKERS} workers, S 256 to 512": lambda: loader_table(samples, packed, arguments.rounds),
    }
    report(parts, arguments.save)


if __name__ == "__main__":
    main()
