"""What a net sees of an image."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vggsuite.data import views
from vggsuite.data.scale import Scale

lengths = st.integers(1, 3000)


@given(width=lengths, height=lengths, side=st.integers(1, 800))
def test_the_smallest_side_is_the_one_asked_for(width: int, height: int, side: int) -> None:
    assume(side**2 * max(width, height) / min(width, height) < views.MOST_PIXELS / 2)  # others are refused
    new_width, new_height = views.rescaled_size(width, height, side)
    assert min(new_width, new_height) == side
    assert (new_width >= new_height) == (width >= height) or new_width == new_height
    assert max(new_width, new_height) == pytest.approx(side * max(width, height) / min(width, height), abs=0.5)


@given(width=lengths, height=lengths, low=st.integers(32, 90), more=st.integers(0, 400), seed=st.integers(0, 1000))
def test_views_lie_within_the_image_at_their_scale(width: int, height: int, low: int, more: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = views.random_view(width, height, rng, scale=Scale(low, low + more), crop=32, flip=True)
    for view in (drawn, views.centre_view(width, height, low, 32)):
        assert view.size == (32, 32)
        assert view.width == view.height
        side = min(width, height) / view.width * 32
        assert low - 1e-6 <= side <= low + more + 1e-6
        assert view.left % view.reduction == view.top % view.reduction == 0
        assert min(width, height) / view.reduction >= 1.5 * side or view.reduction == 1
        assert 0 <= view.left <= width - view.width + view.reduction / 2
        assert 0 <= view.top <= height - view.height + view.reduction / 2


def test_scale_crop_and_flip_are_all_drawn_evenly() -> None:
    rng = np.random.default_rng(0)
    drawn = [views.random_view(12, 16, rng, scale=Scale(32, 64), crop=32, flip=True) for _ in range(6000)]
    sides = Counter(round(12 * 32 / view.width) for view in drawn)
    assert sorted(sides) == list(range(32, 65))
    assert min(sides.values()) > 0.6 * len(drawn) / 33
    lefts = Counter(view.left for view in drawn if round(12 * 32 / view.width) == 64)  # half the width
    assert sorted(lefts) == list(range(7))
    assert Counter(view.top for view in drawn if round(12 * 32 / view.width) == 32).keys() == set(range(5))
    assert 0.45 < np.mean([view.flip for view in drawn]) < 0.55


def test_without_flip_nothing_is_mirrored() -> None:
    rng = np.random.default_rng(0)
    assert not any(views.random_view(60, 40, rng, scale=Scale(40, 40), crop=32, flip=False).flip for _ in range(50))


def test_the_centre_view_is_central() -> None:
    view = views.centre_view(120, 90, side=45, crop=32)
    assert (view.left, view.top, view.width) == (28, 13, 64)


def test_large_images_are_decoded_smaller() -> None:
    sides = (256, 767, 768, 1536, 3072, 30_000)
    assert [views.reduction(30_000, side, side=256) for side in sides] == [1, 1, 2, 4, 8, 8]


def test_the_colour_shift_has_the_covariance_of_the_formula() -> None:
    draws = np.random.default_rng(0).standard_normal((20_000, 3))
    shifts = views.colour_shifts(draws, 0.1)
    assert shifts.dtype == np.float32
    vectors, values = views.RGB_EIGENVECTORS, views.RGB_EIGENVALUES
    expected = 255**2 * vectors @ np.diag((0.1 * values) ** 2) @ vectors.T
    assert np.abs(shifts.mean(axis=0)).max() < 0.1
    assert np.abs(np.cov(shifts.T) - expected).max() < 0.03 * expected.max()
    assert np.sqrt(np.trace(expected)) == pytest.approx(5.5, abs=0.1)  # grey levels
    assert not views.colour_shifts(draws, 0.0).any()
