"""OverFeat's greedy merging of boxes (Sermanet et al. 2014, section 4.3), as docs/localisation.md reads it: a pure
function of boxes and their scores.

Compiled by Numba: an image has hundreds or thousands of boxes, and as many steps, each a loop over all boxes.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from vggsuite.localisation.config import Averaging, Match

DIOU, IOU, OVERFEAT = 0, 1, 2  # match scores, as compiled code, which may be kept from before, knows them
NUMBERS = {Match.diou: DIOU, Match.iou: IOU, Match.overfeat: OVERFEAT}


class Merged(NamedTuple):
    """What merging leaves.

    Attributes:
        edges: float64 [M, 4], the boxes.
        scores: float64 [M], of each the sum of those of the boxes that it stands for.
        groups: int64 [N], which of them each of the original boxes went into.
    """

    edges: np.ndarray
    scores: np.ndarray
    groups: np.ndarray


def merge(
    edges: np.ndarray,
    scores: np.ndarray,
    *,
    threshold: float,
    match: Match = Match.diou,
    averaging: Averaging = Averaging.weighted,
) -> Merged:
    """Replace the two boxes of the smallest match score by their average, until it exceeds `threshold`.

    Of equal match scores the pair of the earliest boxes comes first; a merged box takes the place of its earlier one.

    Args:
        edges: float [N, 4], left, top, right, bottom.
        scores: float [N].
        threshold: the largest match score of two boxes that are merged.
        match: what a match score is; see `match_score`.
        averaging: "equal" counts two boxes alike, "weighted" by how many each stands for.
    """
    boxes = np.array(edges, dtype=np.float64).reshape(-1, 4)
    groups = merge_in_place(boxes, threshold, NUMBERS[match], averaging == Averaging.weighted)
    kept, groups = np.unique(groups, return_inverse=True)
    return Merged(boxes[kept], np.bincount(groups, weights=scores, minlength=len(kept)), groups)


@njit(cache=True)
def merge_in_place(boxes: np.ndarray, threshold: float, match: int, weighted: bool) -> np.ndarray:
    """Merge boxes [N, 4]; return in whose place each is, int64 [N].

    Every box knows its best partner among the later ones, and looks for another only when that is merged or gone. So a
    step takes, as a rule, time in proportion to the number of boxes, and all of them together to its square, where
    comparing all pairs in each would take its cube. (Where one box stays the partner of most others, it does, too.)
    """
    count = len(boxes)
    groups, weights, alive = np.arange(count), np.ones(count), np.ones(count, dtype=np.bool_)
    partners, best = np.full(count, -1), np.full(count, np.inf)
    for place in range(count):
        find_partner(boxes, alive, place, match, partners, best)
    while count:
        kept = int(best.argmin())
        if not best[kept] <= threshold:
            break
        gone = partners[kept]
        share = weights[gone] / (weights[kept] + weights[gone]) if weighted else 0.5
        boxes[kept] += share * (boxes[gone] - boxes[kept])
        weights[kept] += weights[gone]
        groups[groups == gone] = kept
        alive[gone], best[gone] = False, np.inf
        for place in range(gone):
            if not alive[place]:
                continue
            if place >= kept:
                if place == kept or partners[place] == gone:
                    find_partner(boxes, alive, place, match, partners, best)
                continue
            score = match_score(boxes, place, kept, match)
            if score < best[place] or (score == best[place] and kept <= partners[place]):
                partners[place], best[place] = kept, score
            elif partners[place] == kept or partners[place] == gone:
                find_partner(boxes, alive, place, match, partners, best)
    return groups


@njit(cache=True)
def find_partner(
    boxes: np.ndarray, alive: np.ndarray, place: int, match: int, partners: np.ndarray, best: np.ndarray
) -> None:
    """Find the later box of the smallest match score with that at `place`; infinite where there is none."""
    partners[place], best[place] = -1, np.inf
    for other in range(place + 1, len(boxes)):
        if alive[other]:
            score = match_score(boxes, place, other, match)
            if score < best[place]:
                partners[place], best[place] = other, score


@njit(cache=True)
def match_score(boxes: np.ndarray, first: int, second: int, match: int) -> float:
    """How badly two boxes match.

    "diou": 1 - IoU, and the squared distance of the centres as a share of the squared diagonal of the box around both
    (Zheng et al. 2020): 0 for equal boxes, at most 2. "iou": 1 - IoU. "overfeat": that paper's own words, taken
    literally, the distance of the centres and the area of the intersection; it grows with the overlap, though the
    smallest is merged.
    """
    left, top, right, bottom = boxes[first]
    its_left, its_top, its_right, its_bottom = boxes[second]
    width, height = min(right, its_right) - max(left, its_left), min(bottom, its_bottom) - max(top, its_top)
    shared = max(width, 0.0) * max(height, 0.0)
    across = (left + right) / 2 - (its_left + its_right) / 2
    down = (top + bottom) / 2 - (its_top + its_bottom) / 2
    distance = across * across + down * down
    if match == OVERFEAT:
        return math.sqrt(distance) + shared
    union = (right - left) * (bottom - top) + (its_right - its_left) * (its_bottom - its_top) - shared
    score = 1 - shared / union if union > 0 else 1.0
    if match == DIOU:
        wide, high = max(right, its_right) - min(left, its_left), max(bottom, its_bottom) - min(top, its_top)
        around = wide * wide + high * high
        score += distance / around if around > 0 else 0.0
    return score
