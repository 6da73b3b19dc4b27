"""How fast the test protocols are, as ratios within one run: python benchmarks/evaluation.py

Net D with random weights (speed does not depend on them), one image of ILSVRC's commonest shape, 500 x 375, at
Q = 384 with its mirror image. All ways are interleaved in shuffled order; a ratio is the median of the rounds' ratios
[lowest, highest]. On the CPU the process's own time is taken, on one thread unless --threads says more; on a GPU
(--device cuda) the time until it is done.

Then images of one shape in one batch against one at a time: eight images for D, sixteen copies of the eight for
D of the digits.

--run <folder of a run>: also on how many images its top-1 answers in bf16 and fp32 agree.
"""

import argparse
import functools
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from measure import arguments_parser, clock, ratio, report, resident_peak, rounds, setting, table
from vggsuite.config import PROJECT_ROOT, Decoder
from vggsuite.data.datasets import WholeImages
from vggsuite.data.preprocessing import Preprocessing
from vggsuite.data.samples import Files, Samples
from vggsuite.evaluation import inference
from vggsuite.evaluation.views import corners, crop_at, with_mirrored
from vggsuite.models.initialisation import draw_weights
from vggsuite.models.vgg import VGG
from vggsuite.models.weights import PREPROCESSINGS
from vggsuite.protocol import Method, Precision, Protocol
from vggsuite.results.predictions import load_posteriors

SIDE, LONG_SIDE = 384, 512
MIXES = {
    "one shape": [(500, 375)] * 8,
    "as on ILSVRC": [(500, 375)] * 5 + [(500, 333), (375, 500), (400, 300)],
    "all shapes differ": [(500, 375 - 9 * step) for step in range(8)],
}
Way = Callable[[Tensor], object]


def net_d() -> VGG:
    torch.manual_seed(0)
    net = VGG(16)
    draw_weights(net, "kaiming")
    return net.eval()


def by_protocol(method: Method, precision: Precision, device: torch.device) -> Way:
    """The suite's own way, the weights converted beforehand."""
    net, preprocessing = net_d(), Preprocessing(**PREPROCESSINGS["paper"]).to(device)
    forward = inference.Posteriors(Protocol(method, (SIDE,), flip=True, precision=precision))
    inference.prepare(net, forward, device)
    return lambda pixels: inference.predict(net, preprocessing, forward, pixels, torch.arange(len(pixels)))


def textbook(device: torch.device, *, autocast: bool = False) -> Way:
    """As usually written: FC weights viewed as convolutions, the image and then its mirror image."""
    net, preprocessing = net_d().to(device), Preprocessing(**PREPROCESSINGS["paper"]).to(device)

    def scores(images: Tensor) -> Tensor:
        maps = net.features(images)
        for index, side in ((0, 7), (3, 1), (6, 1)):
            layer = net.classifier[index]
            assert isinstance(layer, torch.nn.Linear)
            maps = F.conv2d(maps, layer.weight.view(layer.out_features, -1, side, side), layer.bias)
            maps = maps if index == 6 else F.relu(maps)
        return maps.mean(dim=(2, 3)).float().softmax(dim=1)

    @torch.inference_mode()
    def run(pixels: Tensor) -> Tensor:
        images = preprocessing(pixels)
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            return (scores(images) + scores(images.flip(-1))) / 2

    return run


def textbook_crops(device: torch.device) -> Way:
    """As usually written: the 50 crops of the image in one batch, channels first."""
    net, preprocessing = net_d().to(device), Preprocessing(**PREPROCESSINGS["paper"]).to(device)
    places = corners(Method.multi_crop, height=SIDE, width=LONG_SIDE, crop=net.crop)

    @torch.inference_mode()
    def run(pixels: Tensor) -> Tensor:
        views = with_mirrored(preprocessing(pixels))
        return net(torch.cat([crop_at(views, corner, net.crop) for corner in places])).softmax(dim=1).mean(dim=0)

    return run


WAYS: dict[str, Callable[[torch.device], Way]] = {
    "50 crops, textbook, fp32": textbook_crops,
    "50 crops, fp32": lambda device: by_protocol(Method.multi_crop, Precision.fp32, device),
    "50 crops, bf16": lambda device: by_protocol(Method.multi_crop, Precision.bf16, device),
    "dense, textbook, fp32": lambda device: textbook(device),
    "dense, textbook, bf16 by autocast": lambda device: textbook(device, autocast=True),
    "dense, fp32": lambda device: by_protocol(Method.dense, Precision.fp32, device),
    "dense, bf16": lambda device: by_protocol(Method.dense, Precision.bf16, device),
}


def seconds(call: Callable[[], object], device: torch.device) -> float:
    """How long a call takes."""
    started = clock(device)
    call()
    return clock(device) - started


def timed(calls: dict[str, Callable[[], object]], count: int, device: torch.device) -> dict[str, list[float]]:
    """The seconds of every call in every round."""
    return rounds({name: functools.partial(seconds, call, device) for name, call in calls.items()}, count)


def test_pixels(device: torch.device) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (1, 3, SIDE, LONG_SIDE), dtype=torch.uint8, generator=generator).to(device)


def speed_table(count: int, device: torch.device, arguments: Sequence[str]) -> str:
    pixels = test_pixels(device)
    ways = {name: make(device) for name, make in WAYS.items()}
    times = timed({name: functools.partial(way, pixels) for name, way in ways.items()}, count, device)
    rows = [
        (
            name,
            f"{statistics.median(times[name]):.2f}",
            f"{1 / statistics.median(times[name]):.3f}",
            ratio(times, name, "50 crops, textbook, fp32"),
            ratio(times, name, "50 crops, fp32"),
            f"{peak_memory(name, arguments):.0f}",
        )
        for name in WAYS
    ]
    return table(
        rows,
        ("way", "s an image", "images/s", "x 50 crops textbook", "x 50 crops fp32", "peak memory over the weights, MB"),
    )


def peak_memory(way: str, arguments: Sequence[str]) -> float:
    """The peak of a process of its own that goes one way once, in MB beyond what it had with its weights ready."""
    command = [sys.executable, __file__, "--memory-of", way, *arguments]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def memory_of(way: str, device: torch.device) -> float:
    """What `peak_memory` asks its process."""
    run = WAYS[way](device)
    if device.type == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        run(test_pixels(device))
        return (torch.cuda.max_memory_allocated() - before) / 1e6
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    return (resident_peak(lambda: run(test_pixels(device))) - before) / 1e6


def bucket_table(count: int, device: torch.device) -> str:
    """Images of one shape in one batch against one image at a time, files to saved shards, for several mixes."""
    preprocessing = Preprocessing(**PREPROCESSINGS["paper"])
    rows = []
    for name, net, side, copies in (("D", net_d(), 256, 1), ("D of the digits", net_of_digits(), 55, 16)):
        forward = inference.Posteriors(Protocol(Method.dense, (side,), flip=False))
        for mix, sizes in MIXES.items():
            with tempfile.TemporaryDirectory() as home:
                samples = write_images(Path(home) / "images", sizes * copies)
                images = WholeImages(samples, side=side, decoder=Decoder.turbo)
                calls: dict[str, Callable[[], object]] = {}
                for way, batch_size in (("one at a time", 1), ("by shape", 64)):
                    folder = Path(home) / way
                    folder.mkdir()
                    task = inference.Task(
                        net,
                        preprocessing,
                        forward,
                        images,
                        sizes * copies,
                        batch_size,
                        1000,
                        0,
                        folder,
                    )
                    calls[way] = functools.partial(run_afresh, task, device)
                times = timed(calls, count, device)
            rate = len(sizes) * copies / statistics.median(times["by shape"])
            rows.append((name, mix, f"{rate:.1f}", ratio(times, "by shape", "one at a time")))
    return table(rows, ("net", "images", "images/s by shape", "x one at a time"))


def net_of_digits() -> VGG:
    """Net D as conf/recipe/digits.yaml has it."""
    net = VGG(16, num_classes=10, width=0.25, crop=32, num_pools=3, padding="replicate")
    draw_weights(net, "kaiming")
    return net.eval()


def write_images(folder: Path, sizes: Sequence[tuple[int, int]]) -> Samples:
    folder.mkdir()
    names = []
    for number, (width, height) in enumerate(sizes):
        pixels = np.random.default_rng(number).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
        names.append(f"{number}.jpg")
        Image.fromarray(pixels).resize((width, height)).save(folder / names[-1])
    return Samples.all_of(Files(folder, names), [0] * len(names))


def run_afresh(task: inference.Task, device: torch.device) -> None:
    for shard in task.folder.glob("shard_*.npz"):
        shard.unlink()
    inference.run(task, [device])


def agreement(run: Path) -> str:
    """On how many images the top-1 answers of a run in bf16 and fp32 agree, by evaluate.py at the run's three Q."""
    answers = []
    for precision in ("fp32", "bf16"):
        command = [
            sys.executable,
            str(PROJECT_ROOT / "src/evaluate.py"),
            f"run={run}",
            "scales=multi",
            f"precision={precision}",
        ]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        name = told.partition(":")[0].rpartition("/")[2]
        answers.append(load_posteriors(run / "evaluations" / name).argmax(axis=1))
    same = answers[0] == answers[1]
    return f"Top-1 answers of {run.parts[-2]} that agree in bf16 and fp32: {same.sum()} of {len(same)} images."


def main() -> None:
    parser = arguments_parser(__doc__, rounds=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--memory-of", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    if arguments.memory_of:
        print(memory_of(arguments.memory_of, device))
        return
    same = ["--threads", str(arguments.threads), "--device", arguments.device]
    parts: dict[str, Callable[[], str]] = {
        f"# Evaluation of net D: one 500 x 375 image at Q = {SIDE}, with its mirror image": lambda: setting(
            gpu=device.type == "cuda"
        ),
        "## Speed and memory": lambda: speed_table(arguments.rounds, device, same),
        "## Images of one shape in one batch: dense, Q = 256 (D), 55 (D of the digits), from files to shards": (
            lambda: bucket_table(arguments.rounds, device)
        ),
    }
    if arguments.run:
        parts["## bf16 against fp32"] = lambda: agreement(arguments.run)
    report(parts, arguments.save)


if __name__ == "__main__":
    main()
