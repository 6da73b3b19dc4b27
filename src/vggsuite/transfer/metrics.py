"""Average precision as PASCAL VOC has it."""

import numpy as np
from sklearn.metrics import precision_recall_curve


def average_precision(scores: np.ndarray, targets: np.ndarray, *, eleven_points: bool) -> float:
    """PASCAL VOC's average precision of one class, in [0, 1]; images of equal score count as one step.

    Args:
        scores: [N], higher where the class is more likely.
        targets: [N]: 1, -1, or 0 for an image that does not count ("difficult").
        eleven_points: as in VOC-2007: the mean over the recalls 0, 0.1, ..., 1 of the best precision at that recall or
            a higher one; or else, since VOC-2010, the area under that best precision over all recalls.

    Raises:
        ValueError: where no image is positive.
    """
    counted = targets != 0
    positive = targets[counted] > 0
    if not positive.any():
        raise ValueError("Without a positive image there is no average precision.")
    precision, recall, _ = precision_recall_curve(positive, scores[counted])
    best = np.maximum.accumulate(precision[:-1])  # recall falls: the best at that recall or a higher one
    recall = recall[:-1]  # without the curve's made-up end, precision 1 at recall 0
    if eleven_points:
        return float(np.mean([best[recall >= tenth / 10].max(initial=0) for tenth in range(11)]))
    return float(-np.diff(recall, append=0) @ best)
