"""What a net sees of an image."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.conftest import smooth_picture
from vggsuite.data import views
from vggsuite.data.scale import Scale


@given(width=st.integers(1, 3000), height=st.integers(1, 3000), side=st.integers(1, 800))
def test_the_smallest_side_is_the_one_asked_for(width: int, height: int, side: int) -> None:
    new_width, new_height = views.rescaled_size(width, height, side)
    assert min(new_width, new_height) == side
    assert (new_width >= new_height) == (width >= height) or new_width == new_height
    assert max(new_width, new_height) == pytest.approx(side * max(width, height) / min(width, height), abs=0.5)


@pytest.mark.parametrize("side", [64, 75, 113])
def test_a_crop_is_that_of_the_rescaled_image(picture: Image.Image, side: int) -> None:
    whole = views.rescaled(picture, side).astype(int)
    for left, top in ((0, 0), (3, 11), (whole.shape[1] - 48, whole.shape[0] - 48)):
        crop = views.crop_of_rescaled(picture, side, left, top, 48).astype(int)
        assert np.abs(crop - whole[top : top + 48, left : left + 48]).max() <= 2


@given(
    width=st.integers(20, 200),
    height=st.integers(20, 200),
    low=st.integers(32, 90),
    more=st.integers(0, 40),
    seed=st.integers(0, 1000),
)
def test_a_training_crop_lies_within_the_image(width: int, height: int, low: int, more: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pixels = views.training_crop(smooth_picture(width, height), rng, scale=Scale(low, low + more), crop=32, flip=True)
    assert pixels.shape == (32, 32, 3)
    assert pixels.dtype == np.uint8


def test_scale_crop_and_flip_are_all_drawn(picture: Image.Image) -> None:
    draws = [
        views.training_crop(picture, np.random.default_rng(seed), scale=Scale(40, 80), crop=32, flip=True).astype(int)
        for seed in range(300)
    ]
    steps = np.array(
        [np.diff(pixels[0, :, 0]).mean() for pixels in draws]
    )  # red rises with x: its slope tells S and flip
    assert 0.4 < (steps < 0).mean() < 0.6
    assert np.abs(steps).max() / np.abs(steps).min() == pytest.approx(2, rel=0.15)
    corners = np.array([pixels[0, 0, 1] for pixels in draws])  # green rises with y
    assert corners.min() == 0
    assert corners.max() > 130


def test_without_flip_nothing_is_mirrored(picture: Image.Image) -> None:
    for seed in range(30):
        pixels = views.training_crop(picture, np.random.default_rng(seed), scale=Scale(40, 40), crop=32, flip=False)
        assert pixels[0, -1, 0] > pixels[0, 0, 0]


def test_the_centre_crop_is_central(picture: Image.Image) -> None:
    pixels = views.centre_crop(picture, side=48, crop=32)  # of 64 x 48
    assert pixels[:, :, 0].mean() == pytest.approx(127.5, abs=3)
    assert pixels[:, :, 1].mean() == pytest.approx(127.5, abs=3)


def test_the_colour_shift_has_the_covariance_of_the_formula() -> None:
    rng = np.random.default_rng(0)
    shifts = np.stack([views.colour_shift(rng, 0.1) for _ in range(20_000)])
    vectors, values = views.RGB_EIGENVECTORS, views.RGB_EIGENVALUES
    expected = 255**2 * vectors @ np.diag((0.1 * values) ** 2) @ vectors.T
    assert np.abs(shifts.mean(axis=0)).max() < 0.1
    assert np.abs(np.cov(shifts.T) - expected).max() < 0.03 * expected.max()
    assert np.sqrt(np.trace(expected)) == pytest.approx(5.5, abs=0.1)  # grey levels
    assert not views.colour_shift(rng, 0.0).any()
