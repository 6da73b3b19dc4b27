"""The net of Krizhevsky et al. 2012, which torchvision has only in a later, slimmer form without LRN."""

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn

from vggsuite.models.net import (
    ConvNet,
    Padding,
    activation,
    apply,
    local_response_norm,
    pad_with,
    scaled,
    strides,
    vanished,
)
from vggsuite.models.table1 import FC_WIDTH
from vggsuite.models.vgg import fully_connected

FIRST = {4: (11, 2), 2: (7, 3), 1: (5, 2)}  # kernel and padding of the first convolution by its stride; the latter ours


class AlexNet(ConvNet):
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
        widths = [towers * scaled(channels / towers, width) for channels in (96, 256, 384, 384, 256)]
        norm = [local_response_norm] if lrn else []
        self.features = nn.Sequential(
            *layer(nn.Conv2d(3, widths[0], kernel, prod(first), border), activation),
            *(make() for make in norm),
            max_pool(second),
            *layer(nn.Conv2d(widths[0], widths[1], 5, padding=2, groups=towers), activation),
            *(make() for make in norm),
            max_pool(third),
            *layer(nn.Conv2d(widths[1], widths[2], 3, padding=1), activation),
            *layer(nn.Conv2d(widths[2], widths[3], 3, padding=1, groups=towers), activation),
            *layer(nn.Conv2d(widths[3], widths[4], 3, padding=1, groups=towers), activation),
            max_pool(fifth),
        )
        pad_with(self, padding)
        self.crop, self.stride, self.avgpool = crop, 2**num_pools, nn.Identity()
        self.map_side = side_after(self.features, crop)
        if self.map_side < 1:
            raise vanished(crop, num_pools)
        self.classifier = fully_connected(
            widths[4] * self.map_side**2, scaled(FC_WIDTH, width), num_classes, activation, dropout=dropout
        )
        paths = [path for path, module in self.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]
        self.layer_names = dict(
            zip(paths, ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"), strict=True)
        )

    @property
    def stages(self) -> Sequence[Sequence[nn.Module]]:
        return [list(self.features)]

    def hidden(self, features: Tensor, *, relu: bool = True) -> Tensor:
        return apply(list(self.classifier)[: -1 if relu else -3], features)

    def set_ceil_mode(self, ceil_mode: bool) -> None:
        for module in self.features:
            if isinstance(module, nn.MaxPool2d):
                module.ceil_mode = ceil_mode


def layer(convolution: nn.Conv2d, nonlinearity: str) -> list[nn.Module]:
    """A convolution and its activation."""
    return [convolution, activation(nonlinearity, convolution.out_channels)]


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
