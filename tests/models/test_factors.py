"""The factors of nets: which compose, what they change, what has no part in a family, and what nets are called."""

from dataclasses import asdict, replace
from typing import Any

import pytest
import torch
from torch import nn

from tests.models.test_families import MODELS, crops, on_meta, small
from vggsuite.config import Head, ModelConfig, RecipeConfig
from vggsuite.data.preprocessing import Preprocessing
from vggsuite.errors import UserError
from vggsuite.evaluation.dense import dense_posteriors
from vggsuite.models.build import build_net
from vggsuite.models.factors import check_model, model_of, name_of
from vggsuite.models.table1 import block_kernels
from vggsuite.models.vgg import VGG, Shortcut
from vggsuite.training.module import Classification


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        (3, ((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3))),
        (5, ((5,), (5,), (5, 3), (5, 3), (5, 3))),
        (7, ((5,), (5,), (7,), (7,), (7,))),
    ],
)
def test_stacks_are_merged_into_kernels_that_see_as_much(kernel: int, expected: tuple[tuple[int, ...], ...]) -> None:
    merged = block_kernels(16, kernel=kernel)
    assert merged == expected
    for block, before in zip(merged, block_kernels(16), strict=True):
        assert sum(size - 1 for size in block) == sum(size - 1 for size in before)
    assert block_kernels(13, kernel=5) == block_kernels(8)  # the shallow net of section 4.1


def test_a_7x7_has_81_percent_more_weights_than_three_3x3() -> None:
    """Section 2.3, of the block of D with as many channels in as out."""
    three, one = (
        sum(layer.weight.numel() for name, layer in on_meta(ModelConfig(depth=16, kernel=kernel)).named_weight_layers()
            if name.startswith("conv5"))
        for kernel in (3, 7)
    )  # fmt: skip
    assert (three, one) == (27 * 512**2, 49 * 512**2)


def test_shortcuts_add_the_identity_and_no_parameters() -> None:
    plain, net = (small("vgg_d", batch_norm=True, shortcuts=shortcuts) for shortcuts in (False, True))
    assert plain.num_parameters() == net.num_parameters()
    assert list(dict(plain.named_weight_layers())) == list(dict(net.named_weight_layers()))
    assert isinstance(net, VGG)
    around = [layer for layer in net.features if isinstance(layer, Shortcut)]
    assert [layer.new_channels for layer in around] == [8, 0, 0, 0]  # conv1_2 alone; conv2_1-2; then the last two each
    for layer in around:
        first, last = layer.layers[0], layer.layers[-1]
        assert isinstance(first, nn.Conv2d)
        assert isinstance(last, nn.BatchNorm2d)
        nn.init.zeros_(last.weight)
        maps = torch.rand(1, first.in_channels, 4, 4)
        made = layer.eval()(maps)
        assert torch.equal(made[:, : maps.shape[1]], maps)
        assert not made[:, maps.shape[1] :].any()


@pytest.mark.parametrize("kind", ["relu", "leaky_relu", "prelu"])
def test_activations(kind: str) -> None:
    """The slopes of PReLUs, one for each channel of a convolution, learn and do not decay."""
    net = small("vgg_a", activation=kind)
    layers = [layer for layer in net.modules() if isinstance(layer, nn.ReLU | nn.LeakyReLU | nn.PReLU)]
    assert len(layers) == 10
    assert {type(layer).__name__ for layer in layers} == {
        {"relu": "ReLU", "leaky_relu": "LeakyReLU", "prelu": "PReLU"}[kind]
    }
    groups = Classification(net, Preprocessing([0.0] * 3), RecipeConfig(lr=0.1)).parameter_groups()
    assert sum(len(group["params"]) for group in groups) == len(list(net.parameters()))
    slopes = [value.numel() for group in groups if group.get("weight_decay") == 0 for value in group["params"]]
    assert slopes == ([8, 16, 32, 32, 64, 64, 64, 64, 1, 1] if kind == "prelu" else [])
    with torch.no_grad():
        assert dense_posteriors(net.eval(), crops(1, 40)).shape == (1, 5)


def test_an_average_pool_leaves_one_layer_of_the_three() -> None:
    names = list(dict(on_meta(replace(MODELS["vgg_d"], head=Head.global_average_pool)).named_weight_layers()))
    assert names[-2:] == ["conv5_3", "fc"]
    saved = (
        on_meta(MODELS["vgg_d"]).num_parameters()
        - on_meta(replace(MODELS["vgg_d"], head=Head.global_average_pool)).num_parameters()
    )
    assert saved == 123_642_856 - 513_000  # fc6 to fc8, less one of 512 inputs


@pytest.mark.parametrize("depth", [25, 34, 56])
def test_nets_beyond_table_1_have_that_many_weight_layers(depth: int) -> None:
    assert len(list(on_meta(ModelConfig(depth=depth)).named_weight_layers())) == depth


@pytest.mark.parametrize(
    ("model", "factors", "told"),
    [
        ("resnet18", {"lrn": True}, "model.lrn=true has no part in model.family=resnet, where it is false"),
        (
            "resnet18",
            {"batch_norm": False},
            "model.batch_norm=false has no part in model.family=resnet, where it is true",
        ),
        ("resnet18", {"depth": 19}, "model.depth=19 is no net of model.family=resnet; allowed: 18, 34"),
        ("resnet50", {"shortcuts": False}, "model.shortcuts=false has no place in model.depth=50"),
        ("alexnet", {"batch_norm": True}, "model.batch_norm=true has no part in model.family=alexnet"),
        ("googlenet", {"kernel": 7}, "model.kernel=7 has no place in GoogLeNet"),
        ("googlenet", {"shortcuts": True}, "model.shortcuts=true has no part in model.family=googlenet"),
        ("vgg_d", {"towers": 2}, "model.towers=2 has no part in model.family=vgg"),
        ("vgg_d", {"kernel": 4}, "model.kernel=4 has no place in model.depth=16"),
        ("vgg_shallow", {"kernel": 5}, "model.kernel=5 has no place in model.depth=8"),
    ],
)
def test_what_no_net_has_is_refused(model: str, factors: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        check_model(replace(MODELS[model], **factors))


@pytest.mark.parametrize(
    ("factors", "told"),
    [
        ({"depth": 8, "shortcuts": True, "num_pools": 3}, "model.shortcuts=true finds no two layers"),
        ({"depth": 16, "num_pools": 5}, "vanishes under model.num_pools=5"),
    ],
)
def test_what_cannot_be_built_is_refused(factors: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        build_net(ModelConfig(**factors), crop=16)


@pytest.mark.parametrize("name", ["alexnet", "googlenet", "resnet18"])
def test_a_crop_of_which_no_map_is_left_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"vanishes under model\.num_pools=5"):
        build_net(MODELS[name], crop=20)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        *(("vgg_a_lrn", "A-LRN"), ("vgg_c", "C"), ("vgg_e", "E"), ("vgg_34", "VGG-34"), ("alexnet", "AlexNet")),
        *(
            ("googlenet", "GoogLeNet"),
            ("googlenet_2014", "GoogLeNet (2014)"),
            ("resnet50", "ResNet-50"),
            ("plain20", "plain-20"),
        ),
    ],
)
def test_names_are_the_fields_own(name: str, told: str) -> None:
    assert name_of(MODELS[name]) == told
    assert name_of(model_of(asdict(MODELS[name]) | {"parameters": 3})) == told  # as a record has it


def test_names_tell_other_factors() -> None:
    assert name_of(replace(MODELS["alexnet"], towers=1, lrn=False)) == "AlexNet, lrn false, towers 1"
    model = replace(MODELS["vgg_d"], batch_norm=True, head=Head.global_average_pool)
    assert name_of(model) == "D, batch_norm true, head global_average_pool"
