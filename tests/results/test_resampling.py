"""The bootstrap over test images, beside the metrics that it resamples."""

import numpy as np
import pytest

from vggsuite.config import Metric
from vggsuite.results.resampling import (
    NUM_RESAMPLES,
    centred_bounds,
    resampled_precision,
    resampled_recall,
    resampled_scores,
)
from vggsuite.transfer.metrics import average_precision

PRECISIONS = [Metric.average_precision, Metric.average_precision_11_points]


def ranked(seed: int, *, images: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Distinct scores, and targets of all three kinds that go a little with them."""
    rng = np.random.default_rng(seed)
    targets = rng.choice([1, -1, 0], size=images, p=[0.3, 0.6, 0.1]).astype(np.int8)
    targets[:2] = 1, -1
    return rng.normal(size=images) + targets, targets


def single_label(hits: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Scores and targets of images of each class, of which so many are taken for their own (1), others for the next."""
    labels = np.repeat(np.arange(len(hits)), [len(own) for own in hits])
    predicted = (labels + 1 - np.concatenate(hits)) % len(hits)
    classes = np.eye(len(hits))
    return classes[predicted], (2 * classes[labels] - 1).astype(np.int8)


@pytest.mark.parametrize("eleven_points", [True, False])
def test_each_image_once_is_the_metric_itself(eleven_points: bool) -> None:
    for seed in range(30):
        scores, targets = ranked(seed)
        (found,) = resampled_precision(scores, targets, np.ones((1, 40), int), eleven_points=eleven_points)
        assert found == pytest.approx(average_precision(scores, targets, eleven_points=eleven_points), abs=1e-12)


@pytest.mark.parametrize("eleven_points", [True, False])
def test_a_resample_is_the_metric_of_the_images_drawn(eleven_points: bool) -> None:
    """Images that are drawn several times tie, and count as one step in both."""
    scores, targets = ranked(0)
    counts = np.random.default_rng(1).multinomial(40, [1 / 40] * 40, size=50)
    found = resampled_precision(scores, targets, counts, eleven_points=eleven_points)
    expected = [
        average_precision(np.repeat(scores, own), np.repeat(targets, own), eleven_points=eleven_points)
        for own in counts
    ]
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("eleven_points", [True, False])
def test_a_resample_without_the_class_is_no_number(eleven_points: bool) -> None:
    scores, targets = np.array([3.0, 2, 1, 0]), np.array([1, -1, 0, -1])
    found = resampled_precision(scores, targets, np.array([[0, 2, 2, 0], [1, 3, 0, 0]]), eleven_points=eleven_points)
    assert np.isnan(found[0])
    assert found[1] == 1


@pytest.mark.parametrize("metric", PRECISIONS)
def test_a_class_that_was_not_drawn_is_left_out_of_the_mean(metric: Metric) -> None:
    """Every image has the first class, whose precision is 1; one of four has the second, which ranks it last."""
    scores, targets = np.array([[0.0, 3], [1, 2], [2, 1], [3, 0]]), np.array([[1, -1], [1, -1], [1, -1], [1, 1]])
    draws = resampled_scores(metric, scores, targets.astype(np.int8))
    assert draws.shape == (NUM_RESAMPLES,)
    assert not np.isnan(draws).any()
    assert draws.min() == pytest.approx(100 * (1 + 1 / 4) / 2)
    assert np.mean(np.isclose(draws, 100)) == pytest.approx(0.75**4 + 0.25**4, abs=0.04)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("metric", PRECISIONS)
def test_a_resample_without_any_class_is_left_out_of_the_bounds(metric: Metric) -> None:
    scores, targets = np.array([[1.0], [2], [3]]), np.array([[1], [-1], [-1]], dtype=np.int8)
    draws = resampled_scores(metric, scores, targets)
    assert np.isnan(draws).mean() == pytest.approx((2 / 3) ** 3, abs=0.04)
    assert centred_bounds(50.0, draws, 0.95) == centred_bounds(50.0, draws[~np.isnan(draws)], 0.95)


def test_recall_is_resampled_within_each_class() -> None:
    hits = [[1, 0] * 50, [1], [0] * 3]
    draws = resampled_scores(Metric.mean_class_recall, *single_label(hits))
    assert draws.shape == (NUM_RESAMPLES,)
    assert draws.mean() == pytest.approx(100 * (0.5 + 1 + 0) / 3, abs=0.2)
    assert draws.std() == pytest.approx(100 * 0.05 / 3, rel=0.1)  # of the first class alone


def test_the_recall_of_a_class_is_binomial() -> None:
    draws = resampled_recall(np.random.default_rng(0), np.array([True] * 3 + [False]))
    assert set(draws) == {0, 0.25, 0.5, 0.75, 1}
    assert draws.mean() == pytest.approx(0.75, abs=0.02)
    assert draws.std() == pytest.approx((0.75 * 0.25 / 4) ** 0.5, rel=0.1)


@pytest.mark.parametrize("metric", PRECISIONS)
def test_the_same_images_are_drawn_for_every_net(metric: Metric) -> None:
    columns = [ranked(seed) for seed in range(3)]
    scores, targets = (np.stack(parts, axis=1) for parts in zip(*columns, strict=True))
    draws = resampled_scores(metric, scores, targets)
    assert np.array_equal(draws, resampled_scores(metric, np.exp(scores), targets))
    better = scores + 0.5 * (targets == 1)
    gain = resampled_scores(metric, better, targets) - draws
    assert gain.min() >= -1e-9
    assert gain.max() > 0


def test_the_same_images_are_drawn_for_every_net_by_recall() -> None:
    ours, targets = single_label([[1, 1, 0, 1, 0], [1, 0, 1]])
    other, _ = single_label([[1, 0, 0, 1, 0], [1, 0, 1]])
    gain = resampled_scores(Metric.mean_class_recall, ours, targets) - resampled_scores(
        Metric.mean_class_recall, other, targets
    )
    assert set(np.round(gain).astype(int)) == {0, 10, 20, 30, 40}  # as often as the second image is drawn


def test_the_bounds_are_the_middle_of_the_draws_about_the_value() -> None:
    assert centred_bounds(3.0, np.arange(101.0), 0.9) == pytest.approx([3 - 45, 3 + 45])
    assert centred_bounds(3.0, np.arange(101.0) + 1000, 0.5) == pytest.approx([3 - 25, 3 + 25])
    assert centred_bounds(3.0, np.array([0.0, 0, 0, 4]), 1.0) == pytest.approx([2, 6])  # by the mean, not the median


def test_the_bounds_hold_the_value_though_resampling_raises_average_precision() -> None:
    raised = 0
    for seed in range(10):
        scores, targets = ranked(seed, images=60)
        value = 100 * average_precision(scores, targets, eleven_points=False)
        draws = resampled_scores(Metric.average_precision, scores[:, None], targets[:, None])
        low, high = centred_bounds(value, draws, 0.95)
        assert low < value < high
        assert high - low == pytest.approx(np.diff(np.quantile(draws, (0.025, 0.975)))[0])
        raised += draws.mean() > value
    assert raised >= 8
