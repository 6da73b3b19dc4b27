"""ILSVRC's localisation errors: a guess is right when its label is, and its box overlaps a true one by more than half
(appendix A)."""

from typing import Any

import numpy as np
from scipy.stats import binomtest

from vggsuite.data.boxes import overlaps

CORRECT = 0.5  # a box is right when its intersection over union with a true one exceeds this (ILSVRC)
CONFIDENCE = 0.95  # of every error's interval


def largest_overlaps(edges: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Of boxes [N, K, 4], each one's largest intersection over union with one of the true boxes [N, M, 4] of its image,
    which are not numbers where there are fewer: [N, K]."""
    found: np.ndarray = overlaps(edges[:, :, None], truth[:, None]).max(axis=2)
    return found


def wrong_images(classes: np.ndarray, overlap: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Whether each image is wrong, bool [N], under the names of the errors: given its class, and where there are
    guesses, of one and of five.

    Args:
        classes: int64 [N, K], the guesses, and last the right class.
        overlap: [N, K], of the box of each.
        labels: int64 [N].
    """
    right = (classes == labels[:, None]) & (overlap > CORRECT)
    wrong = {"gt_class": ~right[:, -1]}
    if classes.shape[1] > 1:
        wrong |= {f"top{k}": ~right[:, : min(k, classes.shape[1] - 1)].any(axis=1) for k in (1, 5)}
    return wrong


def box_errors(wrong: dict[str, np.ndarray]) -> dict[str, Any]:
    """Errors in percent of whether each image was `wrong`, bool [N], each with its interval (Wilson's, over images)."""
    found: dict[str, Any] = {"confidence": CONFIDENCE}
    for name, of_images in wrong.items():
        count, total = int(of_images.sum()), len(of_images)
        interval = binomtest(count, total).proportion_ci(CONFIDENCE, method="wilson")
        found |= {f"{name}_error": 100 * count / total, "num_images": total}
        found[f"{name}_interval"] = [float(100 * interval.low), float(100 * interval.high)]
    return found
