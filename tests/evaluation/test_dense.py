"""Dense evaluation: equal to the ordinary forward pass on a crop, and what it adds beyond."""

from typing import Any

import pytest
import torch
from torch import Tensor

from vggsuite.data.preprocessing import Preprocessing
from vggsuite.evaluation.dense import dense_posteriors, predict, score_map
from vggsuite.models.initialisation import draw_weights
from vggsuite.models.vgg import VGG


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
    before, after = (dense_posteriors(net, images, flip=False, average=a) for a in ("scores", "posteriors"))
    assert torch.allclose(before, scores.mean(dim=(2, 3)).softmax(dim=1))
    assert torch.allclose(after, scores.softmax(dim=1).mean(dim=(2, 3)))
    assert not torch.allclose(before, after)


def test_flips_are_averaged_as_posteriors() -> None:
    net, images = make_net(crop=32, num_pools=3), torch.randn(2, 3, 48, 64)
    plain, mirrored = (dense_posteriors(net, i, flip=False) for i in (images, images.flip(-1)))
    assert torch.allclose(dense_posteriors(net, images, flip=True), (plain + mirrored) / 2)


def run_predict(batches: list[tuple[Tensor, Tensor]]) -> Tensor:
    return predict(
        make_net(crop=32, num_pools=3),
        Preprocessing([100.0, 110.0, 120.0]),
        batches,
        num_images=3,
        num_classes=5,
        device=torch.device("cpu"),
        flip=False,
        average="scores",
    )


def test_predictions_come_in_the_order_of_the_data_set() -> None:
    pictures = torch.randint(0, 256, (3, 3, 40, 40), dtype=torch.uint8)
    in_order = run_predict([(pictures, torch.arange(3))])
    shuffled = run_predict([(pictures[[2]], torch.tensor([2])), (pictures[[1, 0]], torch.tensor([1, 0]))])
    assert torch.allclose(in_order, shuffled, atol=1e-6)
    assert torch.allclose(in_order.sum(dim=1), torch.ones(3))


def test_a_missing_image_is_an_error() -> None:
    pictures = torch.zeros(2, 3, 40, 40, dtype=torch.uint8)
    with pytest.raises(RuntimeError, match="1 of 3 images"):
        run_predict([(pictures, torch.tensor([0, 2]))])
