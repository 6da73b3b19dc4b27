"""Errors in percent, their intervals, and where they fall."""

from typing import Any

import torch
from scipy.stats import binomtest
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix, multiclass_stat_scores

CONFIDENCE = 0.95  # of every error's interval


def rank_of_label(scores: Tensor, labels: Tensor) -> Tensor:
    """How many classes score higher than the right one, or as high: int64 [N] from `scores` [N, classes].

    0 is a top-1 hit, below 5 a top-5 hit. Ties count against the net, and so do scores that are not numbers.
    """
    own = scores.gather(1, labels[:, None])
    return (~(scores < own)).sum(dim=1) - 1


def top_k_error(ranks: Tensor, k: int) -> float:
    """Top-k error in percent of ranks [N] as `rank_of_label` gives them."""
    return 100 * (ranks >= k).double().mean().item()


def num_hits(posteriors: Tensor, labels: Tensor, k: int) -> Tensor:
    """Of every class, how many images had it among their k best: int64 [classes]; ties are lost."""
    num_classes = posteriors.shape[1]
    own = labels[:, None]
    exact = posteriors.double()  # in which a little less than a float32 is no other float32
    lowered = torch.nextafter(exact.gather(1, own), torch.tensor(-torch.inf, dtype=torch.double))
    exact = exact.scatter(1, own, lowered)
    counts = multiclass_stat_scores(exact, labels, num_classes, top_k=min(k, num_classes), average="none")
    return counts[:, 0]


def errors(posteriors: Tensor, labels: Tensor) -> dict[str, Any]:
    """Top-1 and top-5 error in percent, each with its interval (Wilson's, over images), and the number of images."""
    num_images = len(labels)
    found: dict[str, Any] = {"num_images": num_images, "confidence": CONFIDENCE}
    for k in (1, 5):
        wrong = num_images - int(num_hits(posteriors, labels, k).sum())
        interval = binomtest(wrong, num_images).proportion_ci(CONFIDENCE, method="wilson")
        found[f"top{k}_error"] = 100 * wrong / num_images
        found[f"top{k}_interval"] = [float(100 * interval.low), float(100 * interval.high)]
    return found


def per_class(posteriors: Tensor, labels: Tensor) -> dict[str, list[float]]:
    """Of every class the number of images, and their top-1 and top-5 error in percent (nan without images)."""
    counts = torch.bincount(labels, minlength=posteriors.shape[1])
    found: dict[str, list[float]] = {"images": counts.tolist()}
    for k in (1, 5):
        found[f"top{k}_error"] = (100 * (1 - num_hits(posteriors, labels, k).double() / counts)).tolist()
    return found


def confusion_matrix(posteriors: Tensor, labels: Tensor) -> Tensor:
    """How many images of each class (row) were taken for each (column): int64 [classes, classes]."""
    return multiclass_confusion_matrix(posteriors.argmax(dim=1), labels, num_classes=posteriors.shape[1])
