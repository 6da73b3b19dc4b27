"""The nets of Table 1, from A (11 weight layers) to E (19), and those beyond and beside them, built from a row of
kernel sizes by one loop."""

from collections.abc import Iterable, Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from vggsuite.errors import UserError
from vggsuite.models.fully_connected import SequentialNet, fully_connected
from vggsuite.models.net import LocalResponseNorm, Padding, make_activation, require_map, scaled
from vggsuite.models.table1 import FC_WIDTH, WIDTHS, block_kernels


class VGG(SequentialNet):
    """A VGG net with torchvision's parameter names: `features` (convolutions) and `classifier` (FC layers).

    Args:
        depth: a key of `table1.KERNELS`: the number of weight layers, three FC layers among them, with kernels of 3x3.
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
        require_map(crop, num_pools)
        self.crop, self.stride = crop, 2**num_pools
        widths = [scaled(channels, width) for channels in WIDTHS]
        self.features = nn.Sequential()
        channels = 3
        for number, (kernels, out) in enumerate(zip(blocks, widths, strict=True), start=1):
            layers = []
            for size in kernels:
                layers.append(convolution(channels, out, size, activation, batch_norm=batch_norm, padding=padding))
                channels = out
            if lrn and number == 1:
                layers[0].append(LocalResponseNorm())
            self.features.extend(with_shortcuts(layers, first=number == 1) if shortcuts else joined(layers))
            if number <= num_pools:
                self.features.append(nn.MaxPool2d(2, stride=2))
        if shortcuts and not any(isinstance(layer, Shortcut) for layer in self.features):
            raise UserError(
                f"model.shortcuts=true finds no two layers to go around in model.depth={depth} model.kernel={kernel}; "
                "type model.shortcuts=false, or model.kernel=3 and model.depth=11 or more."
            )

        names = [f"conv{block}_{layer}" for block, own in enumerate(blocks, 1) for layer in range(1, len(own) + 1)]
        paths = (path for path, layer in self.named_modules() if isinstance(layer, nn.Conv2d))
        self.layer_names = dict(zip(paths, names, strict=True))
        self.add_head(head, channels, scaled(FC_WIDTH, width), num_classes, activation, dropout)

    def add_head(
        self, head: str, channels: int, hidden: int, num_classes: int, activation: str, dropout: float
    ) -> None:
        """Add what comes after the last maps, of so many channels: FC layers, or an average pool and one layer."""
        if head == "fc":
            self.map_side, self.avgpool, self.last_name = self.crop // self.stride, nn.Identity(), "classifier.6"
            self.first_centre = self.crop / 2
            features = channels * self.map_side**2
            self.classifier = fully_connected(features, hidden, num_classes, activation, dropout=dropout)
            self.layer_names |= {"classifier.0": "fc6", "classifier.3": "fc7", "classifier.6": "fc8"}
        else:
            self.map_side, self.avgpool, self.last_name = 1, nn.AdaptiveAvgPool2d(1), "classifier.1"
            self.first_centre = self.stride / 2
            self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, num_classes))
            self.layer_names["classifier.1"] = "fc"


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


def joined(layers: Iterable[Iterable[nn.Module]]) -> list[nn.Module]:
    """The modules of layers, one after the other."""
    return [module for layer in layers for module in layer]


def with_shortcuts(layers: Sequence[Sequence[nn.Module]], *, first: bool) -> list[nn.Module]:
    """The layers of a block, each a convolution and what follows it, in twos with shortcuts, the last ones first: one
    that is left over stands alone at the beginning, and so does the very first of the net's `first` block."""
    num_alone = 1 + (len(layers) - 1) % 2 if first else len(layers) % 2
    found = joined(layers[:num_alone])
    for one, other in zip(layers[num_alone::2], layers[num_alone + 1 :: 2], strict=True):
        *before, last = [*one, *other]
        (start, *_), (end, *_) = one, other
        assert isinstance(start, nn.Conv2d)
        assert isinstance(end, nn.Conv2d)
        found.append(Shortcut(before, last, end.out_channels - start.in_channels))
    return found


def convolution(
    channels: int, out: int, kernel: int, activation: str, *, batch_norm: bool, padding: Padding
) -> list[nn.Module]:
    """A convolution that keeps the map's size, and its activation, with batch normalisation between them on request."""
    norm = [nn.BatchNorm2d(out)] if batch_norm else []
    conv = nn.Conv2d(channels, out, kernel, padding=kernel // 2, padding_mode=padding)
    return [conv, *norm, make_activation(activation, out)]
