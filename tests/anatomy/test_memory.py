"""The simulated memory of a training step, against what is known of small ones."""

from typing import Any

import pytest
import torch
from torch import nn

from vggsuite.anatomy.memory import Step, parse_memory
from vggsuite.config import RecipeConfig
from vggsuite.errors import UserError
from vggsuite.models.net import ConvNet
from vggsuite.models.vgg import VGG
from vggsuite.protocol import Precision

SIDE = 32


class Layers(nn.Sequential):
    """Layers with the loss of a net."""

    auxiliary, loss = 0.0, ConvNet.loss


def step(net: Any = None, **recipe: Any) -> Step:
    return Step(net or (lambda: VGG(11, width=0.1, crop=SIDE, num_classes=10)), SIDE, RecipeConfig(lr=0.1, **recipe))


def test_weights_gradients_and_momentum_are_three_times_the_weights() -> None:
    """Of one FC layer on one image, all else is small."""
    weights = 4 * 3 * SIDE**2 * 1000
    peak = step(lambda: Layers(nn.Flatten(), nn.Linear(3 * SIDE**2, 1000))).peak(1, Precision.fp32)
    assert 3 * weights < peak < 3.05 * weights


def test_what_a_further_image_takes_is_what_the_backward_pass_needs() -> None:
    """Of a convolution and its ReLU: its input, its output once, for that is overwritten, and one or two gradients."""

    def make() -> nn.Module:
        layers = (nn.Conv2d(3, 50, 3, padding=1), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        return Layers(*layers)

    of_one = step(make)
    more = (of_one.peak(20, Precision.fp32) - of_one.peak(10, Precision.fp32)) / 10
    pixels = 4 * SIDE**2
    assert (3 + 2 * 50) * pixels <= more <= 1.01 * (3 + 3 * 50) * pixels


def test_half_precision_and_checkpointing_take_less() -> None:
    plain = step().peak(256, Precision.fp32)
    assert step().peak(256, Precision.bf16) < 0.8 * plain
    assert step(checkpoint_activations=True).peak(256, Precision.fp32) < 0.8 * plain


def test_the_largest_batch_fits_and_one_image_more_does_not() -> None:
    memory = 50e6
    found = step().largest_batch(memory, Precision.fp32)
    assert step().peak(found, Precision.fp32) <= memory < step().peak(found + 1, Precision.fp32)
    assert step().largest_batch(1e6, Precision.fp32) == 0


def test_nothing_is_really_made() -> None:
    """Of a batch of D that no machine holds."""
    assert Step(lambda: VGG(16), 224, RecipeConfig(lr=0.1)).peak(50_000, Precision.fp32) > 3e12
    assert torch.ones(1).sum() == 1  # and real tensors are real again


@pytest.mark.parametrize(("text", "size"), [("80GB", 80e9), ("24GiB", 24 * 2**30), ("512 MB", 512e6), ("1.5gb", 1.5e9)])
def test_sizes_are_read(text: str, size: float) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["80", "GB", "-1GB", "0GB", "infGB", "nanGB", "1TB", "80GBs", ""])
def test_no_size_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"memory=.* is no size.*memory=80GB"):
        parse_memory(text)
