"""ResNets (He et al. 2015) of torchvision's blocks and under its parameter names, those for small images, which
torchvision has not, and the same nets without shortcuts."""

from collections.abc import Sequence
from math import prod
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock, Bottleneck

from vggsuite.models.factors import BOTTLENECKS, RESNET_BLOCKS
from vggsuite.models.net import ConvNet, Padding, pad_with, require_map, require_relu, scaled, strides

WIDTHS = (64, 128, 256, 512)  # of the layers with blocks


class ResNet(ConvNet):
    """A ResNet: a first convolution, three or four layers of blocks, an average pool.

    Args:
        depth: number of weight layers, a key of `factors.RESNET_BLOCKS`. Those of three layers are for images of 32
            pixels (section 4.2): a first convolution of 3x3, two halvings, shortcuts without parameters, and 16
            channels at first, which is a `width` of 0.25 here.
        num_classes: number of outputs.
        shortcuts: whether there are any ("plain" nets have none, nor their projections).
        width: multiplier of all channel counts.
        crop: side of the square input in pixels.
        num_pools: how many of its five halvings are left, the first ones left out: that of the first convolution,
            whose 7x7 becomes a 3x3, and that of the max-pool.
        padding: as of `VGG`.

    Raises:
        UserError: for a crop of which no map is left.
    """

    last_name = "fc"

    def __init__(
        self,
        depth: int,
        *,
        num_classes: int = 1000,
        shortcuts: bool = True,
        width: float = 1.0,
        crop: int = 224,
        num_pools: int = 5,
        padding: Padding = "zeros",
    ) -> None:
        super().__init__()
        blocks = RESNET_BLOCKS[depth]
        small = len(blocks) == 3
        first, pool, *steps = [1, 1, *strides(num_pools, of=2)] if small else strides(num_pools)
        require_map(crop, min(num_pools, 2) if small else num_pools)
        self.crop, self.stride, self.map_side, self.layer_names = crop, first * pool * prod(steps), 1, {}
        channels, kernel = scaled(WIDTHS[0], width), 7 if first == 2 else 3
        self.conv1 = nn.Conv2d(3, channels, kernel, first, kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if pool == 2 else nn.Identity()
        block = Bottleneck if depth in BOTTLENECKS else BasicBlock if shortcuts else PlainBlock
        self.layers: list[nn.Module] = []
        for number, (count, stride) in enumerate(zip(blocks, (1, *steps), strict=True)):
            planes = scaled(WIDTHS[number], width)
            layer = nn.Sequential()
            for step in (stride, *[1] * (count - 1)):
                out = planes * block.expansion
                bridge = shortcut(channels, out, step, by_zeros=small) if shortcuts else None
                layer.append(block(channels, planes, step, bridge))
                channels = out
            setattr(self, f"layer{number + 1}", layer)
            self.layers.append(layer)
        self.avgpool, self.first_centre = nn.AdaptiveAvgPool2d(1), 0.5  # all layers are padded on both sides
        self.fc = nn.Linear(channels, num_classes)
        pad_with(self, padding)

    @property
    def stages(self) -> Sequence[Sequence[nn.Module]]:
        return [[self.conv1, self.bn1, self.relu, self.maxpool], *([layer] for layer in self.layers)]

    def hidden(self, features: Tensor, *, relu: bool = True) -> Tensor:
        require_relu(relu)
        return features


class PlainBlock(BasicBlock):
    """The two convolutions of a block, without its shortcut."""

    def forward(self, x: Tensor) -> Tensor:
        maps = self.relu(self.bn1(self.conv1(x)))
        return cast(Tensor, self.relu(self.bn2(self.conv2(maps))))


class ZeroPadding(nn.Module):
    """A shortcut to a smaller map of more channels, without parameters (option A of section 3.3)."""

    def __init__(self, new_channels: int, stride: int) -> None:
        super().__init__()
        self.new_channels, self.stride = new_channels, stride

    def forward(self, maps: Tensor) -> Tensor:
        return F.pad(maps[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new_channels))


def shortcut(channels: int, out: int, stride: int, *, by_zeros: bool) -> nn.Module | None:
    """The way around a block where its map has another size or other channels: a 1x1 convolution (option B of section
    3.3), or `by_zeros`; None where the identity will do."""
    if stride == 1 and channels == out:
        return None
    if by_zeros:
        return ZeroPadding(out - channels, stride)
    return nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
