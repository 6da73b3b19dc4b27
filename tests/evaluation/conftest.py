"""A small net and a few images of several shapes, to be evaluated."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vggsuite.data.layouts import ImageSet, class_folders
from vggsuite.data.preprocessing import Preprocessing
from vggsuite.evaluation.run import Evaluator, Subject
from vggsuite.models.initialisation import draw_weights
from vggsuite.models.vgg import VGG

MEAN = [120.0, 110.0, 100.0]
SHAPES = ((40, 40), (40, 52), (52, 40), (64, 41), (40, 40))  # width, height
MakeEvaluator = Callable[..., Evaluator]


def noise(*shape: int) -> torch.Tensor:
    """Preprocessed pixels of no picture."""
    return 70 * torch.randn(*shape)


def make_net(**factors: Any) -> VGG:
    """A net with random weights that answer to their input, in eval mode; its scores are neither flat nor extreme."""
    torch.manual_seed(0)
    small: dict[str, Any] = {
        "depth": 11,
        "num_classes": 3,
        "width": 1 / 16,
        "crop": 32,
        "num_pools": 3,
        "padding": "replicate",
    }
    net = VGG(**(small | factors)).eval()
    draw_weights(net, "kaiming")
    temper(net, net.crop)
    return net


@torch.no_grad()
def temper(net: Any, crop: int) -> None:
    """Scale the last layer, without bias, so that the scores of noise have a deviation of 3 over images."""
    scores = net.classifier(net.features(noise(50, 3, crop, crop)).flatten(1))
    net.classifier[6].weight *= 3 / scores.std(dim=0).mean()
    net.classifier[6].bias -= net.classifier(net.features(noise(50, 3, crop, crop)).flatten(1)).mean(dim=0)


@pytest.fixture
def images(tmp_path: Path) -> ImageSet:
    """15 images of noise, 5 of each of 3 classes, in several shapes."""
    rng = np.random.default_rng(0)
    for name in ("cat", "dog", "owl"):
        folder = tmp_path / "images/val" / name
        folder.mkdir(parents=True)
        for number, (width, height) in enumerate(SHAPES):
            pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    return class_folders(tmp_path / "images", 0.0, val_only=True)


@pytest.fixture
def make_evaluator(images: ImageSet, tmp_path: Path) -> MakeEvaluator:
    """An evaluator of a random net on `images`, in a folder of its own for each name."""

    def make(name: str = "net", **changes: Any) -> Evaluator:
        net = changes.pop("net", None) or make_net()
        subject = Subject(name, tmp_path / "runs" / name, net, Preprocessing(MEAN), {"weights": name, "sha256": "0"})
        settings: dict[str, Any] = {"images": images, "data_name": "noise", "command": "test"}
        return Evaluator(subject, **(settings | {"devices": [torch.device("cpu")], "batch_size": 8} | changes))

    return make
