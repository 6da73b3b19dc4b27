"""Average precision, by its definition and beside public implementations."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score
from torchmetrics.functional.classification import binary_average_precision

from vggsuite.transfer.metrics import average_precision

# Few different scores, so that many tie.
RANKINGS = st.lists(st.tuples(st.integers(0, 6), st.sampled_from([1, -1, -1, 0])), min_size=1, max_size=40).filter(
    lambda images: any(target == 1 for _, target in images)
)


def as_arrays(images: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    scores, targets = np.array(images).T
    return scores.astype(np.float32), targets.astype(np.int8)


def by_definition(scores: np.ndarray, targets: np.ndarray, *, eleven_points: bool) -> float:
    """Threshold by threshold."""
    points = []
    for threshold in np.unique(scores):
        taken = targets[scores >= threshold]
        hits = int((taken == 1).sum())
        if counted := int((taken != 0).sum()):
            points.append((hits / int((targets == 1).sum()), hits / counted))

    def best(recall: float) -> float:
        return max((precision for reached, precision in points if reached >= recall), default=0)

    if eleven_points:
        return sum(best(tenth / 10) for tenth in range(11)) / 11
    recalls = sorted({0.0, *(recall for recall, _ in points)})
    return sum((upper - lower) * best(upper) for lower, upper in itertools.pairwise(recalls))


def test_an_example_by_hand() -> None:
    """Ranked + - + + - and a difficult one second: precision 1, 2/3, 3/4 at recall 1/3, 2/3, 1."""
    scores, targets = np.array([9, 8.5, 8, 7, 6, 5]), np.array([1, 0, -1, 1, 1, -1])
    assert average_precision(scores, targets, eleven_points=False) == pytest.approx((1 + 3 / 4 + 3 / 4) / 3)
    assert average_precision(scores, targets, eleven_points=True) == pytest.approx((4 * 1 + 7 * 3 / 4) / 11)


@given(RANKINGS, st.booleans())
def test_it_is_as_defined(images: list[tuple[int, int]], eleven_points: bool) -> None:
    scores, targets = as_arrays(images)
    expected = by_definition(scores, targets, eleven_points=eleven_points)
    assert average_precision(scores, targets, eleven_points=eleven_points) == pytest.approx(expected)


@given(RANKINGS)
def test_the_envelope_is_at_least_the_step_curve_of_scikit_learn(images: list[tuple[int, int]]) -> None:
    scores, targets = as_arrays(images)
    counted = targets != 0
    steps = average_precision_score(targets[counted] == 1, scores[counted])
    assert steps - 1e-9 <= average_precision(scores, targets, eleven_points=False) <= 1
    assert 0 <= average_precision(scores, targets, eleven_points=True) <= 1


@given(RANKINGS, st.booleans(), st.randoms(use_true_random=False))
def test_the_order_of_the_images_does_not_matter(
    images: list[tuple[int, int]], eleven_points: bool, rng: object
) -> None:
    shuffled = list(images)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    found = [average_precision(*as_arrays(order), eleven_points=eleven_points) for order in (images, shuffled)]
    assert found[0] == found[1]


@given(RANKINGS, st.booleans())
def test_only_the_ranks_matter(images: list[tuple[int, int]], eleven_points: bool) -> None:
    scores, targets = as_arrays(images)
    found = [average_precision(these, targets, eleven_points=eleven_points) for these in (scores, np.exp(scores) - 3)]
    assert found[0] == found[1]


@given(st.integers(1, 30), st.integers(0, 30), st.booleans())
def test_a_perfect_ranking_has_1(positives: int, negatives: int, eleven_points: bool) -> None:
    targets = np.repeat([1, -1], [positives, negatives])
    scores = np.arange(len(targets), 0.0, -1)
    assert average_precision(scores, targets, eleven_points=eleven_points) == pytest.approx(1)


@settings(max_examples=30)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 20))
def test_where_precision_only_falls_it_is_that_of_scikit_learn_and_torchmetrics(
    first: int, gap: int, last: int
) -> None:
    """`first` positives, then one after every `gap` + 1 more negatives than before."""
    ranked = [1] * first
    for number in range(1, 5):
        ranked += [-1] * (gap * 2**number * (first + number)) + [1]
    targets = np.array(ranked + [-1] * last)
    scores = np.linspace(1, 0, len(targets), dtype=np.float32)
    ours = average_precision(scores, targets, eleven_points=False)
    assert ours == pytest.approx(average_precision_score(targets == 1, scores))
    theirs = binary_average_precision(torch.from_numpy(scores), torch.from_numpy((targets == 1).astype(int)))
    assert ours == pytest.approx(theirs.item(), abs=1e-5)


def test_all_images_tied_have_the_share_of_positives() -> None:
    targets = np.array([1, -1, -1, 1, 0, -1, -1, -1])
    for eleven_points in (True, False):
        assert average_precision(np.zeros(8), targets, eleven_points=eleven_points) == pytest.approx(2 / 7)


@pytest.mark.parametrize("eleven_points", [True, False])
def test_a_class_without_a_positive_is_an_error(eleven_points: bool) -> None:
    with pytest.raises(ValueError, match="Without a positive image"):
        average_precision(np.array([0.1, 0.2]), np.array([-1, 0]), eleven_points=eleven_points)
