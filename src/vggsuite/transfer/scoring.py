"""How well scores tell the classes of images, by a metric of the config's words."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import recall_score

from vggsuite.config import Metric
from vggsuite.data.labelled import LabelledImages, Split
from vggsuite.errors import UserError
from vggsuite.transfer.metrics import average_precision


@dataclass(frozen=True)
class Outcome:
    """What came of one split.

    Attributes:
        told: what the record says of it.
        test: the indices of the images that it was tested on.
        scores: float [N, classes], what was said of them.
    """

    told: dict[str, Any]
    test: np.ndarray
    scores: np.ndarray


class Scored(NamedTuple):
    """The score of one split in percent, the mean of those of its classes."""

    score: float
    per_class: list[float]


def check_metric(metric: Metric, images: LabelledImages, data: str) -> None:
    """Make sure that the metric is one of such images.

    Raises:
        UserError: for single-label data and a metric of multi-label data, and the other way round.
    """
    fitting = [each for each in Metric if images.multi_label == (each != Metric.mean_class_recall)]
    if metric not in fitting:
        has = "several classes" if images.multi_label else "one class"
        raise UserError(
            f"metric={metric} is not one of images that have {has} each, as those of data={data}; allowed: "
            f"{', '.join(f'metric={each}' for each in fitting)}."
        )


def score(metric: Metric, scores: np.ndarray, targets: np.ndarray, *, partial: bool = False) -> Scored:
    """The score of images by what was said of them.

    Args:
        metric: which.
        scores: float [N, classes], higher where a class is more likely.
        targets: int8 [N, classes] as in `LabelledImages`.
        partial: whether classes that no image has are left out, as held-out images may want some.

    Raises:
        UserError: for a class that no image has, unless `partial`.
    """
    present = (targets == 1).any(axis=0)
    if not present.any() or not (partial or present.all()):
        raise UserError(
            f"{np.sum(~present)} class(es), the first of them number {1 + np.argmin(present)}, have no image to "
            "be tested on; complete the data set, or leave the class out."
        )
    if metric == Metric.mean_class_recall:
        labels = np.flatnonzero(present)
        found = recall_score(targets.argmax(axis=1), scores.argmax(axis=1), labels=labels, average=None)
    else:
        eleven = metric == Metric.average_precision_11_points
        columns = zip(scores.T[present], targets.T[present], strict=True)
        found = np.array([average_precision(*column, eleven_points=eleven) for column in columns])
    return Scored(100 * float(found.mean()), [round(100 * float(value), 4) for value in found])


def outcome_of(metric: Metric, images: LabelledImages, split: Split, scores: np.ndarray, **chosen: Any) -> Outcome:
    """The outcome of a split, of whose test images `scores` were said, and what was `chosen` for it."""
    found = score(metric, scores, images.targets[split.test])
    counts = {f"num_{part}": len(indices) for part, indices in split._asdict().items()}
    told = {"score": found.score, **chosen, **counts, "per_class": found.per_class}
    return Outcome(told, split.test, scores.astype(np.float32))
