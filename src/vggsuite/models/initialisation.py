"""How weights start (section 3.1): drawn from a distribution, then some or all copied from another net."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vggsuite.errors import UserError
from vggsuite.models.net import ConvNet
from vggsuite.models.state import first_difference, module_names

# What B to E take from A: its first four convolutions, by shape and name, and the three FC layers.
LAYERS_FROM_A = ("conv1_1", "conv2_1", "conv3_1", "conv3_2", "fc6", "fc7", "fc8")
ONE_FC = "fc"  # in the place of the last three, where the maps are averaged


def draw_weights(net: ConvNet, distribution: str, *, std: float = 0.01) -> None:
    """Draw all convolution and FC weights anew from torch's global generator; biases are 0.

    Args:
        net: changed in place.
        distribution: "normal" (mean 0, `std`), "glorot" (uniform; Glorot & Bengio 2010) or "kaiming" (normal; He et
            al. 2015).
        std: of "normal". The paper's "variance 1e-2", std 0.1, gives net A a loss of 2.5e8 at the start; 0.01 is what
            trains, and what the group's later code has.
    """
    for _, layer in net.named_weight_layers():
        match distribution:
            case "normal":
                nn.init.normal_(layer.weight, std=std)
            case "glorot":
                nn.init.xavier_uniform_(layer.weight)
            case "kaiming":
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            case _:
                raise UserError(f"init.distribution={distribution} is unknown; allowed: normal, glorot, kaiming.")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


@torch.no_grad()
def copy_from_net_a(net: ConvNet, net_a: ConvNet) -> None:
    """Copy the layers `LAYERS_FROM_A`, weights and biases, from a trained net A.

    Raises:
        UserError: where a layer is missing or has another shape in `net`.
    """
    target, source = dict(net.named_weight_layers()), dict(net_a.named_weight_layers())
    convolutions = [name for name in LAYERS_FROM_A if not name.startswith(ONE_FC)]
    for name in [*convolutions, ONE_FC] if ONE_FC in target else LAYERS_FROM_A:
        if name not in target or name not in source or target[name].weight.shape != source[name].weight.shape:
            raise UserError(
                f"init=net_a cannot copy {name}, which the two nets do not share in one shape; allowed: a run of net A "
                "with this run's width, classes and crop, for a VGG net of 3x3 layers (or init=glorot)."
            )
        target[name].load_state_dict(source[name].state_dict())


def copy_all(net: ConvNet, state: Mapping[str, Tensor], *, but_last: bool = False) -> None:
    """Copy every layer from the weights of the same net; `but_last`: all but the last, whose classes may be others.

    Raises:
        UserError: where the two nets differ.
    """
    if not net.auxiliary:
        state = {name: value for name, value in state.items() if not name.startswith("aux")}
    if but_last:
        state = {**state, **{name: value for name, value in net.state_dict().items() if net.is_of_outputs(name)}}
    if difference := first_difference(net, state):
        raise UserError(
            f"init.layers={'all_but_last' if but_last else 'all'} cannot copy {difference}: the other net is not this "
            "one; allowed: one with the same model settings and crop, and the same classes unless the last layer is "
            "new (init.layers=all_but_last)."
        )
    net.load_state_dict(state)


def frozen_layers(net: ConvNet, freeze: Any) -> list[str]:
    """The layers that `recipe.freeze` means, by the paper's names.

    Args:
        net: whose layers they are.
        freeze: "none", "conv" (all convolutions), "all_but_last", or a list of names.

    Raises:
        UserError: for anything else, and where nothing would be left to learn.
    """
    paths = module_names(net)
    names = list(paths)
    words = {
        "none": [],
        "conv": net.conv_names,
        "all_but_last": [name for name, path in paths.items() if path not in net.outputs],
    }
    asked = words.get(freeze) if isinstance(freeze, str) else freeze
    if not isinstance(asked, list) or not set(asked) < set(names):
        raise UserError(
            f"recipe.freeze={freeze} is no part of the net; allowed: {', '.join(words)}, or a list of some of its "
            f"layers ({', '.join(names)}), as recipe.freeze=[{','.join(names[:2])}]."
        )
    return asked
