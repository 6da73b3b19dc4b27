"""How fast a training step is, as ratios within one run: python benchmarks/training_step.py

Nets A to E at 224 pixels: ours under Lightning, ours in a plain loop, and torchvision's VGG as its users train it
(channels first, float mean and division, SGD's default form), in the same precision: images/s, share of the bf16
matrix product that was measured in the same run, and peak memory (on the CPU the whole process's, which may keep what
earlier nets had). All ways are interleaved in shuffled order; a ratio is the median of the rounds' ratios [lowest,
highest]. What Lightning costs is measured more exactly by lightning_overhead.py.

Multiply-adds are counted by torch while the net runs; a multiply-add is two operations, and what the first layer's
gradient with respect to the pixels would cost is not counted, since nobody needs it.

--device cuda: on the GPU, and how much of the time it waits when the images come from JPEG files through the suite's
loader.
"""

import argparse
import functools
import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import vgg16

from measure import arguments_parser, clock, ratio, report, resident_peak, rounds, setting, table
from photographs import write_jpegs
from vggsuite.config import Decoder, Distribution, RecipeConfig, TrainConfig
from vggsuite.data.datasets import EpochBatches, TrainingViews
from vggsuite.data.loader import ViewLoader
from vggsuite.data.preprocessing import Preprocessing
from vggsuite.data.scale import Scale
from vggsuite.models.initialisation import draw_weights
from vggsuite.models.vgg import VGG
from vggsuite.models.weights import PREPROCESSINGS
from vggsuite.protocol import Precision
from vggsuite.training.callbacks import Stopwatch
from vggsuite.training.loggers import quieten_lightning
from vggsuite.training.module import Classification
from vggsuite.training.run import make_trainer

NETS: dict[str, dict[str, Any]] = {
    "A": {"depth": 11},
    "B": {"depth": 13},
    "C": {"depth": 16, "conv1x1": True},
    "D": {"depth": 16},
    "E": {"depth": 19},
}
MEAN = PREPROCESSINGS["paper"]["mean"]
Batch = tuple[Tensor, Tensor, Tensor]


@dataclass
class Case:
    """What is trained on what: a batch that lies on the device, and how often."""

    device: torch.device
    batch: Batch
    steps: int
    precision: Precision
    compile: bool

    def recipe(self, epochs: int) -> RecipeConfig:
        """As the suite trains, at a rate that changes nothing."""
        size, glorot = len(self.batch[0]), Distribution.glorot
        return RecipeConfig(epochs, size, 1e-6, patience=1, min_gain=0.0, distribution=glorot, precision=self.precision)

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == Precision.bf16)


def random_batch(size: int, crop: int, classes: int, device: torch.device) -> Batch:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (size, crop, crop, 3), dtype=torch.uint8, generator=generator).to(device)
    labels = torch.randint(0, classes, (size,), generator=generator).to(device)
    return pixels.permute(0, 3, 1, 2), torch.zeros(size, 3, device=device), labels


def module(net: VGG, case: Case) -> Classification:
    """The suite's own, as a run has it."""
    draw_weights(net, "kaiming")
    made = Classification(net.to(memory_format=torch.channels_last), Preprocessing(MEAN), case.recipe(1))
    if case.compile:
        made.net.compile()
        made.preprocessing.compile()
    return made


class Repeated:
    """A batch again and again."""

    def __init__(self, batch: Any, count: int) -> None:
        self.batch, self.count = batch, count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Any]:
        return iter([self.batch] * self.count)


class StepClock(L.Callback):
    """The time from the end of the first step to that of the last."""

    def __init__(self, case: Case) -> None:
        self.case, self.started, self.seconds = case, 0.0, 0.0

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step == 1:
            self.started = clock(self.case.device)
        if trainer.global_step == self.case.steps:
            self.seconds = clock(self.case.device) - self.started


def suite_trainer(case: Case, folder: Path, epochs: int, stopwatch: Stopwatch) -> L.Trainer:
    """The Trainer of a run, with its callbacks and its logger of metrics.csv."""
    settings = {"accelerator": "gpu" if case.device.type == "cuda" else "cpu", "devices": 1}
    config = TrainConfig(recipe=case.recipe(epochs), trainer=settings, experiment="benchmark", variant="")
    return make_trainer(config, folder, [CSVLogger(folder)], stopwatch)


def under_lightning(made: Classification, case: Case) -> float:
    """Seconds of a step of the suite's Trainer."""
    steps = StepClock(case)
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        trainer = suite_trainer(case, Path(folder), 1, Stopwatch())
        trainer.callbacks.append(steps)  # type: ignore[attr-defined]
        validation = case.batch[0][:1], case.batch[2][:1]
        trainer.fit(made, Repeated(case.batch, case.steps), Repeated(validation, 1))
    return steps.seconds / (case.steps - 1)


def in_a_loop(scores: Callable[[Tensor, Tensor], Tensor], optimizer: torch.optim.Optimizer, case: Case) -> float:
    """Seconds of a step of a plain loop."""
    pixels, shift, labels = case.batch
    started = 0.0
    for step in range(case.steps):
        with case.autocast():
            loss = F.cross_entropy(scores(pixels, shift), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step == 0:
            started = clock(case.device)
    return (clock(case.device) - started) / (case.steps - 1)


def ours_in_a_loop(made: Classification, case: Case) -> float:
    made.to(case.device).train()
    configured: Any = made.configure_optimizers()

    def scores(pixels: Tensor, shift: Tensor) -> Tensor:
        found = made.outputs(pixels, shift)
        assert isinstance(found, Tensor)
        return found

    return in_a_loop(scores, configured["optimizer"], case)


def torchvision_in_a_loop(net: nn.Module, case: Case) -> float:
    """As its users write it."""
    mean, std = (torch.tensor(values, device=case.device).view(1, 3, 1, 1) for values in (MEAN, [58.4, 57.1, 57.4]))
    net.to(case.device).train()

    def scores(pixels: Tensor, shift: Tensor) -> Tensor:
        found: Tensor = net((pixels.contiguous().float() - mean) / std)
        return found

    return in_a_loop(scores, torch.optim.SGD(net.parameters(), 1e-4, momentum=0.9, weight_decay=5e-4), case)


def operations(net: VGG) -> float:
    """Floating-point operations of training on one image."""
    images = torch.zeros(1, 3, net.crop, net.crop)
    counter = FlopCounterMode(display=False)
    with counter:
        net(images).sum().backward()
    return float(counter.get_total_flops())


def matrix_product(device: torch.device) -> float:
    """Operations a second of bf16 matrix products, the best of several sizes."""
    best = 0.0
    for side in (4096, 8192, 16384) if device.type == "cuda" else (1024, 2048):
        one, other = (torch.randn(side, side, device=device).bfloat16() for _ in range(2))
        for _ in range(5):
            started = clock(device)
            for _ in range(4):
                one @ other
            best = max(best, 4 * 2 * side**3 / (clock(device) - started))
    return best


def net_table(name: str, count: int, case: Case, peak: float) -> list[tuple[str, ...]]:
    """The rows of one net, beside a matrix product of `peak` operations a second."""
    net = VGG(**NETS[name])
    per_image = operations(net)
    made = module(net, case)
    ways: dict[str, Callable[[], float]] = {
        f"{name}, the suite's Trainer": lambda: under_lightning(made, case),
        f"{name}, plain loop": lambda: ours_in_a_loop(made, case),
    }
    if name == "D":
        theirs = vgg16()
        ways["torchvision's VGG-16, plain loop"] = lambda: torchvision_in_a_loop(theirs, case)
    memory: dict[str, float] = {}
    watched = {way: functools.partial(with_peak, memory, way, step, case.device) for way, step in ways.items()}
    times = rounds(watched, count)
    size = len(case.batch[0])
    return [
        (
            way,
            f"{size / statistics.median(found):.2f}"
            if case.device.type == "cpu"
            else f"{size / statistics.median(found):.0f}",
            f"{size * per_image / statistics.median(found) / peak:.0%}",
            ratio(times, way, f"{name}, plain loop"),
            f"{memory[way] / 1e9:.2f}",
        )
        for way, found in times.items()
    ]


def with_peak(memory: dict[str, float], way: str, step: Callable[[], float], device: torch.device) -> float:
    """What `step` returns; note the peak of the memory in use meanwhile, in bytes."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        seconds = step()
        memory[way] = torch.cuda.max_memory_allocated()
        return seconds
    found: list[float] = []
    memory[way] = resident_peak(lambda: found.append(step()))
    return found[0]


def nets_tables(names: Sequence[str], count: int, case: Case) -> str:
    peak = matrix_product(case.device)
    rows = [row for name in names for row in net_table(name, count, case, peak)]
    told = f"Batch {len(case.batch[0])}, {case.precision}; bf16 matrix product: {peak / 1e12:.2f} TFLOP/s."
    return told + "\n\n" + table(rows, ("way", "images/s", "of the product", "x plain loop", "peak memory, GB"))


def from_files(case: Case, num_images: int) -> str:
    """Net D fed from JPEG files by the suite's loader, and how many cores would keep it busy."""
    with tempfile.TemporaryDirectory() as home:
        samples = write_jpegs(Path(home), num_images).take(list(range(num_images)) * 8)
        size, workers = len(case.batch[0]), max(1, (os.cpu_count() or 1) - 1)
        views = TrainingViews(
            samples, scale=Scale(256, 512), crop=224, flip=True, colour_std=0.1, seed=0, decoder=Decoder.turbo
        )
        batches = EpochBatches(samples.shards(), batch_size=size, seed=0, window=1)
        loader = ViewLoader(views, batches, batch_size=size, num_workers=workers, pinned=case.device.type == "cuda")
        made = module(VGG(**NETS["D"]), case)
        fed = Stopwatch()
        with redirect_stdout(io.StringIO()):
            trainer = suite_trainer(case, Path(home), 2, fed)
            trainer.fit(made, loader, Repeated((case.batch[0][:1], case.batch[2][:1]), 1))
        alone = size / ours_in_a_loop(made, case)
        reading = reading_rate(views, size, workers)
    rows = [
        ("net D, data on the device", f"{alone:.4g} images/s"),
        (f"loader alone, {workers} workers", f"{reading:.4g} images/s"),
        ("net D from JPEG files", f"{fed.images_per_second:.4g} images/s"),
        ("share of its time waiting for images", f"{fed.share_waited:.1%}"),
        ("cores that would read as fast as the net trains", f"{alone / reading * workers:.2g}"),
    ]
    return table(rows, ("from files", "measured"))


def reading_rate(views: TrainingViews, size: int, workers: int) -> float:
    """Images a second of the loader with nobody to wait for, after a first epoch."""
    batches = EpochBatches(views.samples.shards(), batch_size=size, seed=0, window=1)
    loader = ViewLoader(views, batches, batch_size=size, num_workers=workers)
    for _ in loader:
        pass
    started = time.perf_counter()
    count = sum(len(pixels) for pixels, *_ in loader)
    return count / (time.perf_counter() - started)


def main() -> None:
    parser = arguments_parser(__doc__, rounds=5)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    parser.add_argument("--nets", nargs="+", choices=NETS, default=list(NETS))
    parser.add_argument("--batch-size", type=int, help="default: 256 on a GPU, 4 on the CPU")
    parser.add_argument("--steps", type=int, help="default: 30 on a GPU, 3 on the CPU")
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument(
        "--images", type=int, help="JPEG files to train from, eight times each; default: 4096 on a GPU, 8 on the CPU"
    )
    run(parser.parse_args())


def run(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    quieten_lightning()
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True  # for the plain loops, too
    device, gpu = torch.device(arguments.device), arguments.device == "cuda"
    size, steps = arguments.batch_size or (256 if gpu else 4), arguments.steps or (30 if gpu else 3)
    case = Case(device, random_batch(size, 224, 1000, device), steps, Precision(arguments.precision), arguments.compile)
    images = arguments.images or (4096 if gpu else 8)
    parts: dict[str, Callable[[], str]] = {
        "# A training step": lambda: setting(gpu=gpu),
        "## Nets A to E": lambda: nets_tables(arguments.nets, arguments.rounds, case),
        "## From files": lambda: from_files(case, images),
    }
    report(parts, arguments.save)


if __name__ == "__main__":
    main()
