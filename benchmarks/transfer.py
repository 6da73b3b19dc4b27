"""How fast transfer is (appendix B), as ratios within one run: python benchmarks/transfer.py

Descriptors beside a plain loop over torchvision's VGG-16, both with random weights.

Linear SVMs, one-vs-rest: ours beside scikit-learn's LinearSVC, which minimises the same, and its SGDClassifier with the
same loss and penalty (the intercept not regularised; 20 epochs, adaptive rate from 0.1, as its own schedule diverges
here). Random features with structure, as a ReLU leaves them: 20 clusters, 256 directions common to all in which the
variance falls as 1/n, half the entries 0, rows of unit length, and 5% wrong labels. Every fit in a process of its own,
in shuffled order; time is the process's own on the CPU, on one thread unless --threads says more; a ratio is the median
of the rounds' ratios [lowest, highest]. The peak is of the whole process while it fits, features included. The excess
is how far the objective lies above the least of the three.

Then ours alone on as many images as Caltech-256 has, with descriptors of six scales side by side.
"""

import argparse
import functools
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from sklearn.linear_model import SGDClassifier
from sklearn.svm import LinearSVC
from torch import Tensor
from torch.nn import functional as F
from torchvision import transforms
from torchvision.models import vgg16
from torchvision.models.feature_extraction import create_feature_extractor

from measure import arguments_parser, clock, ratio, report, resident_peak, rounds, setting, table
from vggsuite.config import Decoder, Region
from vggsuite.data.labelled import LabelledImages
from vggsuite.data.preprocessing import Preprocessing
from vggsuite.data.samples import Files, Samples
from vggsuite.evaluation.run import Subject
from vggsuite.models.initialisation import draw_weights
from vggsuite.models.vgg import VGG
from vggsuite.models.weights import PREPROCESSINGS
from vggsuite.transfer import svm
from vggsuite.transfer.descriptors import FOLDER, Describer, Descriptor, content_digests

NUM_CLASSES = 20  # PASCAL VOC's
COMPARED, LARGE = (4_000, 4_096), (30_000, 24_576)
NUM_COMMON = 256
NUM_FILES = 16
WORKS = (("one 224 x 224 view", (375, 375), 224, False), ("dense", (500, 375), 256, True))
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
C_VALUES = (0.1, 1.0, 10.0, 100.0)
Figures = tuple[float, float, float]


def clusters(num_images: int, num_features: int) -> tuple[Tensor, Tensor]:
    """Features [N, D] and labels [N]."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(num_images) % NUM_CLASSES
    centres = 0.5 * torch.randn(NUM_CLASSES, num_features, generator=generator)
    falling = torch.arange(1, NUM_COMMON + 1)[:, None] ** -0.5
    common = falling * torch.randn(NUM_COMMON, num_features, generator=generator)
    features = torch.empty(num_images, num_features)
    for part, of in zip(features.split(1000), labels.split(1000), strict=True):
        part.normal_(generator=generator).addmm_(torch.randn(len(part), NUM_COMMON, generator=generator), common)
        F.normalize(part.add_(centres[of]).relu_(), out=part)
    wrong = torch.rand(num_images, generator=generator) < 0.05
    return features, torch.where(wrong, labels.roll(1), labels)


def one_vs_rest(labels: Tensor) -> Tensor:
    return torch.where(labels[:, None] == torch.arange(NUM_CLASSES), 1, -1).to(torch.int8)


def ours(features: Tensor, labels: Tensor, c: float) -> Tensor:
    return svm.fit(features, one_vs_rest(labels), c)


def linear_svc(features: Tensor, labels: Tensor, c: float) -> Tensor:
    return weights_of(LinearSVC(C=c).fit(features.numpy(), labels.numpy()))


def sgd(features: Tensor, labels: Tensor, c: float) -> Tensor:
    alpha = 1 / (c * len(features))
    rate = {"learning_rate": "adaptive", "eta0": 0.1, "max_iter": 20}
    model = SGDClassifier(loss="squared_hinge", alpha=alpha, random_state=0, **rate)
    return weights_of(model.fit(features.numpy(), labels.numpy()))


def weights_of(fitted: LinearSVC | SGDClassifier) -> Tensor:
    """As `svm.fit` gives them."""
    return torch.from_numpy(np.concatenate([fitted.coef_, fitted.intercept_[:, None]], axis=1).T)


WAYS: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "LinearSVC": linear_svc,
    "SGDClassifier": sgd,
    "ours": ours,
}


def figures_of(way: str, num_images: int, num_features: int, c: float) -> Figures:
    """Seconds, peak in GB, and the objective, of a fit in this process."""
    features, labels = clusters(num_images, num_features)
    weights, seconds = [], []

    def fit() -> None:
        started = clock(features.device)
        weights.append(WAYS[way](features, labels, c))
        seconds.append(clock(features.device) - started)

    peak = resident_peak(fit)
    return seconds[0], peak / 1e9, svm.objective(weights[0].float(), features, one_vs_rest(labels), c)[0]


def asked(way: str, size: tuple[int, int], c: float, threads: int) -> Figures:
    """What `figures_of` finds in a process of its own."""
    command = [sys.executable, __file__, "--fit", way, *map(str, size), str(c), "--threads", str(threads)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    seconds, peak, objective = map(float, told[-3:])
    return seconds, peak, objective


def compared(count: int, threads: int) -> str:
    """All ways, for several C."""
    rows = []
    for c in C_VALUES:
        found: dict[str, list[Figures]] = {way: [] for way in WAYS}

        def seconds(way: str, c: float = c, found: dict[str, list[Figures]] = found) -> float:
            found[way].append(asked(way, COMPARED, c, threads))
            return found[way][-1][0]

        times = rounds({way: functools.partial(seconds, way) for way in WAYS}, count)
        least = min(figures[0][2] for figures in found.values())
        for way in WAYS:
            peak, excess = max(figures[1] for figures in found[way]), found[way][0][2] / least - 1
            told = (
                f"{statistics.median(times[way]):.1f}",
                ratio(times, way, "LinearSVC"),
                f"{peak:.2f}",
                f"{excess:.1e}",
            )
            rows.append((f"{c:g}", way, *told))
    return table(rows, ("C", "way", "s", "x LinearSVC", "peak memory, GB", "excess of the objective"))


def large(threads: int) -> str:
    """Ours alone, where LinearSVC does not fit into 16 GB beside the features."""
    seconds, peak, _ = asked("ours", LARGE, 1.0, threads)
    entries = LARGE[0] * LARGE[1]
    rows = [
        ("ours", f"{seconds:.0f}", f"{peak:.1f}", "measured"),
        ("LinearSVC", "-", f"{entries * (4 + 8 + 16) / 1e9:.1f}", "computed: float32, float64, 16 bytes an entry"),
    ]
    return table(rows, ("way", "s", "peak memory, GB", "how"))


def extraction(count: int) -> str:
    """Descriptors by net D of JPEG files, read and decoded, beside a plain loop over torchvision's extractor: the same
    224 x 224 pixels of square files, one view; and whole files at Q = 256 with their mirror images."""
    rows = []
    device = torch.device("cpu")
    with tempfile.TemporaryDirectory() as home:
        for name, size, side, flip in WORKS:
            images = photographs(Path(home) / name, size)
            paths = [images.samples.location(index) for index in range(NUM_FILES)]
            subject = net_d(Path(home) / name)
            plain = plain_loop(side, dense=flip)
            calls: dict[str, Callable[[], object]] = {
                "plain loop": functools.partial(plain, paths),
                "ours": functools.partial(described, images, subject, Descriptor(side, flip=flip)),
            }
            times = rounds({way: functools.partial(timed, call, device) for way, call in calls.items()}, count)
            for way in calls:
                rate = NUM_FILES / statistics.median(times[way])
                rows.append((name, way, f"{rate:.2f}", ratio(times, way, "plain loop")))
    return table(rows, ("work", "way", "images/s", "x plain loop"))


def timed(call: Callable[[], object], device: torch.device) -> float:
    """The seconds that a call takes."""
    started = clock(device)
    call()
    return clock(device) - started


def photographs(folder: Path, size: tuple[int, int]) -> LabelledImages:
    """Crops of scikit-learn's photographs as JPEG files."""
    folder.mkdir()
    names = []
    for number in range(NUM_FILES):
        photo = Image.fromarray(load_sample_images().images[number % 2])
        left, top = (number * 7 % (length - side) for length, side in zip(photo.size, size, strict=True))
        names.append(f"{number}.jpg")
        photo.crop((left, top, left + size[0], top + size[1])).save(folder / names[-1], quality=90)
    samples = Samples.all_of(Files(folder, names), [0] * NUM_FILES)
    return LabelledImages(["photograph"], samples, np.ones((NUM_FILES, 1), dtype=np.int8), [])


def net_d(folder: Path) -> Subject:
    """Net D with random weights."""
    torch.manual_seed(0)
    net = VGG(16)
    draw_weights(net, "kaiming")
    return Subject("d", folder, net, Preprocessing(**PREPROCESSINGS["torchvision"]), {"sha256": "0" * 64})


def described(images: LabelledImages, subject: Subject, descriptor: Descriptor) -> np.ndarray:
    """The suite's own way, files hashed and descriptors saved."""
    shutil.rmtree(subject.folder / FOLDER, ignore_errors=True)
    describer = Describer(
        images,
        sizes=images.sizes(),
        contents=content_digests(images.samples),
        devices=[torch.device("cpu")],
        batch_size=16,
        shard_size=1000,
        num_workers=0,
        decoder=Decoder.turbo,
    )
    return describer.describe(subject, descriptor, Region.image)


def plain_loop(side: int, *, dense: bool) -> Callable[[Sequence[str]], Tensor]:
    """As usually written: Pillow and torchvision's transforms, its VGG-16 cut at the second FC layer's ReLU; dense:
    image by image, FC layers viewed as convolutions, the mirror image after it."""
    net = vgg16().eval()
    extractor = create_feature_extractor(net, {"classifier.4": "hidden"})
    resize = [transforms.Resize(side)] if dense else [transforms.Resize((side, side))]
    prepare = transforms.Compose([*resize, transforms.ToTensor(), transforms.Normalize(MEAN, STD)])

    def of_map(image: Tensor) -> Tensor:
        maps = net.features(image)
        for index, kernel in ((0, 7), (3, 1)):
            layer = net.classifier[index]
            maps = F.relu(F.conv2d(maps, layer.weight.view(layer.out_features, -1, kernel, kernel), layer.bias))
        return maps.mean(dim=(2, 3))

    @torch.inference_mode()
    def run(paths: Sequence[str]) -> Tensor:
        images = [prepare(Image.open(path).convert("RGB")) for path in paths]
        if dense:
            return torch.cat([(of_map(image[None]) + of_map(image[None].flip(-1))) / 2 for image in images])
        return torch.cat([extractor(batch)["hidden"] for batch in torch.stack(images).split(16)])

    return run


def main() -> None:
    parser = arguments_parser(__doc__, rounds=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--fit", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.fit:
        way, num_images, num_features, c = arguments.fit
        print(*figures_of(way, int(num_images), int(num_features), float(c)))
        return
    sizes = [f"{size[0]:,} x {size[1]:,}, {NUM_CLASSES} classes" for size in (COMPARED, LARGE)]
    parts: dict[str, Callable[[], str]] = {
        "# Transfer": functools.partial(setting, packages=["scikit-learn", "scipy"]),
        f"## Descriptors: net D, {NUM_FILES} JPEG files": lambda: extraction(arguments.rounds),
        f"## Linear SVM: {sizes[0]}": lambda: compared(arguments.rounds, arguments.threads),
        f"## Linear SVM: {sizes[1]}, C = 1": lambda: large(arguments.threads),
    }
    report(parts, arguments.save)


if __name__ == "__main__":
    main()
