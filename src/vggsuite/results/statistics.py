"""Means over seeds, and intervals for the difference between two nets."""

import math
from typing import NamedTuple

import numpy as np
from scipy import stats

NUM_RESAMPLES = 10_000


class Estimate(NamedTuple):
    """A difference in error, in percentage points, with its confidence interval and how that was made."""

    value: float
    low: float
    high: float
    method: str

    @property
    def resolved(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0


def mean_and_sd(values: list[float]) -> tuple[float, float | None]:
    """The mean, and the standard deviation (n - 1) of two values or more."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def paired_over_images(ours: np.ndarray, other: np.ndarray, confidence: float) -> Estimate:
    """The difference in error `ours` - `other` of two nets on the same images, by a bootstrap over the images.

    Args:
        ours, other: whether each image was wrong, bool [N], in the same order.
        confidence: of the interval, e.g. 0.95.
    """
    difference = ours.astype(int) - other.astype(int)
    num_images = len(difference)
    # An image is one of three kinds, so drawing N images anew is one draw from a multinomial distribution.
    shares = [np.mean(difference == kind) for kind in (-1, 0, 1)]
    draws = np.random.default_rng(0).multinomial(num_images, shares, size=NUM_RESAMPLES)
    resampled = 100 * (draws[:, 2] - draws[:, 0]) / num_images
    tail = (1 - confidence) / 2
    low, high = np.quantile(resampled, (tail, 1 - tail))
    return Estimate(100 * float(difference.mean()), float(low), float(high), f"bootstrap over {num_images} images")


def paired_over_seeds(ours: list[float], other: list[float], confidence: float) -> Estimate:
    """The difference in error `ours` - `other`, in percent, of runs paired by seed, by Student's t.

    Differences that are all alike have no spread to infer one from: their interval is unbounded.
    """
    difference = np.subtract(ours, other)
    value, method = float(difference.mean()), f"t over {len(ours)} seeds"
    if np.allclose(difference, value):
        return Estimate(value, -math.inf, math.inf, method)
    interval = stats.ttest_rel(ours, other).confidence_interval(confidence)
    return Estimate(value, float(interval.low), float(interval.high), method)


def paired_over_splits(ours: list[float], other: list[float], confidence: float, *, test_to_train: float) -> Estimate:
    """The difference in score `ours` - `other`, in percent, over random splits of the same images into training and
    test ones. Splits share images, so Student's t has its variance corrected (Nadeau & Bengio 2003).

    Args:
        test_to_train: how many test images there are for each training image.
    """
    difference = np.subtract(ours, other)
    count, value = len(difference), float(difference.mean())
    method = f"corrected t over {count} splits"
    if np.allclose(difference, value):
        return Estimate(value, -math.inf, math.inf, method)
    error = math.sqrt((1 / count + test_to_train) * float(np.var(difference, ddof=1)))
    reach = float(stats.t.ppf(0.5 + confidence / 2, count - 1)) * error
    return Estimate(value, value - reach, value + reach, method)
