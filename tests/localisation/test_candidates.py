"""What nets say at the places of images, against each crop by itself."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.evaluation.conftest import make_net, noise
from vggsuite.errors import UserError
from vggsuite.evaluation.dense import score_map
from vggsuite.localisation.candidates import (
    Candidates,
    CentreBoxes,
    PlacesBoxes,
    PlacesPosteriors,
    candidates_of,
    centre_boxes,
    joined,
    load_candidates,
    save_candidates,
)
from vggsuite.localisation.regression import decoded

CLASSES = torch.tensor([[0, 2], [1, 1], [2, 0]])
INDICES = torch.tensor([2, 0])  # the images of a batch
PLACES = [(top, left) for top in (0, 8) for left in (0, 8, 16)]  # of 32-crops in 40 x 52 pixels


@torch.inference_mode()
@pytest.mark.parametrize("num_outputs", [4, 12])
def test_boxes_are_those_of_the_crop_at_each_place(num_outputs: int) -> None:
    net, images = make_net(num_classes=num_outputs), noise(2, 3, 40, 52)
    found = PlacesBoxes(40, CLASSES, crops=True)(net, images, INDICES).view(2, len(PLACES), 2, 4)
    for image, index in enumerate(INDICES):
        for place, (top, left) in enumerate(PLACES):
            outputs = net(images[image : image + 1, :, top : top + 32, left : left + 32]).view(-1, 4)
            for which, label in enumerate(CLASSES[index]):
                own = decoded(outputs[label if num_outputs == 12 else 0], 32) + torch.tensor([left, top, left, top])
                torch.testing.assert_close(found[image, place, which], own, atol=1e-3, rtol=1e-4)


@torch.inference_mode()
def test_posteriors_are_those_of_the_crop_at_each_place() -> None:
    net, images = make_net(), noise(2, 3, 40, 52)
    found = PlacesPosteriors(40, CLASSES, crops=True)(net, images, INDICES).view(2, len(PLACES), 2)
    for image, index in enumerate(INDICES):
        crops = torch.stack([images[image, :, top : top + 32, left : left + 32] for top, left in PLACES])
        torch.testing.assert_close(found[image], net(crops).softmax(dim=1)[:, CLASSES[index]], atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_a_map_has_the_places_of_the_crops() -> None:
    net, images = make_net(num_classes=12), noise(2, 3, 40, 52)
    found = PlacesBoxes(40, CLASSES)(net, images, INDICES).view(2, len(PLACES), 2, 4)
    maps = score_map(net, images)
    assert maps.shape == (2, 12, 2, 3)
    own = decoded(maps[1, 8:12, 1, 2], 32) + torch.tensor([16, 8, 16, 8])  # image 0, place (1, 2), class 2
    torch.testing.assert_close(found[1, 5, 1], own)


@torch.inference_mode()
def test_the_centre_crop_has_one_box_a_class_in_pixels_of_the_image() -> None:
    net, images = make_net(num_classes=12), noise(2, 3, 40, 52)
    found = CentreBoxes(40, CLASSES)(net, images, INDICES)
    own = decoded(net(images[:, :, 4:36, 10:42]).view(2, 3, 4)[0, [2, 0]], 32) + torch.tensor([10, 4, 10, 4])
    torch.testing.assert_close(found[0].view(2, 4), own)
    in_image = centre_boxes(list(found.numpy()), [(104, 80), (104, 80)], 40)  # twice as large
    np.testing.assert_allclose(in_image[0], 2 * own.numpy(), rtol=1e-5)


def test_candidates_are_put_back_into_their_images_and_joined(tmp_path: Path) -> None:
    boxes = [np.arange(8, dtype=np.float32), np.arange(16, dtype=np.float32)]
    scores = [np.array([0.25, 0.5], dtype=np.float32), np.array([0.1, 0.2, 0.3, 0.4], dtype=np.float32)]
    found = candidates_of(boxes, scores, [(80, 80), (120, 80)], side=40, num_classes=2)
    assert found[0].edges.tolist() == [[[0, 2, 4, 6], [8, 10, 12, 14]]]
    assert found[1].scores.shape == (2, 2)
    both = joined([found, found])
    assert both[0].edges.shape == (2, 2, 4)
    save_candidates(both, tmp_path)
    again = load_candidates(tmp_path)
    assert [own.edges.shape for own in again] == [(2, 2, 4), (4, 2, 4)]
    assert np.array_equal(again[1].edges, both[1].edges)
    (tmp_path / "candidates.npz").write_bytes(b"PK nothing")
    with pytest.raises(UserError, match=r"candidates\.npz is damaged"):
        load_candidates(tmp_path)


def test_nets_with_other_places_do_not_go_together() -> None:
    with pytest.raises(ValueError, match="cannot reshape"):
        candidates_of([np.zeros(16)], [np.zeros(6)], [(80, 80)], side=40, num_classes=2)
    assert Candidates(np.zeros((1, 2, 4)), np.zeros((1, 2))).scores.shape == (1, 2)
