"""GoogLeNet (Szegedy et al. 2014), of torchvision's modules and under its parameter names."""

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.googlenet import BasicConv2d, Inception, InceptionAux

from vggsuite.models.net import (
    ConvNet,
    LocalResponseNorm,
    Padding,
    Scores,
    pad_with,
    require_map,
    require_relu,
    scaled,
    strides,
)

# Channels of the branches: of the 1x1, of the 3x3 and before it, of the 5x5 and before it, and after the pool.
BRANCHES = {
    "inception3a": (64, 96, 128, 16, 32, 32),
    "inception3b": (128, 128, 192, 32, 96, 64),
    "inception4a": (192, 96, 208, 16, 48, 64),
    "inception4b": (160, 112, 224, 24, 64, 64),
    "inception4c": (128, 128, 256, 24, 64, 64),
    "inception4d": (112, 144, 288, 32, 64, 64),
    "inception4e": (256, 160, 320, 32, 128, 128),
    "inception5a": (256, 160, 320, 32, 128, 128),
    "inception5b": (384, 192, 384, 48, 128, 128),
}
DROPOUT_AUXILIARY = 0.7
Convolution = Callable[..., nn.Module]


class GoogLeNet(ConvNet):
    """22 weight layers, nine Inception modules, an average pool in the place of FC layers.

    Args:
        depth: 22.
        num_classes: number of outputs.
        batch_norm: after every convolution, as in torchvision's; not in 2014.
        lrn: local response normalisation after the first pool and before the second, as in 2014; not in torchvision's.
        kernel: of the branch called 5x5: 5 as in 2014, or 3 as in torchvision's.
        auxiliary: the weight of the losses of the two auxiliary classifiers, 0.3 in 2014; 0 for none. They are gone
            when the net is tested.
        width: multiplier of all channel counts.
        dropout: probability, before the last layer.
        crop: side of the square input in pixels.
        num_pools: how many of its five halvings are left, the first ones left out; one is in the first convolution,
            whose 7x7 of stride 2 becomes a 3x3 of stride 1.
        padding: as of `VGG`.

    Raises:
        UserError: for a crop of which no map is left.
    """

    last_name = "fc"

    def __init__(
        self,
        depth: int = 22,
        *,
        num_classes: int = 1000,
        batch_norm: bool = True,
        lrn: bool = False,
        kernel: int = 3,
        auxiliary: float = 0.3,
        width: float = 1.0,
        dropout: float = 0.4,
        crop: int = 224,
        num_pools: int = 5,
        padding: Padding = "zeros",
    ) -> None:
        super().__init__()
        self.crop, self.stride, self.map_side, self.layer_names = crop, 2**num_pools, 1, {}
        self.auxiliary = auxiliary
        require_map(crop, num_pools)
        convolution: Convolution = BasicConv2d if batch_norm else ConvReLU
        norm = LocalResponseNorm if lrn else nn.Identity
        narrow, wide = scaled(64, width), scaled(192, width)
        first, *pools = strides(num_pools)

        self.conv1 = convolution(3, narrow, kernel_size=7 if first == 2 else 3, stride=first, padding=3 * first // 2)
        self.maxpool1, self.lrn1 = max_pool(3, pools[0]), norm()
        self.conv2 = convolution(narrow, narrow, kernel_size=1)
        self.conv3 = convolution(narrow, wide, kernel_size=3, padding=1)
        self.lrn2, self.maxpool2 = norm(), max_pool(3, pools[1])
        channels, made_by = wide, {}
        for name, branches in BRANCHES.items():
            own = [scaled(count, width) for count in branches]
            setattr(self, name, inception(channels, own, convolution, kernel))
            channels = made_by[name] = own[0] + own[2] + own[4] + own[5]
        self.maxpool3, self.maxpool4 = max_pool(3, pools[2]), max_pool(2, pools[3])
        if auxiliary:
            make = partial(Auxiliary, num_classes=num_classes, convolution=convolution, width=width)
            self.aux1, self.aux2 = make(made_by["inception4a"]), make(made_by["inception4d"])
        self.avgpool, self.first_centre, step = nn.AdaptiveAvgPool2d(1), 0.5, first
        for size, stride in zip((3, 3, 3, 2), pools, strict=True):
            self.first_centre += (size - 1) / 2 * step * (stride == 2)  # of a pool, which is not padded
            step *= stride
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)
        pad_with(self, padding)

    @property
    def stages(self) -> Sequence[Sequence[nn.Module]]:
        stages = (
            ("conv1", "maxpool1", "lrn1", "conv2", "conv3", "lrn2", "maxpool2"),
            ("inception3a", "inception3b", "maxpool3", "inception4a"),
            ("inception4b", "inception4c", "inception4d"),
            ("inception4e", "maxpool4", "inception5a", "inception5b"),
        )
        return [[self.get_submodule(name) for name in stage] for stage in stages]

    @property
    def outputs(self) -> tuple[str, ...]:
        return ("aux1.fc2", "aux2.fc2", "fc") if self.auxiliary else ("fc",)

    def forward(self, images: Tensor) -> Scores:
        if not (self.training and self.auxiliary):
            return super().forward(images)
        stem, first, second, third = self.stages
        at_4a = self.through(first, self.through(stem, images))
        at_4d = self.through(second, at_4a)
        return self.scores(self.through(third, at_4d)), self.aux1(at_4a), self.aux2(at_4d)

    def hidden(self, features: Tensor, *, relu: bool = True) -> Tensor:
        require_relu(relu)
        hidden: Tensor = self.dropout(features)
        return hidden


class ConvReLU(nn.Module):
    """A convolution and its ReLU: torchvision's `BasicConv2d` without batch normalisation."""

    def __init__(self, channels: int, out: int, *, kernel_size: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, kernel_size, stride, padding)

    def forward(self, maps: Tensor) -> Tensor:
        return F.relu(self.conv(maps), inplace=True)


class Auxiliary(InceptionAux):
    """torchvision's auxiliary classifier, at any width."""

    def __init__(self, channels: int, *, num_classes: int, convolution: Convolution, width: float) -> None:
        super().__init__(channels, num_classes, convolution, DROPOUT_AUXILIARY)
        narrow, hidden = scaled(128, width), scaled(1024, width)
        self.conv = convolution(channels, narrow, kernel_size=1)
        self.fc1 = nn.Linear(narrow * 4 * 4, hidden)
        self.fc2 = nn.Linear(hidden, num_classes)


def inception(channels: int, branches: Sequence[int], convolution: Convolution, kernel: int) -> Inception:
    """An Inception module, whose branch called 5x5 has this kernel."""
    module = Inception(channels, *branches, conv_block=convolution)
    if kernel != 3:
        module.branch3[1] = convolution(branches[3], branches[4], kernel_size=kernel, padding=kernel // 2)
    return module


def max_pool(kernel: int, stride: int) -> nn.Module:
    """A pool whose map's side is rounded up, or none where it is left out."""
    return nn.MaxPool2d(kernel, stride=2, ceil_mode=True) if stride == 2 else nn.Identity()
