"""The nets of Table 1, from A (11 weight layers) to E (19), and those beyond and beside them, built from a row of
kernel sizes by one loop."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from vggsuite.errors import UserError
from vggsuite.models.net import (
    ConvNet,
    Padding,
    activation,
    apply,
    local_response_norm,
    refuse_before_relu,
    scaled,
    vanished,
)
from vggsuite.models.table1 import FC_WIDTH, WIDTHS, block_kernels


class VGG(ConvNet):
    """A VGG net with torchvision's parameter names: `features` (convolutions) and `classifier` (FC layers).

    Args:
        depth: number of weight layers, a key of `table1.KERNELS`.
        num_classes: number of outputs.
        lrn: local response normalisation after the first convolution's ReLU (A-LRN).
        conv1x1: the last convolution of blocks 3 to 5 is 1x1 (net C).
        kernel: the largest; 5 or 7 merge stacks of 3x3 (section 2.3), which leaves fewer layers than `depth`.
        width: multiplier of all channel counts and of the hidden FC layers.
        batch_norm: batch normalisation after every convolution, as in torchvision's `vgg*_bn`.
        activation: "relu", "leaky_relu" or "prelu", after every weight layer but the last.
        shortcuts: identity shortcuts around each two convolutions of a block, as in He et al. 2015 (their option A:
            new channels begin as zeros, so that there are no parameters more); where a block has an odd number the
            first one stands alone, and so does the first of all.
        head: "fc" for the three FC layers, or "global_average_pool" for one on the average of the last maps.
        dropout: probability, after the activation of the first two FC layers, or before the only one.
        crop: side of the square input in pixels.
        num_pools: how many of the five blocks end in a 2x2 max-pool, from the first. The paper's 5 leave a 7x7
            map of a 224 crop; 3 leave a 4x4 map of a 32 crop, where 5 would leave one point.
        padding: what convolutions see beyond the border: "zeros" (the paper), or the nearest pixel ("replicate"),
            which a small crop's border differs less by from a place inside a larger image.

    Raises:
        UserError: for a combination that no net has.
    """

    def __init__(
        self,
        depth: int,
        *,
        num_classes: int = 1000,
        lrn: bool = False,
        conv1x1: bool = False,
        kernel: int = 3,
        width: float = 1.0,
        batch_norm: bool = False,
        activation: str = "relu",
        shortcuts: bool = False,
        head: str = "fc",
        dropout: float = 0.5,
        crop: int = 224,
        num_pools: int = 5,
        padding: Padding = "zeros",
    ) -> None:
        super().__init__()
        blocks = block_kernels(depth, conv1x1=conv1x1, kernel=kernel)
        self.crop, self.stride = crop, 2**num_pools
        if crop < self.stride:
            raise vanished(crop, num_pools)

        self.features = nn.Sequential()
        channels = 3
        for block, (kernels, block_width) in enumerate(zip(blocks, WIDTHS, strict=True), start=1):
            layers = []
            for size in kernels:
                out = scaled(block_width, width)
                layers.append(convolution(channels, out, size, activation, batch_norm=batch_norm, padding=padding))
                channels = out
            if lrn and block == 1:
                layers[0].append(local_response_norm())
            num_alone = len(layers) if not shortcuts else 1 + len(layers[1:]) % 2 if block == 1 else len(layers) % 2
            self.features.extend(with_shortcuts(layers, num_alone))
            if block <= num_pools:
                self.features.append(nn.MaxPool2d(2, stride=2))
        if shortcuts and not any(isinstance(layer, Shortcut) for layer in self.features):
            raise UserError(
                f"model.shortcuts=true finds no two layers to go around in model.depth={depth}; leave it out."
            )

        names = [f"conv{block}_{layer}" for block, own in enumerate(blocks, 1) for layer in range(1, len(own) + 1)]
        paths = (path for path, layer in self.named_modules() if isinstance(layer, nn.Conv2d))
        self.layer_names = dict(zip(paths, names, strict=True))
        if head == "fc":
            self.map_side, self.avgpool, self.last_name = crop // self.stride, nn.Identity(), "classifier.6"
            hidden = scaled(FC_WIDTH, width)
            self.classifier = fully_connected(
                channels * self.map_side**2, hidden, num_classes, activation, dropout=dropout
            )
            self.layer_names |= {"classifier.0": "fc6", "classifier.3": "fc7", "classifier.6": "fc8"}
        else:
            self.map_side, self.avgpool, self.last_name = 1, nn.AdaptiveAvgPool2d(1), "classifier.1"
            self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, num_classes))
            self.layer_names["classifier.1"] = "fc"

    @property
    def stages(self) -> Sequence[Sequence[nn.Module]]:
        layers = list(self.features)
        ends = [index + 1 for index, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
        return [layers[start:end] for start, end in pairwise([0, *ends, len(layers)])]

    def hidden(self, features: Tensor, *, relu: bool = True) -> Tensor:
        if self.averages_maps:
            refuse_before_relu(relu)
        return apply(list(self.classifier)[: -1 if relu else -3], features)

    def set_ceil_mode(self, ceil_mode: bool) -> None:
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                layer.ceil_mode = ceil_mode


class Shortcut(nn.Module):
    """Layers, and the identity around them, with an activation after their sum.

    Args:
        layers: between two maps of one size.
        activation: the last of them, which comes after the sum.
        new_channels: how many more the second map has; they begin as zeros.
    """

    def __init__(self, layers: Sequence[nn.Module], activation: nn.Module, new_channels: int) -> None:
        super().__init__()
        self.layers, self.activation, self.new_channels = nn.Sequential(*layers), activation, new_channels

    def forward(self, maps: Tensor) -> Tensor:
        identity = F.pad(maps, (0, 0, 0, 0, 0, self.new_channels)) if self.new_channels else maps
        summed: Tensor = self.activation(self.layers(maps) + identity)
        return summed


def with_shortcuts(layers: Sequence[Sequence[nn.Module]], num_alone: int) -> list[nn.Module]:
    """The layers of a block, each a convolution and what follows it: the first `num_alone` as they are, the others in
    twos with shortcuts."""
    found = [module for layer in layers[:num_alone] for module in layer]
    for first, second in zip(layers[num_alone::2], layers[num_alone + 1 :: 2], strict=True):
        *before, last = [*first, *second]
        (start, *_), (end, *_) = first, second
        assert isinstance(start, nn.Conv2d)
        assert isinstance(end, nn.Conv2d)
        found.append(Shortcut(before, last, end.out_channels - start.in_channels))
    return found


def convolution(
    channels: int, out: int, kernel: int, nonlinearity: str, *, batch_norm: bool, padding: Padding
) -> list[nn.Module]:
    """A convolution that keeps the map's size, and its activation, with batch normalisation between them on request."""
    norm = [nn.BatchNorm2d(out)] if batch_norm else []
    conv = nn.Conv2d(channels, out, kernel, padding=kernel // 2, padding_mode=padding)
    return [conv, *norm, activation(nonlinearity, out)]


def fully_connected(
    features: int, hidden: int, num_classes: int, nonlinearity: str = "relu", *, dropout: float
) -> nn.Sequential:
    """The three FC layers, with dropout after the activation of the first two; a PReLU's slope is one for its layer."""
    return nn.Sequential(
        nn.Linear(features, hidden),
        activation(nonlinearity),
        nn.Dropout(dropout),
        nn.Linear(hidden, hidden),
        activation(nonlinearity),
        nn.Dropout(dropout),
        nn.Linear(hidden, num_classes),
    )
