"""Top-k errors."""

import math

import pytest
import torch

from vggsuite.evaluation.metrics import confusion_matrix, errors, per_class, rank_of_label, top_k_error


def test_ranks_count_the_better_classes() -> None:
    scores = torch.tensor([[0.1, 0.7, 0.2], [0.1, 0.7, 0.2], [0.1, 0.7, 0.2]])
    assert rank_of_label(scores, torch.tensor([1, 2, 0])).tolist() == [0, 1, 2]


def test_ties_are_errors() -> None:
    ranks = rank_of_label(torch.zeros(4, 10), torch.tensor([0, 3, 5, 9]))
    assert top_k_error(ranks, 1) == top_k_error(ranks, 5) == 100


def test_scores_that_are_no_numbers_are_errors() -> None:
    ranks = rank_of_label(torch.full((2, 10), torch.nan), torch.tensor([0, 9]))
    assert top_k_error(ranks, 5) == 100


def test_errors_are_percentages() -> None:
    ranks = torch.tensor([0, 0, 1, 4, 5])
    assert top_k_error(ranks, 1) == pytest.approx(60)
    assert top_k_error(ranks, 5) == pytest.approx(20)


def test_errors_are_those_of_the_ranks_with_wilsons_interval() -> None:
    posteriors, labels = torch.rand(200, 12).softmax(dim=1), torch.randint(0, 12, (200,))
    found, ranks = errors(posteriors, labels), rank_of_label(posteriors, labels)
    assert found["num_images"] == 200
    for k in (1, 5):
        assert found[f"top{k}_error"] == pytest.approx(top_k_error(ranks, k))
        p, z, n = found[f"top{k}_error"] / 100, 1.959964, 200  # Wilson 1927
        middle, half = (p + z**2 / (2 * n)) / (1 + z**2 / n), z * (p * (1 - p) / n + z**2 / (4 * n**2)) ** 0.5
        interval = [100 * (middle - half / (1 + z**2 / n)), 100 * (middle + half / (1 + z**2 / n))]
        assert found[f"top{k}_interval"] == pytest.approx(interval, abs=1e-4)


def test_ties_are_lost_in_errors_as_in_ranks() -> None:
    posteriors, labels = torch.full((4, 10), 0.1), torch.tensor([0, 3, 5, 9])
    assert errors(posteriors, labels)["top1_error"] == errors(posteriors, labels)["top5_error"] == 100
    posteriors[0] = torch.tensor([0.3, 0.3, *[0.05] * 8])
    assert errors(posteriors, labels)["top1_error"] == 100
    assert errors(posteriors, labels)["top5_error"] == 75


def test_fewer_than_five_classes_have_no_top_5_error() -> None:
    assert errors(torch.eye(3), torch.tensor([1, 2, 0]))["top5_error"] == 0


def test_errors_by_class_and_who_is_taken_for_whom() -> None:
    posteriors = torch.tensor([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.6, 0.4, 0.0]])
    labels = torch.tensor([0, 1, 1])
    found = per_class(posteriors, labels)
    assert found["images"] == [1, 2, 0]
    assert found["top1_error"][:2] == [0, 50]
    assert math.isnan(found["top1_error"][2])
    assert confusion_matrix(posteriors, labels).tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]
