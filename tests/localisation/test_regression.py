"""Boxes as a net regresses them, and what is learnt of them."""

import pytest
import torch
from torch import Tensor

from tests.evaluation.conftest import make_net
from vggsuite.config import Distribution, FineTuneConfig, RecipeConfig
from vggsuite.data.preprocessing import Preprocessing
from vggsuite.localisation.module import BoxRegression
from vggsuite.localisation.regression import best_overlaps, decoded, encoded, euclidean_loss, of_classes
from vggsuite.models.vgg import VGG


def some_boxes(count: int) -> Tensor:
    corner, side = 20 * torch.rand(count, 2), 1 + 30 * torch.rand(count, 2)
    return torch.cat([corner, corner + side], dim=1)


def test_a_box_is_its_centre_and_size_in_sides_of_the_crop() -> None:
    assert encoded(torch.tensor([[0.0, 8, 32, 24]]), 32).tolist() == [[0, 0, 1, 0.5]]
    assert encoded(torch.tensor([[24.0, 0, 32, 32]]), 32).tolist() == [[0.375, 0, 0.25, 1]]


def test_decoding_undoes_encoding() -> None:
    boxes = some_boxes(50)
    torch.testing.assert_close(decoded(encoded(boxes, 32), 32), boxes)


def test_a_size_below_zero_is_none() -> None:
    assert decoded(torch.tensor([0.0, 0.0, -0.2, 0.5]), 32).tolist() == [16, 8, 16, 24]


def test_each_class_has_its_own_box_or_all_have_one() -> None:
    outputs, classes = torch.arange(24.0).view(2, 12), torch.tensor([[2, 0], [1, 1]])
    assert of_classes(outputs, classes).tolist() == [
        [[8, 9, 10, 11], [0, 1, 2, 3]],
        [[16, 17, 18, 19], [16, 17, 18, 19]],
    ]
    assert of_classes(outputs[:, :4], classes)[1].tolist() == [[12, 13, 14, 15]] * 2


def test_the_loss_is_half_the_squared_distance() -> None:
    assert euclidean_loss(torch.tensor([[3.0, 0, 4, 0], [0, 0, 0, 2]]), torch.zeros(2, 4)).item() == (25 + 4) / 2 / 2


def test_of_several_true_boxes_the_nearest_counts() -> None:
    truth = torch.tensor([[[0.0, 0, 10, 10], [20, 20, 30, 30]], [[0, 0, 10, 10], [torch.nan] * 4]])
    found = best_overlaps(torch.tensor([[20.0, 20, 30, 25], [0, 0, 10, 10]]), truth)
    assert found.tolist() == [0.5, 1.0]


@pytest.fixture
def module() -> BoxRegression:
    recipe = RecipeConfig(
        epochs=1,
        batch_size=4,
        lr=0.1,
        patience=1,
        min_gain=0.0,
        distribution=Distribution.glorot,
        fine_tune=FineTuneConfig(lr=0.1, epochs=1),
    )
    return BoxRegression(make_net(num_classes=12), Preprocessing([120.0] * 3), recipe)  # three classes


def test_only_the_labelled_classs_box_is_learnt(module: BoxRegression) -> None:
    pixels = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    labels = torch.tensor([1, 1, 2, 1])
    module.training_step((pixels, torch.zeros(4, 3), labels, some_boxes(4)), 0).backward()
    assert isinstance(module.net, VGG)
    gradient = dict(module.net.named_weight_layers())["fc8"].weight.grad
    assert gradient is not None
    assert gradient[:4].abs().max() == 0
    assert (gradient[4:].abs().amax(dim=1) > 0).all()


def test_a_step_makes_boxes_better(module: BoxRegression) -> None:
    pixels = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    batch = (pixels, torch.zeros(4, 3), torch.tensor([0, 1, 2, 1]), some_boxes(4))
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-9)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = module.training_step(batch, 0)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert losses == sorted(losses, reverse=True)
