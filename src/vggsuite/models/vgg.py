"""The nets of Table 1, from A (11 weight layers) to E (19), built from its rows by one loop."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vggsuite.errors import UserError
from vggsuite.models.table1 import FC_WIDTH, WIDTHS, block_kernels

Padding = Literal["zeros", "replicate"]


def local_response_norm() -> nn.LocalResponseNorm:
    """LRN with the parameters of Krizhevsky et al. 2012: k = 2, n = 5, alpha = 1e-4, beta = 0.75.

    torch divides alpha by n and Krizhevsky does not, hence alpha = 5 * 1e-4 here.
    """
    return nn.LocalResponseNorm(size=5, alpha=5e-4, beta=0.75, k=2.0)


class VGG(nn.Module):
    """A VGG net with torchvision's parameter names: `features` (convolutions) and `classifier` (three FC layers).

    Args:
        depth: number of weight layers, a key of `table1.KERNELS`.
        num_classes: number of outputs.
        lrn: local response normalisation after the first convolution's ReLU (A-LRN).
        conv1x1: the last convolution of blocks 3 to 5 is 1x1 (net C).
        width: multiplier of all channel counts and of the hidden FC layers.
        batch_norm: batch normalisation after every convolution, as in torchvision's `vgg*_bn`.
        dropout: probability, after the ReLU of the first two FC layers.
        crop: side of the square input in pixels.
        num_pools: how many of the five blocks end in a 2x2 max-pool, from the first. The paper's 5 leave a 7x7
            map of a 224 crop; 3 leave a 4x4 map of a 32 crop, where 5 would leave one point.
        padding: what convolutions see beyond the border: "zeros" (the paper), or the nearest pixel ("replicate"),
            which a small crop's border differs less by from a place inside a larger image.

    Attributes:
        checkpoint_activations: whether training keeps the maps between blocks alone, and the backward pass computes
            those within a block once more.

    Raises:
        UserError: for a combination that no net has.
    """

    checkpoint_activations = False

    def __init__(
        self,
        depth: int,
        *,
        num_classes: int = 1000,
        lrn: bool = False,
        conv1x1: bool = False,
        width: float = 1.0,
        batch_norm: bool = False,
        dropout: float = 0.5,
        crop: int = 224,
        num_pools: int = 5,
        padding: Padding = "zeros",
    ) -> None:
        super().__init__()
        blocks = block_kernels(depth, conv1x1=conv1x1)
        self.crop, self.batch_norm = crop, batch_norm
        self.stride = 2**num_pools
        self.map_side = crop // self.stride
        if self.map_side == 0:
            raise UserError(
                f"data.crop={crop} vanishes under model.num_pools={num_pools}; allowed: a crop of at least "
                f"{self.stride}, or fewer pools (model.num_pools=3)."
            )

        self.conv_names: dict[str, int] = {}
        self.features = nn.Sequential()
        channels = 3
        for block, (kernels, block_width) in enumerate(zip(blocks, WIDTHS, strict=True), start=1):
            for position, kernel in enumerate(kernels, start=1):
                self.conv_names[f"conv{block}_{position}"] = len(self.features)
                out = scaled(block_width, width)
                self.features.extend(convolution(channels, out, kernel, batch_norm=batch_norm, padding=padding))
                channels = out
                if lrn and block == position == 1:
                    self.features.append(local_response_norm())
            if block <= num_pools:
                self.features.append(nn.MaxPool2d(2, stride=2))

        self.classifier = fully_connected(
            channels * self.map_side**2, scaled(FC_WIDTH, width), num_classes, dropout=dropout
        )

    def forward(self, images: Tensor) -> Tensor:
        """Class scores [N, num_classes] of crops [N, 3, crop, crop]."""
        scores: Tensor = self.classifier(torch.flatten(self.maps(images), 1))
        return scores

    def maps(self, images: Tensor) -> Tensor:
        """The last feature maps [N, C, H, W]."""
        if not (self.training and self.checkpoint_activations):
            maps: Tensor = self.features(images)
            return maps
        ends = [index + 1 for index, layer in enumerate(self.features) if isinstance(layer, nn.MaxPool2d)]
        for start, end in pairwise([0, *ends, len(self.features)]):
            images = checkpoint(self.features[start:end], images, use_reentrant=False)
        return images

    def freeze(self, names: Sequence[str]) -> None:
        """Let the layers of these names, as `named_weight_layers` has them, learn no more; with a convolution its batch
        normalisation."""
        for name, layer in self.named_weight_layers():
            if name in names:
                layer.requires_grad_(False)
                if self.batch_norm and name in self.conv_names:
                    self.features[self.conv_names[name] + 1].requires_grad_(False)
        self.train(self.training)  # Lightning leaves a layer's mode as it finds it

    def train(self, mode: bool = True) -> "VGG":
        """As `nn.Module.train`, but a frozen batch normalisation keeps its averages."""
        super().train(mode)
        for layer in self.features if self.batch_norm else ():
            if isinstance(layer, nn.BatchNorm2d) and not layer.weight.requires_grad:
                layer.eval()
        return self

    def named_weight_layers(self) -> Iterator[tuple[str, nn.Conv2d | nn.Linear]]:
        """The weight layers under the paper's names: conv1_1, ..., conv5_4, fc6, fc7, fc8."""
        for name, index in self.conv_names.items():
            yield name, cast(nn.Conv2d, self.features[index])
        for name, index in (("fc6", 0), ("fc7", 3), ("fc8", 6)):
            yield name, cast(nn.Linear, self.classifier[index])


def convolution(channels: int, out: int, kernel: int, *, batch_norm: bool, padding: Padding) -> list[nn.Module]:
    """A convolution that keeps the map's size, and its ReLU, with batch normalisation between them on request."""
    norm = [nn.BatchNorm2d(out)] if batch_norm else []
    conv = nn.Conv2d(channels, out, kernel, padding=kernel // 2, padding_mode=padding)
    return [conv, *norm, nn.ReLU(inplace=True)]


def fully_connected(features: int, hidden: int, num_classes: int, *, dropout: float) -> nn.Sequential:
    """The three FC layers, with dropout after the ReLU of the first two."""
    return nn.Sequential(
        nn.Linear(features, hidden),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
        nn.Linear(hidden, hidden),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
        nn.Linear(hidden, num_classes),
    )


def scaled(channels: int, width: float) -> int:
    """`channels` times the width multiplier, at least 1."""
    return max(1, round(channels * width))
