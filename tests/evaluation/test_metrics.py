"""Top-k errors."""

import pytest
import torch

from vggsuite.evaluation.metrics import rank_of_label, top_k_error


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
