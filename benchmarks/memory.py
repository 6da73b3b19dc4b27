"""How much memory the index of a large data set takes, in a loader with many workers: python benchmarks/memory.py

ILSVRC-2012's 1.28 million file names and labels (made up, no file is read), of which every worker looks at its share
through one epoch, in random order. Ours, arrays that processes share, beside a list of tuples as torchvision's
ImageFolder has it: looking at a Python object writes to it (its reference count), so that every worker gets a copy of
the pages that it has looked at.

Linux's own count: what a worker has for itself alone, and what all processes have together, pages that several share
counted once. Each way in a process of its own, after the epoch, while the workers are still there. The peak is that of
making the index from a list of names, as any listing of a folder gives it.
"""

import os
import random
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from measure import arguments_parser, report, setting, table
from vggsuite.data.datasets import EpochBatches
from vggsuite.data.loader import ViewLoader
from vggsuite.data.samples import Files, Samples

BATCH, NUM_CLASSES = 256, 1000


def file_names(count: int) -> list[str]:
    """Names as ILSVRC-2012's, class after class."""
    rng = random.Random(0)
    per_class = count // NUM_CLASSES
    return [
        f"train/n{1440764 + number // per_class:08d}/n{1440764 + number // per_class:08d}_{rng.randrange(10**5)}.JPEG"
        for number in range(per_class * NUM_CLASSES)
    ]


class Looked:
    """Looks at the name and the label of every image, and reads none."""

    crop = 1

    def __init__(self, look: Callable[[int], tuple[str, int]]) -> None:
        self.look = look

    def fill(self, pixels: Tensor, positions: Sequence[tuple[int, int]]) -> tuple[Any, ...]:
        labels = [self.look(index)[1] for _, index in positions]
        return 0, torch.tensor(labels)


def ours(count: int) -> Callable[[int], tuple[str, int]]:
    names = file_names(count)
    samples = Samples.all_of(Files(Path("/data"), names), np.arange(len(names)) * NUM_CLASSES // len(names))
    return lambda index: (samples.location(index), samples.labels[index])


def image_folder(count: int) -> Callable[[int], tuple[str, int]]:
    names = file_names(count)
    samples = [(f"/data/{name}", number * NUM_CLASSES // len(names)) for number, name in enumerate(names)]
    return lambda index: samples[index]


WAYS = {"a list of tuples, as ImageFolder's": image_folder, "ours": ours}


def smaps(process: int | str) -> dict[str, int]:
    """What Linux counts of a process's memory, in bytes."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    return {name: 1024 * int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines)}


def measure(way: str, count: int, workers: int) -> tuple[float, float, float, float]:
    """Megabytes: the peak of the main process, its memory before the workers are there, what is private to the mean
    worker after the epoch, and what all have together then."""
    look = WAYS[way](count)
    before = smaps("self")["Pss"]
    batches = EpochBatches([np.arange(count // NUM_CLASSES * NUM_CLASSES)], batch_size=BATCH, seed=0, window=1)
    loader = ViewLoader(Looked(look), batches, batch_size=BATCH, num_workers=workers)
    for _ in loader:
        pass
    found = [smaps(worker.pid) for worker in loader._iterator._workers]  # type: ignore[union-attr]
    private = sum(of["Private_Dirty"] + of["Private_Clean"] for of in found) / workers
    together = smaps("self")["Pss"] + sum(of["Pss"] for of in found)
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6, before / 1e6, private / 1e6, together / 1e6


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("--images", type=int, default=1_281_167)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--way", choices=WAYS, help="measure one way in this process")
    arguments = parser.parse_args()
    if arguments.way:
        print(*measure(arguments.way, arguments.images, arguments.workers))
        return

    def compared() -> str:
        rows = []
        for way in WAYS:
            command = [sys.executable, __file__, "--way", way]
            command += ["--images", str(arguments.images), "--workers", str(arguments.workers)]
            told = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ).stdout
            rows.append((way, *(f"{float(number):.0f}" for number in told.split())))
        headers = (
            "index",
            "main process: peak, MB",
            "with its index, MB",
            "private to a worker, MB",
            "all processes, MB",
        )
        return table(rows, headers)

    heading = f"# Memory of an index of {arguments.images:,} images, {arguments.workers} workers"
    report({heading: setting, "## Python, torch and the index": compared}, arguments.save)


if __name__ == "__main__":
    main()
