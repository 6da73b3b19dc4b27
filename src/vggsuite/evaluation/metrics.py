"""Top-k errors, counted without ties in doubt."""

from torch import Tensor


def rank_of_label(scores: Tensor, labels: Tensor) -> Tensor:
    """How many classes score higher than the right one, or as high: int64 [N] from `scores` [N, classes].

    0 is a top-1 hit, below 5 a top-5 hit. Ties count against the net, and so do scores that are not numbers.
    """
    own = scores.gather(1, labels[:, None])
    return (~(scores < own)).sum(dim=1) - 1


def top_k_error(ranks: Tensor, k: int) -> float:
    """Top-k error in percent of ranks [N] as `rank_of_label` gives them."""
    return 100 * (ranks >= k).double().mean().item()
