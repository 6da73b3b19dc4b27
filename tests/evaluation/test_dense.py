"""Dense evaluation: equal to the ordinary forward pass on a crop, and what it adds beyond."""

from typing import Any

import pytest
import torch
from torch import nn

from vggsuite.evaluation.dense import dense_posteriors, score_map
from vggsuite.evaluation.inference import Posteriors, prepare
from vggsuite.models.initialisation import draw_weights
from vggsuite.models.vgg import VGG
from vggsuite.protocol import Average, Method, Protocol


def make_net(**factors: Any) -> VGG:
    torch.manual_seed(0)
    net = VGG(**({"depth": 11, "num_classes": 5, "width": 1 / 16} | factors))
    draw_weights(net, "kaiming")
    return net.eval()


@pytest.mark.parametrize("factors", [{"depth": 11}, {"depth": 16, "conv1x1": True}, {"depth": 11, "batch_norm": True}])
def test_on_a_224_crop_it_is_the_ordinary_forward_pass(factors: dict[str, Any]) -> None:
    net = make_net(**factors)
    weights = {name: value.clone() for name, value in net.state_dict().items()}
    crops = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        scores, expected = score_map(net, crops), net(crops)
    assert scores.shape == (2, 5, 1, 1)
    assert (scores[..., 0, 0] - expected).norm() <= 1e-5 * expected.norm()
    assert all(torch.equal(weights[name], value) for name, value in net.state_dict().items())


@pytest.mark.parametrize(("height", "width"), [(256, 256), (256, 340), (384, 511)])
def test_the_map_has_a_place_for_every_step_of_32(height: int, width: int) -> None:
    with torch.inference_mode():
        scores = score_map(make_net(width=1 / 64), torch.randn(1, 3, height, width))
    assert scores.shape[2:] == (height // 32 - 6, width // 32 - 6)


def test_a_place_of_the_map_sees_its_own_crop() -> None:
    """In a picture that is zero outside one crop, only that crop's place, and no far one, depends on it."""
    net = make_net(crop=32, num_pools=3)
    image = torch.zeros(1, 3, 32, 256)
    empty = score_map(net, image)
    image[..., 0:32] = torch.randn(3, 32, 32)
    change = (score_map(net, image) - empty).abs().sum(dim=(0, 1, 2))
    assert change.argmax() == 0
    assert change[-1] == 0


def test_the_scores_are_averaged_before_or_after_the_soft_max() -> None:
    net, images = make_net(crop=32, num_pools=3), torch.randn(2, 3, 48, 64)
    scores = score_map(net, images)
    before, after = (dense_posteriors(net, images, average) for average in Average)
    assert torch.allclose(before, scores.mean(dim=(2, 3)).softmax(dim=1))
    assert torch.allclose(after, scores.softmax(dim=1).mean(dim=(2, 3)))
    assert not torch.allclose(before, after)


def test_without_padding_effects_it_is_the_mean_over_sliding_windows() -> None:
    """Where a convolution sees no neighbours, a place of the map is just the forward pass of its crop."""
    net = make_net(crop=32, num_pools=3)
    with torch.no_grad():
        for layer in net.features:
            if isinstance(layer, nn.Conv2d):
                layer.weight *= torch.tensor([[0.0, 0, 0], [0, 1, 0], [0, 0, 0]])
    image = torch.randn(1, 3, 48, 64)
    windows = image.unfold(2, 32, net.stride).unfold(3, 32, net.stride)  # [1, 3, h, w, 32, 32]
    with torch.inference_mode():
        scores = score_map(net, image)
        expected = net(windows.permute(0, 2, 3, 1, 4, 5).reshape(-1, 3, 32, 32))
    assert scores.shape[2:] == (3, 5)
    assert torch.allclose(scores.flatten(2)[0].T, expected, atol=1e-5)


def test_with_padding_only_places_near_a_windows_border_differ() -> None:
    """What dense evaluation sees beyond a window, a crop replaces by its padding; far from it they agree."""
    net = make_net(crop=256, num_pools=3)
    image = torch.randn(1, 3, 256, 512)
    with torch.inference_mode():
        whole, crop = net.features(image)[..., :32], net.features(image[..., :256])
    difference = (whole - crop).abs().amax(dim=(0, 1, 2))
    assert difference[-1] > 1e-3
    assert difference[:16].max() < 1e-5  # 128 pixels and more from the border, beyond A's receptive field


def test_ceil_mode_adds_a_place_where_the_side_is_no_multiple_of_the_stride() -> None:
    net, images = make_net(crop=32, num_pools=3), torch.randn(1, 3, 40, 52)
    shapes = []
    for ceil_mode in (False, True):
        prepare(net, Posteriors(Protocol(Method.dense, (40,), flip=False, ceil_mode=ceil_mode)), torch.device("cpu"))
        shapes.append(score_map(net, images).shape[2:])
    assert shapes == [(2, 3), (2, 4)]
