"""The layers that describe.py lists, against the lectures' table of net D, torch's own counts and painted pixels."""

from copy import deepcopy

import pytest
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vggsuite.anatomy.layers import layers_of
from vggsuite.models.vgg import VGG

# Of net D, as lectures print it (Stanford's CS231n): each map's side and channels, and the weights, without biases.
LECTURE = (
    ("conv1_1", 224, 64, 1_728),
    ("conv1_2", 224, 64, 36_864),
    ("pool1", 112, 64, 0),
    ("conv2_1", 112, 128, 73_728),
    ("conv2_2", 112, 128, 147_456),
    ("pool2", 56, 128, 0),
    ("conv3_1", 56, 256, 294_912),
    ("conv3_2", 56, 256, 589_824),
    ("conv3_3", 56, 256, 589_824),
    ("pool3", 28, 256, 0),
    ("conv4_1", 28, 512, 1_179_648),
    ("conv4_2", 28, 512, 2_359_296),
    ("conv4_3", 28, 512, 2_359_296),
    ("pool4", 14, 512, 0),
    ("conv5_1", 14, 512, 2_359_296),
    ("conv5_2", 14, 512, 2_359_296),
    ("conv5_3", 14, 512, 2_359_296),
    ("pool5", 7, 512, 0),
    ("fc6", 1, 4096, 102_760_448),
    ("fc7", 1, 4096, 16_777_216),
    ("fc8", 1, 1000, 4_096_000),
)


def on_meta(depth: int, **factors: bool) -> VGG:
    with torch.device("meta"):
        return VGG(depth, **factors)  # type: ignore[arg-type]


def of_torchvision(name: str, **told: bool) -> nn.Module:
    with torch.device("meta"):
        return torchvision.models.get_model(name, **told)


def test_net_d_is_the_table_of_every_lecture() -> None:
    layers = layers_of(on_meta(16), 224)
    for layer, (name, side, channels, weights) in zip(layers, LECTURE, strict=True):
        assert layer.name == name
        assert layer.shape == ((channels, side, side) if side > 1 else (channels,))
        assert layer.parameters == weights + (channels if weights else 0)  # with the biases
    assert layers[0].numbers == 3_211_264  # 3.2M
    assert sum(layer.parameters for layer in layers) == 138_357_544  # 138M
    by_name = {layer.name: layer.receptive_field for layer in layers}
    assert by_name["pool5"] == (212, 32)
    assert by_name["fc6"] == (404, None)  # 212, and six strides of 32


@pytest.mark.parametrize(
    "net",
    [
        on_meta(11, lrn=True),
        on_meta(16, conv1x1=True),
        on_meta(19, batch_norm=True),
        of_torchvision("alexnet"),
        of_torchvision("googlenet", init_weights=False),
        of_torchvision("resnet18"),
    ],
    ids=["A-LRN", "C", "E with batch normalisation", "AlexNet", "GoogLeNet", "ResNet-18"],
)
def test_the_sums_are_torchs_own(net: nn.Module) -> None:
    net.eval()
    layers = layers_of(net, 224)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.empty(1, 3, 224, 224, device="meta"))
    assert sum(layer.multiply_adds for layer in layers) == counter.get_total_flops() // 2
    auxiliary = sum(
        value.numel() for name, value in net.named_parameters() if name.startswith("aux")
    )  # not at test time
    assert sum(layer.parameters for layer in layers) == sum(value.numel() for value in net.parameters()) - auxiliary
    assert ("LRN" in [layer.kind for layer in layers]) == any(
        isinstance(m, nn.LocalResponseNorm) for m in net.modules()
    )


@pytest.mark.parametrize("count", [1, 4, 5, 9, 10, 16, 17])  # conv1_1, conv1_2, pool1, conv2_2, pool2, conv3_3, pool3
def test_a_place_sees_its_receptive_field(count: int) -> None:
    """Of all pixels of a row, one at a time brightened, those change a place that lie in its receptive field."""
    side = 96
    net = VGG(16, crop=side, width=1 / 64).features[:count]
    (*_, last) = layers_of(deepcopy(net).to("meta"), side)
    for parameter in net.double().parameters():
        nn.init.ones_(parameter)
    place, stride = last.shape[-1] // 2, last.receptive_field.stride
    assert stride is not None
    images = torch.ones(1 + side, 3, side, side, dtype=torch.float64)
    images[1 + torch.arange(side), :, place * stride + stride // 2, torch.arange(side)] += 1
    with torch.no_grad():
        seen = net(images)[:, 0, place, place]
    assert (seen[1:] != seen[0]).sum() == last.receptive_field.size


def test_a_place_of_a_net_with_shortcuts_sees_what_its_longest_path_sees() -> None:
    layers = layers_of(of_torchvision("resnet18"), 224)
    fields = {layer.name: layer.receptive_field for layer in layers}
    assert fields["layer1.1.conv2"] == (43, 4)
    assert fields["layer4.1.conv2"] == (435, 32)  # as Araujo, Norris and Sim, "Computing Receptive Fields" (2019)
