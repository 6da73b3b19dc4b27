"""Greedy merging, against the plain way that compares all pairs at every step."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import distance_box_iou

from vggsuite.localisation.config import Averaging, Match
from vggsuite.localisation.merging import NUMBERS, match_score, merge

corners = st.integers(0, 40)
sides = st.integers(0, 30)
boxes = st.tuples(corners, corners, sides, sides).map(lambda c: [c[0], c[1], c[0] + c[2], c[1] + c[3]])


def score_of(first: np.ndarray, second: np.ndarray, match: Match) -> float:
    return float(match_score(np.stack([first, second]), 0, 1, NUMBERS[match]))


def merged_plainly(
    edges: np.ndarray, scores: np.ndarray, threshold: float, match: Match, averaging: Averaging
) -> tuple[list[list[float]], list[float], list[list[int]]]:
    """The boxes, their scores, and who went into each, by comparing all pairs at every step: cubic time."""
    left = {place: (box.astype(float), [place]) for place, box in enumerate(edges)}
    while len(left) > 1:
        score, first, second = min((score_of(left[a][0], left[b][0], match), a, b) for a, b in combinations(left, 2))
        if score > threshold:
            break
        (box, own), (other, others) = left[first], left.pop(second)
        share = len(others) / (len(own) + len(others)) if averaging == Averaging.weighted else 0.5
        left[first] = (box + share * (other - box), own + others)
    return (
        [box.tolist() for box, _ in left.values()],
        [float(scores[own].sum()) for _, own in left.values()],
        [sorted(own) for _, own in left.values()],
    )


@settings(deadline=None)
@given(
    edges=st.lists(boxes, max_size=14),
    threshold=st.floats(0, 2),
    match=st.sampled_from(Match),
    averaging=st.sampled_from(Averaging),
)
def test_it_is_the_plain_way(edges: list[list[int]], threshold: float, match: Match, averaging: Averaging) -> None:
    """Whole numbers, so that many match scores are equal."""
    array, scores = np.array(edges, dtype=float).reshape(-1, 4), np.arange(1.0, len(edges) + 1)
    reach = 20 * threshold if match == Match.overfeat else threshold
    expected = merged_plainly(array, scores, reach, match, averaging)
    found = merge(array, scores, threshold=reach, match=match, averaging=averaging)
    groups = [np.flatnonzero(found.groups == place).tolist() for place in range(len(found.edges))]
    assert (found.edges.tolist(), found.scores.tolist(), groups) == expected


def test_what_was_given_stays_as_it_was() -> None:
    edges = np.array([[0.0, 0, 10, 10], [1, 1, 11, 11]])
    merge(edges, np.ones(2), threshold=1)
    assert edges.tolist() == [[0, 0, 10, 10], [1, 1, 11, 11]]


def test_a_pile_of_equal_boxes_is_one() -> None:
    found = merge(np.tile([2.0, 3, 12, 23], (500, 1)), np.full(500, 0.5), threshold=0.1)
    assert found.edges.tolist() == [[2, 3, 12, 23]]
    assert found.scores.tolist() == [250]


@pytest.mark.parametrize(
    ("averaging", "left"), [(Averaging.weighted, (0 + 0 + 3) / 3), (Averaging.equal, ((0 + 0) / 2 + 3) / 2)]
)
def test_averages_count_boxes_or_not(averaging: Averaging, left: float) -> None:
    edges = np.array([[0.0, 0, 30, 30], [0, 0, 30, 30], [3, 0, 33, 30]])
    found = merge(edges, np.ones(3), threshold=0.5, averaging=averaging)
    assert found.edges.tolist() == [pytest.approx([left, 0, left + 30, 30])]


@given(boxes, boxes)
def test_the_match_scores_are_what_they_are_called(first: list[int], second: list[int]) -> None:
    one, other = np.array(first, dtype=float), np.array(second, dtype=float)
    if (one[2:] > one[:2]).all() and (other[2:] > other[:2]).all():
        theirs = 1 - float(distance_box_iou(torch.from_numpy(one[None]), torch.from_numpy(other[None])))
        assert score_of(one, other, Match.diou) == pytest.approx(theirs, abs=1e-6)
        assert 0 <= score_of(one, other, Match.iou) <= score_of(one, other, Match.diou) <= 2
    across, down = (one[:2] + one[2:] - other[:2] - other[2:]) / 2
    width, height = np.maximum(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0)
    assert score_of(one, other, Match.overfeat) == pytest.approx(math.hypot(across, down) + width * height)
