"""The score of a split, by each metric, and what is said of metrics and images that do not go together."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from vggsuite.config import Metric
from vggsuite.data.labelled import LabelledImages, Split, one_label
from vggsuite.data.samples import Files, Samples
from vggsuite.errors import UserError
from vggsuite.transfer.metrics import average_precision
from vggsuite.transfer.scoring import check_metric, outcome_of, score

PRECISIONS = [Metric.average_precision, Metric.average_precision_11_points]


def images_of(labels: Sequence[int]) -> LabelledImages:
    """Images of three classes, all but two of them to test on."""
    samples = Samples.all_of(Files(Path(), [f"{i}.jpg" for i in range(len(labels))]), labels)
    split = Split(np.array([0, 1]), np.array([1]), np.arange(2, len(labels)))
    return one_label(["cat", "dog", "owl"], samples, [split])


def several_labels() -> LabelledImages:
    samples = Samples.all_of(Files(Path(), ["0.jpg", "1.jpg"]), [0, 0])
    targets = np.array([[1, 1], [-1, 0]], dtype=np.int8)
    return LabelledImages(["cat", "dog"], samples, targets, [], multi_label=True)


def said(predicted: Sequence[int], *, classes: int = 3) -> np.ndarray:
    """Scores that are highest for these classes."""
    return np.eye(classes)[np.array(predicted)]


def test_each_metric_is_of_its_kind_of_images() -> None:
    check_metric(Metric.mean_class_recall, images_of([0, 1, 2]), "birds")
    for metric in PRECISIONS:
        check_metric(metric, several_labels(), "voc2007")


@pytest.mark.parametrize("metric", PRECISIONS)
def test_average_precision_is_not_of_images_of_one_class(metric: Metric) -> None:
    told = rf"^metric={metric} is .* one class each, .* data=birds; allowed: metric=mean_class_recall\.$"
    with pytest.raises(UserError, match=told):
        check_metric(metric, images_of([0, 1, 2]), "birds")


def test_recall_is_not_of_images_of_several_classes() -> None:
    told = (
        r"several classes each, .* data=voc2007; "
        r"allowed: metric=average_precision, metric=average_precision_11_points\.$"
    )
    with pytest.raises(UserError, match=told):
        check_metric(Metric.mean_class_recall, several_labels(), "voc2007")


def test_every_class_counts_alike_in_mean_class_recall() -> None:
    targets = images_of([0, 0, 0, 1, 2]).targets
    found = score(Metric.mean_class_recall, said([0, 0, 1, 1, 0]), targets)
    assert found.per_class == [66.6667, 100, 0]
    assert found.score == pytest.approx(500 / 9)


@pytest.mark.parametrize("metric", PRECISIONS)
def test_average_precision_is_that_of_each_class(metric: Metric) -> None:
    rng = np.random.default_rng(0)
    scores, targets = rng.normal(size=(30, 4)), rng.choice([1, -1, 0], size=(30, 4)).astype(np.int8)
    found = score(metric, scores, targets)
    eleven = metric == Metric.average_precision_11_points
    expected = [100 * average_precision(scores[:, c], targets[:, c], eleven_points=eleven) for c in range(4)]
    assert found.per_class == pytest.approx(expected, abs=1e-4)
    assert found.score == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("metric", Metric)
def test_a_class_without_test_images_is_an_error(metric: Metric) -> None:
    targets = images_of([0, 0, 2]).targets
    with pytest.raises(UserError, match=r"^1 class\(es\), the first of them number 2, have no image to be tested on"):
        score(metric, said([0, 0, 2]), targets)


def test_held_out_images_may_want_some_classes() -> None:
    """The second class has none, but images may be taken for it."""
    targets = images_of([0, 0, 2, 2]).targets
    scores = np.array([[1.0, 0, 0], [2, 3, 1], [1, 3, 2], [2, 3, 1]])
    found = score(Metric.mean_class_recall, scores, targets, partial=True)
    assert found.per_class == [50, 0]
    assert found.score == 25


@pytest.mark.parametrize("metric", PRECISIONS)
def test_difficult_images_alone_are_none_of_a_class(metric: Metric) -> None:
    scores, targets = np.array([[2.0, 1], [1, 2]]), np.array([[1, 0], [-1, -1]], dtype=np.int8)
    assert score(metric, scores, targets, partial=True).per_class == [100]
    with pytest.raises(UserError, match="number 2, have no image"):
        score(metric, scores, targets)


def test_images_of_no_class_have_no_score() -> None:
    with pytest.raises(UserError, match=r"^2 class\(es\), the first of them number 1"):
        score(Metric.average_precision, np.zeros((2, 2)), -np.ones((2, 2), dtype=np.int8), partial=True)


def test_the_outcome_is_of_the_test_images() -> None:
    images = images_of([0, 0, 0, 1, 1, 2])
    scores = said([0, 1, 2, 2])
    outcome = outcome_of(Metric.mean_class_recall, images, images.splits[0], scores, c=0.5)
    assert outcome.told == {
        "score": pytest.approx(250 / 3),
        "c": 0.5,
        "num_train": 2,
        "num_held_out": 1,
        "num_test": 4,
        "per_class": [100, 50, 100],
    }
    assert outcome.test.tolist() == [2, 3, 4, 5]
    assert outcome.scores.dtype == np.float32
    assert outcome.scores.tolist() == scores.tolist()
