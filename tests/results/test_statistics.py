"""Intervals, checked against scipy's own."""

import numpy as np
import pytest
from scipy import stats

from vggsuite.results.statistics import mean_and_sd, paired_over_images, paired_over_seeds


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


def test_one_value_has_no_standard_deviation() -> None:
    assert mean_and_sd([3.0]) == (3.0, None)
    assert mean_and_sd([1.0, 3.0]) == (2.0, pytest.approx(2**0.5))
