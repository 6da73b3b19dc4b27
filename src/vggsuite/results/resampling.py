"""What a transfer's score would have been on other images: a bootstrap, the same images drawn for every net."""

import numpy as np

from vggsuite.config import Metric

NUM_RESAMPLES = 1000


def resampled_scores(metric: Metric, scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Scores in percent, float64 [R], of R resamples of the images, which depend on `targets` alone: two nets' scores
    are paired. nan for a resample that has no image of any class.

    Args:
        metric: which.
        scores: float [N, classes].
        targets: int8 [N, classes]: 1, -1, or 0 where an image does not count.
    """
    rng = np.random.default_rng(0)
    if metric == Metric.mean_class_recall:  # within each class, so that none is ever empty
        labels = targets.argmax(axis=1)
        hits = scores.argmax(axis=1) == labels
        return 100 * np.mean([resampled_recall(rng, hits[labels == label]) for label in np.unique(labels)], axis=0)
    counts = rng.multinomial(len(scores), np.full(len(scores), 1 / len(scores)), size=NUM_RESAMPLES)
    eleven = metric == Metric.average_precision_11_points
    columns = zip(scores.T, targets.T, strict=True)
    found = np.array([resampled_precision(*column, counts, eleven_points=eleven) for column in columns])
    num_classes = (~np.isnan(found)).sum(axis=0)  # of which something was drawn
    total = 100 * np.nansum(found, axis=0)
    return np.divide(total, num_classes, out=np.full(NUM_RESAMPLES, np.nan), where=num_classes > 0)


def resampled_recall(rng: np.random.Generator, hits: np.ndarray) -> np.ndarray:
    """The recall of a class in each resample [R], of whose images `hits` were right, bool [N]."""
    counts = rng.multinomial(len(hits), np.full(len(hits), 1 / len(hits)), size=NUM_RESAMPLES)
    return counts @ hits / len(hits)


def resampled_precision(
    scores: np.ndarray, targets: np.ndarray, counts: np.ndarray, *, eleven_points: bool
) -> np.ndarray:
    """VOC's average precision of a class in each resample [R], of images drawn `counts` [R, N] times; nan where none
    drawn has the class. See `vggsuite.transfer.metrics.average_precision`, but images of equal score count one by one.
    """
    order = np.argsort(-scores, kind="stable")
    order = order[targets[order] != 0]
    drawn = counts[:, order]
    hits = np.cumsum(drawn * (targets[order] == 1), axis=1)
    seen = np.cumsum(drawn, axis=1)
    precision = np.divide(hits, seen, out=np.zeros(hits.shape), where=seen > 0)
    recall = np.divide(hits, hits[:, -1:], out=np.full(hits.shape, np.nan), where=hits[:, -1:] > 0)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    if not eleven_points:
        return np.sum(np.diff(recall, axis=1, prepend=0) * best, axis=1)
    reached = [np.where(recall >= tenth / 10, best, 0).max(axis=1) for tenth in range(11)]
    return np.where(np.isnan(recall[:, -1]), np.nan, np.mean(reached, axis=0))


def centred_bounds(value: float, draws: np.ndarray, confidence: float) -> list[float]:
    """The middle share `confidence` of the draws, shifted so that their mean is `value`: a resample has some images
    twice, by which average precision rises."""
    tail = (1 - confidence) / 2
    return [value + float(bound) for bound in np.nanquantile(draws, (tail, 1 - tail)) - np.nanmean(draws)]
