"""The nets: the paper's parameter counts, torchvision's names and logits, LRN's formula, and what is refused."""

from typing import Any

import pytest
import torch
import torchvision
from torch import nn

from vggsuite.errors import UserError
from vggsuite.models.vgg import VGG, LocalResponseNorm
from vggsuite.results.paper import paper

NETS: dict[str, dict[str, Any]] = {
    "A": {"depth": 11},
    "A-LRN": {"depth": 11, "lrn": True},
    "B": {"depth": 13},
    "C": {"depth": 16, "conv1x1": True},
    "D": {"depth": 16},
    "E": {"depth": 19},
}
TINY: dict[str, Any] = {"num_classes": 5, "width": 1 / 32, "crop": 32, "num_pools": 3}


@pytest.mark.parametrize("net", NETS)
def test_the_parameters_are_those_of_table_2(net: str) -> None:
    printed = {row["net"]: row["exact"] for row in paper()["table_2_parameters_millions"]}
    with torch.device("meta"):
        assert sum(p.numel() for p in VGG(**NETS[net]).parameters()) == printed[net]


def test_the_shallow_net_has_eight_weight_layers_and_5x5_kernels() -> None:
    with torch.device("meta"):
        net = VGG(8)
    assert sum(p.numel() for p in net.parameters()) == 134_503_528
    kernels = [layer.kernel_size for layer in net.features if isinstance(layer, nn.Conv2d)]
    assert kernels == [(5, 5)] * 5


@pytest.mark.parametrize("net", NETS)
def test_the_layers_are_those_of_table_1(net: str) -> None:
    expected = paper()["table_1_configs"]["nets"][net]["layers"]
    with torch.device("meta"):
        built = VGG(**NETS[net])
    layers: list[Any] = []
    for layer in built.features:
        match layer:
            case nn.Conv2d():
                assert layer.padding == (layer.kernel_size[0] // 2,) * 2
                assert layer.stride == (1, 1)
                layers.append([layer.kernel_size[0], layer.out_channels])
            case nn.LocalResponseNorm():
                layers.append("LRN")
            case nn.MaxPool2d():
                layers.append("M")
    assert layers == expected


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("depth", [11, 13, 16, 19])
def test_torchvisions_weights_load_unchanged_and_give_its_logits(depth: int, batch_norm: bool) -> None:
    with torch.device("meta"):
        theirs = getattr(torchvision.models, f"vgg{depth}{'_bn' if batch_norm else ''}")(weights=None)
        ours = VGG(depth, batch_norm=batch_norm)
    generator = torch.Generator().manual_seed(depth)
    state = {
        name: torch.zeros(tensor.shape, dtype=tensor.dtype)
        if tensor.dtype == torch.int64
        else torch.rand(tensor.shape, generator=generator).mul_(0.1).sub_(0.0 if "running" in name else 0.05)
        for name, tensor in theirs.state_dict().items()
    }
    theirs.load_state_dict(state, assign=True)
    ours.load_state_dict(state, assign=True)
    images = torch.rand(1, 3, 224, 224, generator=generator)
    with torch.inference_mode():
        expected, got = theirs.eval()(images), ours.eval()(images)
    assert expected.std() > 0
    assert (got - expected).norm() <= 1e-5 * expected.norm()


def test_lrn_is_krizhevskys_formula() -> None:
    k, n, alpha, beta = 2.0, 5, 1e-4, 0.75
    a = 100 * torch.randn(2, 9, 4, 3, dtype=torch.float64)
    expected = torch.empty_like(a)
    for i in range(a.shape[1]):
        near = a[:, max(0, i - n // 2) : i + n // 2 + 1]
        expected[:, i] = a[:, i] / (k + alpha * near.square().sum(dim=1)) ** beta
    assert torch.allclose(LocalResponseNorm()(a), expected, rtol=1e-12)


def test_lrn_follows_the_first_relu() -> None:
    kinds = [type(layer).__name__ for layer in VGG(11, lrn=True, **TINY).features]
    assert kinds[:4] == ["Conv2d", "ReLU", "LocalResponseNorm", "MaxPool2d"]
    assert kinds.count("LocalResponseNorm") == 1


def test_the_weight_layers_have_the_papers_names() -> None:
    names = [name for name, _ in VGG(16, **TINY).named_weight_layers()]
    assert len(names) == 16
    assert names[:3] == ["conv1_1", "conv1_2", "conv2_1"]
    assert names[-4:] == ["conv5_3", "fc6", "fc7", "fc8"]


def test_padding_is_zeros_unless_the_nearest_pixel_is_asked_for() -> None:
    for padding in ("zeros", "replicate"):
        modes = {
            layer.padding_mode for layer in VGG(11, padding=padding, **TINY).features if isinstance(layer, nn.Conv2d)
        }
        assert modes == {padding}
    assert all(layer.padding_mode == "zeros" for layer in VGG(11, **TINY).features if isinstance(layer, nn.Conv2d))


def test_dropout_has_its_probability() -> None:
    dropouts = [layer.p for layer in VGG(11, dropout=0.25, **TINY).classifier if isinstance(layer, nn.Dropout)]
    assert dropouts == [0.25, 0.25]


def test_frozen_layers_get_no_gradient() -> None:
    net = VGG(13, batch_norm=True, **TINY)
    net.freeze(["conv1_1", "conv3_2", "fc7"])
    net(torch.randn(4, 3, 32, 32)).square().sum().backward()
    without = {name.rpartition(".")[0] for name, value in net.named_parameters() if value.grad is None}
    layers = {name: layer for name, layer in net.named_modules() if name in without}
    assert [type(layer).__name__ for layer in layers.values()] == ["Conv2d", "BatchNorm2d"] * 2 + ["Linear"]
    weights = dict(net.named_weight_layers())
    assert {*layers.values()} >= {weights[name] for name in ("conv1_1", "conv3_2", "fc7")}
    assert all(not value.requires_grad for name in without for value in net.get_submodule(name).parameters())


def test_a_frozen_batch_normalisation_keeps_its_averages_and_the_others_do_not() -> None:
    """Whether the net is told to train after it was frozen, as by Lightning, or not again."""
    frozen = VGG(11, batch_norm=True, **TINY)
    again = VGG(11, batch_norm=True, **TINY)
    frozen.freeze(["conv1_1", "conv4_2"])
    again.freeze(["conv1_1", "conv4_2"])
    again.eval().train()
    for net in (frozen, again):
        norms = [layer for layer in net.features if isinstance(layer, nn.BatchNorm2d)]
        names = net.conv_names
        net(torch.randn(4, 3, 32, 32))
        assert net.training
        assert [name for name, norm in zip(names, norms, strict=True) if norm.num_batches_tracked == 0] == [
            *("conv1_1", "conv4_2")
        ]
        unmoved = [name for name, norm in zip(names, norms, strict=True) if not norm.running_mean.any()]  # type: ignore[union-attr]
        assert unmoved == ["conv1_1", "conv4_2"]
        assert not any(layer.training for layer in net.eval().modules())


@pytest.mark.parametrize(
    ("factors", "allowed"),
    [
        ({"depth": 12}, "8, 11, 13, 16, 19"),
        ({"depth": 13, "conv1x1": True}, "model.depth=16"),
        ({"depth": 11, "crop": 16}, "model.num_pools=3"),
    ],
)
def test_an_impossible_net_is_refused_with_what_is_allowed(factors: dict[str, Any], allowed: str) -> None:
    with pytest.raises(UserError, match=allowed):
        VGG(**factors)
