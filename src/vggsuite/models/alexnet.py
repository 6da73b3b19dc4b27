"""The net of Krizhevsky et al. 2012, which torchvision has only in a later, slimmer form without LRN."""

from itertools import count
from math import prod

from torch import nn

from vggsuite.models.fully_connected import SequentialNet, fully_connected
from vggsuite.models.net import LocalResponseNorm, Padding, make_activation, pad_with, require_map, scaled, strides
from vggsuite.models.table1 import FC_WIDTH

FIRST = {4: (11, 2), 2: (7, 3), 1: (5, 2)}  # kernel and padding of the first convolution by its stride; of 2 and 1 ours
WIDTHS = (96, 256, 384, 384, 256)
NAMES = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")


class AlexNet(SequentialNet):
    """Five convolutions with overlapping max-pools (3x3, stride 2), and three FC layers.

    Args:
        depth: 8, its weight layers.
        num_classes: number of outputs.
        lrn: local response normalisation after the ReLUs of the first two convolutions.
        towers: 2 as in 2012, when each half of the maps lay on a GPU of its own, and the second, fourth and fifth
            convolution saw one half; or 1.
        width: multiplier of all channel counts and of the hidden FC layers.
        activation: as of `VGG`.
        dropout: probability, after the activation of the first two FC layers.
        crop: side of the square input in pixels.
        num_pools: how many of its five halvings are left, the first ones left out; two are in the first convolution,
            whose 11x11 of stride 4 becomes a 5x5 of stride 1 where 3 are left.
        padding: as of `VGG`.

    Raises:
        UserError: for a crop of which no map is left.
    """

    last_name = "classifier.6"

    def __init__(
        self,
        depth: int = 8,
        *,
        num_classes: int = 1000,
        lrn: bool = True,
        towers: int = 2,
        width: float = 1.0,
        activation: str = "relu",
        dropout: float = 0.5,
        crop: int = 224,
        num_pools: int = 5,
        padding: Padding = "zeros",
    ) -> None:
        super().__init__()
        *first, second, third, fifth = strides(num_pools)
        kernel, border = FIRST[prod(first)]
        one, two, three, four, five = (towers * scaled(channels / towers, width) for channels in WIDTHS)
        norms = [[LocalResponseNorm()] if lrn else [] for _ in range(2)]
        self.features = nn.Sequential(
            *(*layer(nn.Conv2d(3, one, kernel, prod(first), border), activation), *norms[0], max_pool(second)),
            *(*layer(nn.Conv2d(one, two, 5, padding=2, groups=towers), activation), *norms[1], max_pool(third)),
            *layer(nn.Conv2d(two, three, 3, padding=1), activation),
            *layer(nn.Conv2d(three, four, 3, padding=1, groups=towers), activation),
            *(*layer(nn.Conv2d(four, five, 3, padding=1, groups=towers), activation), max_pool(fifth)),
        )
        pad_with(self, padding)
        self.crop, self.stride, self.avgpool = crop, 2**num_pools, nn.Identity()
        self.first_centre, self.map_side = crop / 2, side_after(self.features, crop)
        require_map(crop, num_pools, smallest=next(side for side in count(1) if side_after(self.features, side) > 0))
        features, hidden = five * self.map_side**2, scaled(FC_WIDTH, width)
        self.classifier = fully_connected(features, hidden, num_classes, activation, dropout=dropout)
        paths = [path for path, module in self.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]
        self.layer_names = dict(zip(paths, NAMES, strict=True))


def layer(convolution: nn.Conv2d, activation: str) -> list[nn.Module]:
    """A convolution and its activation."""
    return [convolution, make_activation(activation, convolution.out_channels)]


def max_pool(stride: int) -> nn.Module:
    """An overlapping pool, or none where it is left out."""
    return nn.MaxPool2d(3, stride=2) if stride == 2 else nn.Identity()


def side_after(layers: nn.Sequential, side: int) -> int:
    """The side of the map that layers make of a square one."""
    for module in layers:
        if isinstance(module, nn.Conv2d | nn.MaxPool2d):
            kernel, stride, padding = (
                size if isinstance(size, int) else int(size[0])
                for size in (module.kernel_size, module.stride, module.padding)
            )
            side = (side + 2 * padding - kernel) // stride + 1
    return side
