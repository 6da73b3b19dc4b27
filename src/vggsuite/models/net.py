"""What the suite asks of every net: maps, the layers after them, and names for its weight layers."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from vggsuite.errors import UserError

Padding = Literal["zeros", "replicate"]
WeightLayer = nn.Conv2d | nn.Linear
Scores = Tensor | tuple[Tensor, ...]


class ConvNet(nn.Module, ABC):
    """A net of convolutions, which make maps of an image, and of layers after them, which make class scores of a map:
    FC layers, which see as much of it at once as a crop makes, or one layer, which sees its average.

    Attributes:
        crop: side of the square input in pixels.
        stride: from one place of the last maps to the next, in pixels of the image.
        first_centre: the middle of what the first place of the score map sees, a crop or a place of maps that are
            averaged, in pixels from the image's edge.
        map_side: side of the patch of the last maps that the layers after them take at once: of all that a crop makes,
            or 1 where maps are averaged.
        avgpool: the average over the map, or nothing.
        last_name: the module's name of the last layer, whose outputs are the classes.
        layer_names: names of weight layers, by their modules' names; others are called as their modules are.
        auxiliary: the weight of the losses of auxiliary classifiers, in training; 0 where there are none.
        checkpoint_activations: whether training keeps the maps between stages alone, and the backward pass computes
            those within a stage once more.
    """

    crop: int
    stride: int
    first_centre: float
    map_side: int
    avgpool: nn.Module
    last_name: str
    layer_names: dict[str, str]
    auxiliary = 0.0
    checkpoint_activations = False

    @property
    @abstractmethod
    def stages(self) -> Sequence[Sequence[nn.Module]]:
        """The layers that make the last maps, in the order in which they compute."""

    @abstractmethod
    def hidden(self, features: Tensor, *, relu: bool = True) -> Tensor:
        """What the last layer takes, [..., D], of the last maps' features [..., F].

        Args:
            features: of a patch of the maps, or of their average.
            relu: after the ReLU that made it, or before.

        Raises:
            ValueError: before a ReLU, where the maps are averaged and there is no layer between.
        """

    @property
    def last(self) -> nn.Linear:
        """The last layer."""
        return cast(nn.Linear, self.get_submodule(self.last_name))

    @property
    def conv_names(self) -> list[str]:
        """The names of the convolutions."""
        return [name for name, layer in self.named_weight_layers() if isinstance(layer, nn.Conv2d)]

    @property
    def outputs(self) -> tuple[str, ...]:
        """The modules' names of the layers that have an output for each class."""
        return (self.last_name,)

    def is_of_outputs(self, parameter: str) -> bool:
        """Whether a parameter of this name is of one of `outputs`."""
        return parameter.rpartition(".")[0] in self.outputs

    @property
    def averages_maps(self) -> bool:
        """Whether the maps are averaged, so that an image of any size goes through the net as it is."""
        return not isinstance(self.avgpool, nn.Identity)

    def forward(self, images: Tensor) -> Scores:
        """Class scores [N, num_classes] of crops [N, 3, crop, crop]; in training of a net with auxiliary classifiers
        theirs after them."""
        return self.scores(self.maps(images))

    def maps(self, images: Tensor) -> Tensor:
        """The last feature maps [N, C, H, W]."""
        for stage in self.stages:
            images = self.through(stage, images)
        return images

    def through(self, stage: Sequence[nn.Module], maps: Tensor) -> Tensor:
        """What a stage makes of maps."""
        if self.training and self.checkpoint_activations:
            return checkpoint(run_layers, stage, maps, use_reentrant=False)
        return run_layers(stage, maps)

    def scores(self, maps: Tensor) -> Tensor:
        """Class scores [N, num_classes] of the last maps of crops."""
        scores: Tensor = self.last(self.hidden(torch.flatten(self.avgpool(maps), 1)))
        return scores

    def loss(self, scores: Scores, labels: Tensor) -> Tensor:
        """The soft-max cross-entropy of what `forward` gave, that of auxiliary classifiers at their weight."""
        main, *others = scores if isinstance(scores, tuple) else (scores,)
        loss = F.cross_entropy(main, labels)
        for other in others:
            loss = loss + self.auxiliary * F.cross_entropy(other, labels)
        return loss

    def set_ceil_mode(self, ceil_mode: bool) -> None:
        """Let pools round a map's side up, as Caffe does, or down; nothing where the net itself says which."""

    def named_weight_layers(self) -> Iterator[tuple[str, WeightLayer]]:
        """The weight layers with their names, in the order of the state dict."""
        for path, layer in self.named_modules():
            if isinstance(layer, WeightLayer):
                yield self.layer_names.get(path, path), layer

    def freeze(self, names: Sequence[str]) -> None:
        """Let the layers of these names learn no more; with each the batch normalisation and the activation that come
        after it."""
        frozen = False
        for path, layer in self.named_modules():
            if isinstance(layer, WeightLayer):
                frozen = self.layer_names.get(path, path) in names
            if frozen and isinstance(layer, (WeightLayer, nn.BatchNorm2d, nn.PReLU)):
                layer.requires_grad_(False)
        self.train(self.training)  # Lightning leaves a layer's mode as it finds it

    def train(self, mode: bool = True) -> "ConvNet":
        """As `nn.Module.train`, but a frozen batch normalisation keeps its averages."""
        super().train(mode)
        for layer in self.modules():
            if isinstance(layer, nn.BatchNorm2d) and not layer.weight.requires_grad:
                layer.eval()
        return self

    def num_parameters(self) -> int:
        """How many numbers the net has learnt, auxiliary classifiers aside, which are gone when it is tested."""
        return sum(value.numel() for name, value in self.named_parameters() if not name.startswith("aux"))


def multiply_adds(compute: Callable[[Tensor], object], side: int) -> int:
    """How many of them `compute` takes, a net on the device "meta" in eval mode or what is done with one, for an image
    of `side` x `side` pixels; of convolutions and FC layers."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        compute(torch.empty(1, 3, side, side, device="meta"))
    return int(counter.get_total_flops()) // 2


def run_layers(layers: Iterable[nn.Module], maps: Tensor) -> Tensor:
    """What layers make of maps, one after the other."""
    for layer in layers:
        maps = layer(maps)
    return maps


def scaled(channels: float, width: float) -> int:
    """`channels` times the width multiplier, at least 1."""
    return max(1, round(channels * width))


def strides(num_pools: int, *, of: int = 5) -> list[int]:
    """The strides of a net's `of` halvings of the map, of which the first ones are left out until `num_pools` are
    left."""
    left = min(num_pools, of)
    return [1] * (of - left) + [2] * left


def pad_with(net: nn.Module, padding: Padding) -> None:
    """Let the convolutions of a net see zeros beyond the border, or the nearest pixel."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            layer.padding_mode = padding


class LocalResponseNorm(nn.LocalResponseNorm):
    """LRN with the parameters of Krizhevsky et al. 2012: k = 2, n = 5, alpha = 1e-4, beta = 0.75; computed in fp32, as
    torch has no bf16 of it on the CPU.

    torch divides alpha by n and Krizhevsky does not, hence alpha = 5 * 1e-4 here.
    """

    def __init__(self) -> None:
        super().__init__(size=5, alpha=5e-4, beta=0.75, k=2.0)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.to(torch.promote_types(input.dtype, torch.float32))).to(input.dtype)


def make_activation(name: str, channels: int = 1) -> nn.Module:
    """The nonlinearity of that name, "relu", "leaky_relu" (slope 0.01; Maas et al. 2013) or "prelu" (a slope for each
    of `channels`, 0.25 at the start; He et al. 2015)."""
    match name:
        case "relu":
            return nn.ReLU(inplace=True)
        case "leaky_relu":
            return nn.LeakyReLU(inplace=True)
        case "prelu":
            return nn.PReLU(channels)
    raise ValueError(f"{name} is no activation")


def require_relu(relu: bool) -> None:
    """Raise a ValueError where features of averaged maps are asked for before their ReLU."""
    if not relu:
        raise ValueError("maps are averaged after their ReLU")


def require_map(crop: int, num_pools: int, *, smallest: int | None = None) -> None:
    """Raise a UserError for a crop of which `num_pools` halvings leave no map; `smallest` is the least of which they
    leave one, where it is not 2 to the power of their number."""
    needed = smallest or 2**num_pools
    if crop < needed:
        raise UserError(
            f"data.crop={crop} vanishes under model.num_pools={num_pools}; allowed: a crop of {needed} pixels or more, "
            "or fewer pools (model.num_pools=3)."
        )
