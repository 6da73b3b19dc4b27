"""How weights start."""

from typing import Any

import pytest
import torch

from vggsuite.errors import UserError
from vggsuite.models.initialisation import LAYERS_FROM_A, copy_all, copy_from_net_a, draw_weights
from vggsuite.models.vgg import VGG

TINY: dict[str, Any] = {"num_classes": 5, "width": 1 / 4, "crop": 32, "num_pools": 3}


@pytest.mark.parametrize(
    ("distribution", "std"),
    [("normal", 0.02), ("glorot", (2 / (9 * 128 + 9 * 128)) ** 0.5), ("kaiming", (2 / (9 * 128)) ** 0.5)],
)
def test_the_weights_have_the_distributions_spread(distribution: str, std: float) -> None:
    net = VGG(11, **TINY)
    draw_weights(net, distribution, std=0.02)
    layers = dict(net.named_weight_layers())
    weight = layers["conv5_2"].weight  # 128 -> 128 channels
    assert weight.std().item() == pytest.approx(std, rel=0.02)
    assert weight.mean().item() == pytest.approx(0, abs=3 * std / weight.numel() ** 0.5)
    assert all(layer.bias is not None and not layer.bias.any() for layer in layers.values())


def test_net_a_gives_its_first_four_convolutions_and_the_fc_layers_and_no_more() -> None:
    net_a, net = VGG(11, **TINY), VGG(19, **TINY)
    before = {name: layer.weight.clone() for name, layer in net.named_weight_layers()}
    copy_from_net_a(net, net_a)
    source = dict(net_a.named_weight_layers())
    for name, layer in net.named_weight_layers():
        expected = source[name] if name in LAYERS_FROM_A else None
        assert torch.equal(layer.weight, before[name] if expected is None else expected.weight), name
    assert [name for name in LAYERS_FROM_A if name.startswith("conv")] == ["conv1_1", "conv2_1", "conv3_1", "conv3_2"]


@pytest.mark.parametrize("other", [{"depth": 8}, {"depth": 16, "num_classes": 4}])
def test_layers_of_another_shape_are_refused(other: dict[str, int]) -> None:
    with pytest.raises(UserError, match="init=net_a cannot copy"):
        copy_from_net_a(VGG(**(TINY | other)), VGG(11, **TINY))


def test_all_layers_come_from_the_same_net_only() -> None:
    source, net = VGG(13, **TINY), VGG(13, **TINY)
    copy_all(net, source.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(source.parameters(), net.parameters(), strict=True))
    with pytest.raises(UserError, match="init=finished_run cannot copy"):
        copy_all(VGG(16, **TINY), source.state_dict())
