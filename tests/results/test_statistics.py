"""Intervals, checked against scipy's own."""

import numpy as np
import pytest
from scipy import stats

from vggsuite.results.statistics import mean_and_sd, paired_over_images, paired_over_seeds, paired_over_splits


def test_the_bootstrap_over_images_is_that_of_scipy() -> None:
    rng = np.random.default_rng(1)
    hard = rng.random(400) < 0.2
    ours, other = hard & (rng.random(400) < 0.7), hard | (rng.random(400) < 0.05)
    estimate = paired_over_images(ours, other, 0.95)
    difference = 100 * (ours.astype(float) - other.astype(float))
    scipys = stats.bootstrap((difference,), np.mean, method="percentile", random_state=0).confidence_interval
    assert estimate.value == pytest.approx(difference.mean())
    assert (estimate.low, estimate.high) == pytest.approx(scipys, abs=0.3)
    assert estimate.resolved


def test_nets_that_err_alike_are_not_resolved() -> None:
    wrong = np.array([True, False] * 50)
    estimate = paired_over_images(wrong, wrong, 0.95)
    assert (estimate.value, estimate.low, estimate.high) == (0, 0, 0)
    assert not estimate.resolved


def test_an_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(300):
        kinds = rng.choice([-1, 0, 1], size=300, p=[0.10, 0.85, 0.05])  # true difference: -5 points
        estimate = paired_over_images(kinds > 0, kinds < 0, 0.9)
        covered += estimate.low <= -5 <= estimate.high
    assert 0.84 <= covered / 300 <= 0.96


def test_the_interval_over_seeds_is_students() -> None:
    ours, other = [10.0, 11.0, 10.4], [12.0, 12.5, 12.9]
    estimate = paired_over_seeds(ours, other, 0.95)
    mean, sd = mean_and_sd([a - b for a, b in zip(ours, other, strict=True)])
    assert sd is not None
    half = 4.30265 * sd / 3**0.5  # t quantile of 2 degrees of freedom
    assert (estimate.low, estimate.value, estimate.high) == pytest.approx((mean - half, mean, mean + half), rel=1e-4)


def test_seeds_that_differ_alike_resolve_nothing() -> None:
    assert not paired_over_seeds([10.1, 11.2], [12.1, 13.2], 0.95).resolved


def test_the_interval_over_splits_is_that_of_nadeau_and_bengio() -> None:
    """Differences 1, 2 and 3, whose variance is 1, and half as many test images as training ones."""
    estimate = paired_over_splits([11.0, 22.0, 33.0], [10.0, 20.0, 30.0], 0.95, test_to_train=0.5)
    half = 4.30265 * (1 / 3 + 0.5) ** 0.5  # t quantile of 2 degrees of freedom
    assert (estimate.low, estimate.value, estimate.high) == pytest.approx((2 - half, 2, 2 + half), rel=1e-5)
    assert not estimate.resolved


def test_splits_that_share_images_say_less_than_seeds() -> None:
    ours, other = [10.0, 11.0, 10.4, 10.7], [8.0, 9.3, 8.4, 8.9]
    plain = paired_over_seeds(ours, other, 0.95)
    corrected = paired_over_splits(ours, other, 0.95, test_to_train=0.25)
    assert (corrected.low + corrected.high) / 2 == pytest.approx(plain.value)
    assert corrected.high - corrected.low == pytest.approx(2**0.5 * (plain.high - plain.low))  # 1/4 + 1/4 for 1/4
    independent = paired_over_splits(ours, other, 0.95, test_to_train=0)
    assert (independent.low, independent.high) == pytest.approx((plain.low, plain.high))


@pytest.mark.parametrize("other", [[0.3, 0.7, 0.1], [0.2, 0.6, 0.0]])  # the latter are alike but for rounding
def test_splits_that_differ_alike_resolve_nothing(other: list[float]) -> None:
    estimate = paired_over_splits([0.3, 0.7, 0.1], other, 0.95, test_to_train=0.5)
    assert (estimate.low, estimate.high) == (-np.inf, np.inf)
    assert not estimate.resolved


def test_one_value_has_no_standard_deviation() -> None:
    assert mean_and_sd([3.0]) == (3.0, None)
    assert mean_and_sd([1.0, 3.0]) == (2.0, pytest.approx(2**0.5))
