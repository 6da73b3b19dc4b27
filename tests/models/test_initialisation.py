"""How weights start."""

from typing import Any

import pytest
import torch
from torch import Tensor

from vggsuite.errors import UserError
from vggsuite.models.initialisation import LAYERS_FROM_A, copy_all, copy_from_net_a, draw_weights, frozen_layers
from vggsuite.models.vgg import VGG

TINY: dict[str, Any] = {"num_classes": 5, "width": 1 / 4, "crop": 32, "num_pools": 3}


@pytest.mark.parametrize(
    ("distribution", "std"),
    [("normal", 0.02), ("glorot", (2 / (9 * 128 + 9 * 128)) ** 0.5), ("kaiming", (2 / (9 * 128)) ** 0.5)],
)
def test_the_weights_have_the_distributions_spread(distribution: str, std: float) -> None:
    net = VGG(11, **TINY)
    torch.manual_seed(0)
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
    with pytest.raises(UserError, match=r"init\.layers=all cannot copy conv3_3"):
        copy_all(VGG(16, **TINY), source.state_dict())


def same_layers(net: VGG, state: dict[str, Tensor]) -> dict[str, bool]:
    """Of every parameter and average, whether it is the one in `state`."""
    return {name: torch.equal(value, state[name]) for name, value in net.state_dict().items()}


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("num_classes", [5, 7])
def test_all_but_the_last_layer_come_from_a_net_of_any_classes(num_classes: int, batch_norm: bool) -> None:
    source = VGG(11, **TINY, batch_norm=batch_norm)
    net = VGG(11, **(TINY | {"num_classes": num_classes}), batch_norm=batch_norm)
    if batch_norm:
        source(torch.randn(4, 3, 32, 32))
    given, own = ({name: value.clone() for name, value in side.state_dict().items()} for side in (source, net))
    copy_all(net, given, but_last=True)
    last = ("classifier.6.weight", "classifier.6.bias")
    assert all(torch.equal(value, (own if name in last else given)[name]) for name, value in net.state_dict().items())
    assert all(torch.equal(value, given[name]) for name, value in source.state_dict().items())
    assert not any(torch.equal(net.state_dict()[name], given[name]) for name in last)


def test_a_last_layer_that_is_not_copied_may_be_missing() -> None:
    state = {name: value for name, value in VGG(11, **TINY).state_dict().items() if not name.startswith("classifier.6")}
    net = VGG(11, **TINY)
    copy_all(net, state, but_last=True)
    assert torch.equal(net.state_dict()["classifier.3.weight"], state["classifier.3.weight"])
    with pytest.raises(UserError, match=r"init.layers=all cannot copy fc8 \(classifier.6.weight\)"):
        copy_all(net, state)


@pytest.mark.parametrize(
    ("but_last", "other", "told"),
    [
        (False, {"num_classes": 6}, r"init.layers=all cannot copy fc8 \(classifier.6.weight\)"),
        (True, {"width": 1 / 8}, r"init.layers=all_but_last cannot copy conv1_1 \(features.0.weight\)"),
        (True, {"crop": 40}, r"init.layers=all_but_last cannot copy fc6 \(classifier.0.weight\)"),
    ],
)
def test_what_cannot_be_copied_is_told_by_its_layer(but_last: bool, other: dict[str, int], told: str) -> None:
    net = VGG(11, **TINY)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(UserError, match=told):
        copy_all(net, VGG(11, **(TINY | other)).state_dict(), but_last=but_last)
    assert all(same_layers(net, before).values())


CONVOLUTIONS = ["conv1_1", "conv2_1", "conv3_1", "conv3_2", "conv4_1", "conv4_2", "conv5_1", "conv5_2"]


@pytest.mark.parametrize(
    ("freeze", "names"),
    [
        ("none", []),
        ("conv", CONVOLUTIONS),
        ("all_but_last", [*CONVOLUTIONS, "fc6", "fc7"]),
        (["conv1_1", "fc8"], ["conv1_1", "fc8"]),
        ([], []),
    ],
)
def test_the_layers_to_be_frozen(freeze: object, names: list[str]) -> None:
    assert frozen_layers(VGG(11, **TINY), freeze) == names


@pytest.mark.parametrize(
    "freeze",
    ["all", "conv1_1", None, 3, True, ["conv6_1"], ["conv1_1", "conv1_2"], [*CONVOLUTIONS, "fc6", "fc7", "fc8"]],
)
def test_what_cannot_be_frozen_is_told(freeze: object) -> None:
    """Neither what the net has not, nor all of it."""
    with pytest.raises(UserError, match=r"is no part of the net; allowed: none, conv, all_but_last, or") as error:
        frozen_layers(VGG(11, **TINY), freeze)
    assert str(error.value).startswith(f"recipe.freeze={freeze} ")
    assert "fc6, fc7, fc8), as recipe.freeze=[conv1_1,conv2_1]." in str(error.value)
