"""AlexNet, GoogLeNet, ResNets and the factors of VGG, against torchvision's nets, published counts and each other."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
import yaml
from torch import Tensor, nn
from torch.nn import functional as F

from tests.conftest import ROOT
from vggsuite.config import Family, ModelConfig, Padding
from vggsuite.evaluation.dense import dense_posteriors, score_map
from vggsuite.models.build import build_net
from vggsuite.models.factors import model_of
from vggsuite.models.initialisation import copy_all, draw_weights, frozen_layers
from vggsuite.models.net import ConvNet, multiply_adds
from vggsuite.models.weights import load_weights, torchvision_name

MODELS = {file.stem: model_of(yaml.safe_load(file.read_text())) for file in ROOT.glob("conf/model/*.yaml")}
OTHERS = sorted(name for name, model in MODELS.items() if model.family != Family.vgg)
SMALL: dict[str, Any] = {"width": 1 / 8, "num_pools": 3, "padding": Padding.replicate}  # as on the digits


def on_meta(model: ModelConfig, **sizes: int) -> ConvNet:
    with torch.device("meta"):
        return build_net(model, **sizes).eval()


def small(name: str, **factors: Any) -> ConvNet:
    """The net of that name for crops of 32 pixels and 5 classes."""
    return build_net(replace(MODELS[name], **SMALL | factors), num_classes=5, crop=32)


def crops(count: int = 2, side: int = 32) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("alexnet", 60_965_224),  # of Caffe's, two towers
        ("googlenet", 6_624_904),  # these and the ResNets: torchvision's documentation
        ("resnet18", 11_689_512),
        ("resnet34", 21_797_672),
        ("resnet50", 25_557_032),
        ("resnet101", 44_549_160),
        ("resnet152", 60_192_808),
    ],
)
def test_parameters_are_those_published(name: str, published: int) -> None:
    assert on_meta(MODELS[name]).num_parameters() == published


@pytest.mark.parametrize(("name", "millions"), [("resnet20", 0.27), ("resnet56", 0.85)])
def test_parameters_of_small_resnets_are_those_published(name: str, millions: float) -> None:
    """He et al. 2015, table 6, for ten classes; plain nets have as many, since shortcuts have none."""
    for kind in (name, name.replace("resnet", "plain")):
        assert round(on_meta(MODELS[kind], num_classes=10, crop=32).num_parameters() / 1e6, 2) == millions


def test_parameters_of_one_tower_and_of_googlenet_as_it_was() -> None:
    assert on_meta(replace(MODELS["alexnet"], towers=1)).num_parameters() == 62_378_344
    # Szegedy et al. 2014, table 1, has 159 thousand in inception (3a), and 6.8 M in all, biases not counted.
    parameters = {
        name: value for name, value in on_meta(MODELS["googlenet_2014"]).named_parameters() if "aux" not in name
    }
    thousands = sum(value.numel() for name, value in parameters.items() if name.startswith("inception3a")) / 1000
    assert thousands == pytest.approx(159, rel=0.04)
    assert sum(value.numel() for value in parameters.values()) == 6_998_552


def test_a_plain_net_is_its_resnet_without_projections() -> None:
    with_shortcuts, plain = (dict(on_meta(MODELS[name]).named_parameters()) for name in ("resnet34", "plain34"))
    projections = {name for name in with_shortcuts if "downsample" in name}
    assert with_shortcuts.keys() - projections == plain.keys()
    assert len(projections) == 9


@pytest.mark.parametrize(
    ("name", "published"), [("alexnet", 0.724), ("resnet18", 1.81), ("resnet50", 4.09), ("googlenet", 1.50)]
)
def test_multiply_adds_are_those_published(name: str, published: float) -> None:
    """In 10^9; of torchvision's documentation, of AlexNet of Caffe's."""
    assert multiply_adds(on_meta(MODELS[name]), 224) / 1e9 == pytest.approx(published, abs=0.01)


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "googlenet"])
def test_weights_of_torchvision_give_its_scores(name: str) -> None:
    theirs = getattr(torchvision.models, name)(**({"init_weights": False} if name == "googlenet" else {}))
    ours = build_net(MODELS[name])
    ours.load_state_dict(theirs.state_dict())
    images = crops(1, 224)
    for module in (*ours.modules(), *theirs.modules()):
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    for training in (False, True) if name == "googlenet" else (False,):
        found, expected = (net.train(training)(images) for net in (ours, theirs))
        if training:  # with what the auxiliary classifiers say
            assert all(map(torch.equal, found, (expected.logits, expected.aux_logits1, expected.aux_logits2)))
        else:
            assert torch.equal(found, expected)


@pytest.mark.parametrize("name", OTHERS)
def test_a_small_net_learns_and_is_tested_densely(name: str) -> None:
    net = small(name)
    draw_weights(net, "kaiming")
    net.train()
    scores = net(crops(4))
    net.loss(scores, torch.tensor([0, 1, 2, 3])).backward()
    assert all(value.grad is not None for value in net.parameters())
    net.eval()
    with torch.no_grad():
        assert net(crops()).shape == (2, 5)
        maps = score_map(net, crops(2, 48))
        assert maps.shape[:2] == (2, 5)
        assert maps.shape[2] > 1
        posteriors = dense_posteriors(net, crops(2, 48))
    if net.averages_maps:  # such a net's own forward is dense evaluation
        with torch.no_grad():
            assert torch.allclose(posteriors, net(crops(2, 48)).softmax(dim=1), atol=1e-6)
    assert torch.allclose(maps.mean(dim=(2, 3)).softmax(dim=1), posteriors, atol=1e-5)  # the last layer is linear


@pytest.mark.parametrize("name", OTHERS)
def test_a_place_of_the_score_map_is_as_far_from_the_next_as_the_stride(name: str) -> None:
    net = small(name).eval()
    with torch.no_grad():
        sides = [score_map(net, crops(1, side)).shape[-1] for side in (64, 64 + 4 * net.stride)]
    assert sides[1] - sides[0] == 4


def test_auxiliary_classifiers_learn_at_their_weight_and_are_gone_in_the_test() -> None:
    net, labels = small("googlenet", dropout=0.0), torch.tensor([0, 1])
    net.train()
    main, first, second = net(crops())
    expected = F.cross_entropy(main, labels) + 0.3 * (F.cross_entropy(first, labels) + F.cross_entropy(second, labels))
    assert torch.allclose(net.loss((main, first, second), labels), expected)
    assert isinstance(net.eval()(crops()), Tensor)
    without = small("googlenet", auxiliary=0.0)
    assert without.num_parameters() == net.num_parameters() == sum(value.numel() for value in without.parameters())
    assert isinstance(without.train()(crops()), Tensor)


def test_checkpointed_activations_give_the_same_gradients() -> None:
    """Of nets without running averages."""
    for name in ("alexnet", "googlenet_2014"):
        net = small(name, dropout=0.0)
        for module in net.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        gradients = []
        for checkpointed in (False, True):
            net.checkpoint_activations = checkpointed
            net.zero_grad()
            net.loss(net.train()(crops()), torch.tensor([0, 1])).backward()
            gradients.append([value.grad.clone() for value in net.parameters() if value.grad is not None])
        assert all(torch.equal(*pair) for pair in zip(*gradients, strict=True))


def test_the_last_layer_of_other_classes_is_new_with_those_of_auxiliary_classifiers() -> None:
    source, target = small("googlenet"), build_net(replace(MODELS["googlenet"], **SMALL), num_classes=7, crop=32)
    copy_all(target, source.state_dict(), but_last=True)
    assert torch.equal(target.state_dict()["aux1.fc1.weight"], source.state_dict()["aux1.fc1.weight"])
    assert target.state_dict()["aux1.fc2.weight"].shape[0] == target.state_dict()["fc.weight"].shape[0] == 7
    assert set(frozen_layers(target, "all_but_last")) & {"fc", "aux1.fc2", "aux2.fc2"} == set()


def test_freezing_takes_batch_normalisation_along() -> None:
    net = small("resnet18")
    net.freeze(["conv1", "layer1.0.conv2"])
    frozen = {name.rpartition(".")[0] for name, value in net.named_parameters() if not value.requires_grad}
    assert frozen == {"conv1", "bn1", "layer1.0.conv2", "layer1.0.bn2"}


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "googlenet", "vgg_d", "vgg_a"])
def test_torchvisions_net_is_found_whatever_the_width(name: str) -> None:
    found = torchvision_name(on_meta(replace(MODELS[name], width=1 / 8)))
    assert found == {"vgg_d": "vgg16", "vgg_a": "vgg11"}.get(name, name)


@pytest.mark.parametrize("name", ["alexnet", "plain34", "resnet20", "googlenet_2014", "vgg_c", "vgg_34", "vgg_a_lrn"])
def test_nets_that_torchvision_has_not_have_no_weights_there(name: str) -> None:
    assert torchvision_name(on_meta(MODELS[name])) == ""


def test_published_weights_of_googlenet_come_with_its_own_preprocessing(tmp_path: Path) -> None:
    file = tmp_path / "googlenet-1378be20.pth"
    net = build_net(replace(MODELS["googlenet"], width=1 / 8))
    torch.save(net.state_dict(), file)
    weights = load_weights(str(file), net, None)
    assert weights.preprocessing == {"mean": [127.5] * 3, "std": [127.5] * 3}
    without = build_net(replace(MODELS["googlenet"], width=1 / 8, auxiliary=0.0))
    without.load_state_dict(load_weights(str(file), without, None).state)


@pytest.mark.parametrize("name", ["googlenet", "resnet18"])
def test_features_before_a_relu_are_refused_where_maps_are_averaged(name: str) -> None:
    net = small(name)
    with pytest.raises(ValueError, match="averaged after their ReLU"):
        net.hidden(torch.zeros(1, 8), relu=False)


@pytest.mark.parametrize("name", ["alexnet", "googlenet_2014", "vgg_a_lrn"])
def test_lrn_takes_half_precision(name: str) -> None:
    net = small(name, dropout=0.0).eval()
    with torch.inference_mode():
        exact = net(crops())
        assert torch.allclose(net.bfloat16()(crops().bfloat16()).float(), exact, atol=0.05 * exact.abs().max())


@pytest.mark.parametrize("name", ["vgg_a", "alexnet", "googlenet", "resnet18", "resnet50", "resnet20"])
def test_a_place_sees_what_lies_around_its_centre(name: str) -> None:
    """The centre of mass of a place's gradient, over images of noise."""
    torch.manual_seed(0)
    net = small(name).eval()
    images = crops(16, 128).requires_grad_()
    maps = net.maps(images)
    place = maps.shape[-1] // 2 - net.map_side // 2
    seen = maps[:, :, place : place + net.map_side, place : place + net.map_side]
    (gradient,) = torch.autograd.grad(seen.sum(), images)
    weights = gradient.abs().sum(dim=(0, 1, 2))
    middle = float((weights * (torch.arange(128) + 0.5)).sum() / weights.sum())
    assert middle == pytest.approx(net.first_centre + place * net.stride, abs=net.stride / 4)
