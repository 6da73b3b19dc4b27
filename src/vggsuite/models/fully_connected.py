"""Nets of a sequence of layers, `features`, and of FC layers after it, `classifier`."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from vggsuite.models.net import ConvNet, make_activation, require_relu, run_layers


class SequentialNet(ConvNet):
    """A net whose layers stand in `features` and `classifier`, as torchvision names them.

    Attributes:
        features: the convolutions and all between them.
        classifier: three FC layers, or one on the average of the last maps.
    """

    features: nn.Sequential
    classifier: nn.Sequential

    @property
    def stages(self) -> Sequence[Sequence[nn.Module]]:
        layers = list(self.features)
        ends = [index + 1 for index, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
        return [layers[start:end] for start, end in pairwise([0, *ends, len(layers)])]

    def hidden(self, features: Tensor, *, relu: bool = True) -> Tensor:
        if self.averages_maps:
            require_relu(relu)
        return run_layers(list(self.classifier)[: -1 if relu else -3], features)

    def set_ceil_mode(self, ceil_mode: bool) -> None:
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                layer.ceil_mode = ceil_mode


def fully_connected(
    features: int, hidden: int, num_classes: int, activation: str = "relu", *, dropout: float
) -> nn.Sequential:
    """The three FC layers, with dropout after the activation of the first two; a PReLU's slope is one for its layer."""
    return nn.Sequential(
        nn.Linear(features, hidden),
        make_activation(activation),
        nn.Dropout(dropout),
        nn.Linear(hidden, hidden),
        make_activation(activation),
        nn.Dropout(dropout),
        nn.Linear(hidden, num_classes),
    )
