"""From candidates to answers, and from answers to ILSVRC's errors."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from vggsuite.localisation.answers import answers
from vggsuite.localisation.candidates import Candidates
from vggsuite.localisation.metrics import box_errors, largest_overlaps, wrong_images

MERGING = {"threshold": 0.5}


def test_the_answer_is_the_merged_box_of_the_highest_total() -> None:
    """Two places agree on one box with less certainty each than a third has of another."""
    edges = np.array([[[0.0, 0, 10, 10]], [[0, 0, 10, 10]], [[50, 50, 60, 60]]])
    scores = np.array([[0.4], [0.4], [0.7]])
    assert answers([Candidates(edges, scores)], MERGING).tolist() == [[[0, 0, 10, 10]]]
    scores[2] = 0.9
    assert answers([Candidates(edges, scores)], MERGING).tolist() == [[[50, 50, 60, 60]]]


def test_each_class_is_answered_by_its_own_boxes_and_scores() -> None:
    edges = np.array([[[0.0, 0, 10, 10], [5, 5, 9, 9]], [[70, 70, 90, 90], [20, 20, 40, 40]]])
    scores = np.array([[0.9, 0.1], [0.1, 0.9]])
    assert answers([Candidates(edges, scores)], MERGING).tolist() == [[[0, 0, 10, 10], [20, 20, 40, 40]]]


def test_a_guess_is_right_when_label_and_box_are() -> None:
    classes = np.array([[1, 2, 1], [2, 1, 1], [2, 0, 1], [1, 0, 1]])  # two guesses, and the right class
    overlap = np.array([[0.6, 0.9, 0.6], [0.9, 0.7, 0.7], [0.9, 0.9, 0.9], [0.5, 0.9, 0.5]])
    wrong = wrong_images(classes, overlap, np.ones(4, dtype=int))
    assert wrong["top1"].tolist() == [False, True, True, True]  # 0.5 does not exceed 0.5
    assert wrong["top5"].tolist() == [False, False, True, True]
    assert wrong["gt_class"].tolist() == [False, False, False, True]


def test_without_guesses_there_is_the_error_given_the_class() -> None:
    assert wrong_images(np.array([[1]]), np.array([[0.7]]), np.array([1])).keys() == {"gt_class"}


def test_any_true_box_will_do() -> None:
    truth = np.array([[[0.0, 0, 10, 10], [50, 50, 60, 60]], [[0, 0, 10, 10], [np.nan] * 4]])
    edges = np.array([[[50.0, 50, 60, 60], [0, 0, 10, 5]], [[0, 0, 10, 10], [50, 50, 60, 60]]])
    assert largest_overlaps(edges, truth).tolist() == [[1, 0.5], [1, 0]]


def test_errors_are_shares_with_intervals() -> None:
    wrong = np.array([True] * 3 + [False] * 9)
    found = box_errors({"top5": wrong})
    assert found["top5_error"] == pytest.approx(100 * (1 - accuracy_score(np.zeros(12), wrong)))
    assert found["num_images"] == 12
    low, high = found["top5_interval"]
    assert 0 < low < 25 < high < 100
