"""Boxes survive rescaling, cropping and flipping exactly."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from torchvision.ops import box_iou
from torchvision.transforms.v2 import functional as F
from torchvision.tv_tensors import BoundingBoxes

from vggsuite.config import Decoder
from vggsuite.data import boxes, views
from vggsuite.data.boxes import Boxes
from vggsuite.data.pictures import read_view
from vggsuite.data.samples import Files, Samples
from vggsuite.data.scale import Scale
from vggsuite.data.views import View

lengths = st.integers(8, 900)
shares = st.floats(0, 1)


@st.composite
def edges_in(draw: st.DrawFn, width: int, height: int) -> np.ndarray:
    """Some boxes inside an image of this size: float64 [N, 4]."""
    found = []
    for _ in range(draw(st.integers(1, 3))):
        across, down = sorted([draw(shares), draw(shares)]), sorted([draw(shares), draw(shares)])
        found.append([across[0] * width, down[0] * height, across[1] * width, down[1] * height])
    return np.array(found)


@given(st.data(), lengths, lengths, st.integers(0, 1000), st.integers(32, 64))
def test_there_and_back_is_where_one_was(data: st.DataObject, width: int, height: int, seed: int, high: int) -> None:
    edges = data.draw(edges_in(width, height))
    rng = np.random.default_rng(seed)
    drawn = views.random_view(width, height, rng, scale=Scale(32, high), crop=32, flip=True)
    for view in (drawn, views.whole_view(width, height, 40), views.centre_view(width, height, 40, 32)):
        np.testing.assert_allclose(
            boxes.in_image(boxes.in_view(edges, view), view), edges, atol=1e-9 * max(width, height)
        )


@given(st.data(), lengths, lengths, st.booleans())
def test_it_is_what_torchvision_makes_of_them(data: st.DataObject, width: int, height: int, flip: bool) -> None:
    edges = data.draw(edges_in(width, height))
    left, top = data.draw(st.integers(0, width - 4)), data.draw(st.integers(0, height - 4))
    across, down = data.draw(st.integers(4, width - left)), data.draw(st.integers(4, height - top))
    size = (data.draw(st.integers(8, 300)), data.draw(st.integers(8, 300)))
    view = View(left, top, across, down, size, reduction=1, flip=flip)
    theirs = BoundingBoxes(torch.from_numpy(edges), format="XYXY", canvas_size=(height, width), clamping_mode=None)
    theirs = F.resized_crop(theirs, top, left, down, across, [size[1], size[0]])
    theirs = F.horizontal_flip(theirs) if flip else theirs
    rounding = 300 * float(np.finfo(np.float32).eps)  # torchvision flips in float32, which lies so dense at 300 pixels
    np.testing.assert_allclose(boxes.in_view(edges, view), theirs.numpy(), atol=rounding, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_box_lies_where_the_pixels_are(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    rng = np.random.default_rng(seed)
    width, height = rng.integers(60, 200, 2).tolist()
    left, top = (int(rng.integers(0, length - 30)) for length in (width, height))
    right, bottom = (int(start + rng.integers(20, length - start)) for start, length in ((left, width), (top, height)))
    image = Image.new("RGB", (width, height))
    ImageDraw.Draw(image).rectangle((left, top, right - 1, bottom - 1), fill="white")
    folder = tmp_path_factory.mktemp("painted")
    image.save(folder / "image.png")
    samples = Samples.all_of(Files(Path(folder), ["image.png"]), [0])
    taken: list[View] = []

    def choose(width: int, height: int) -> View:
        taken.append(views.random_view(width, height, rng, scale=Scale(64, 90), crop=64, flip=True))
        return taken[-1]

    pixels, _ = read_view(samples, 0, Decoder.pillow, choose)
    found = boxes.clipped(boxes.in_view(np.array([left, top, right, bottom], dtype=float), taken[0]), 64, 64)
    columns, rows = (np.flatnonzero((pixels[..., 0] > 127).any(axis=axis)) for axis in (0, 1))
    if not len(columns):
        assert boxes.areas(found) < 100
        return
    if min(found[2:] - found[:2]) < 1:
        return  # a sliver at the border, which dims the pixels of its corners twice
    painted = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    np.testing.assert_allclose(found, painted, atol=1.0)


@given(st.data(), lengths, lengths)
def test_overlaps_are_torchvisions(data: st.DataObject, width: int, height: int) -> None:
    first, second = (data.draw(edges_in(width, height))[:1] for _ in range(2))
    theirs = box_iou(torch.from_numpy(first), torch.from_numpy(second))[0].nan_to_num().numpy()
    np.testing.assert_allclose(boxes.overlaps(first, second), theirs, atol=1e-9)


def test_what_lies_outside_is_cut_off() -> None:
    edges = np.array([[-5.0, 2.0, 8.0, 30.0], [40.0, 40.0, 60.0, 60.0]])
    assert boxes.clipped(edges, 32, 20).tolist() == [[0, 2, 8, 20], [32, 20, 32, 20]]
    assert boxes.areas(boxes.clipped(edges, 32, 20)).tolist() == [8 * 18, 0]


def test_boxes_are_kept_by_image() -> None:
    kept = Boxes.of_images([[[0, 0, 1, 1]], [], [[2, 2, 4, 4], [3, 3, 5, 5]]])
    assert kept.of(2).tolist() == [[2, 2, 4, 4], [3, 3, 5, 5]]
    assert kept.counts(np.array([2, 1, 0])).tolist() == [2, 0, 1]
    padded = kept.padded(np.array([0, 2]))
    assert padded.shape == (2, 2, 4)
    assert np.isnan(padded[0, 1]).all()
    assert kept.fingerprint() != Boxes.of_images([[[0, 0, 1, 1]], [[2, 2, 4, 4]], [[3, 3, 5, 5]]]).fingerprint()
