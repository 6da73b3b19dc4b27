"""How fast boxes are merged, and which match score, threshold and average find them best: python benchmarks/merging.py

Speed: our merging beside the plain way, all pairs compared at every step, either compiled by Numba, on random boxes
around one object and around five; time is the process's own on the CPU, a ratio the median of the rounds' ratios
[lowest, highest]. The plain way takes a thousand boxes at most.

Choice (--tests): the error, given the class, of the candidates that tests have saved, for every setting; of tests of
held-out images, so that what is chosen has not seen the reported ones:
  python src/localise.py evaluate run=<box regressor> split=held_out protocol=dense   (and protocol=crops)
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from numba import njit

from measure import arguments_parser, ratio, report, rounds, setting, table
from vggsuite.localisation.answers import answered, load_answers, metrics_of
from vggsuite.localisation.candidates import load_candidates
from vggsuite.localisation.config import Averaging, Match
from vggsuite.localisation.merging import NUMBERS, match_score, merge
from vggsuite.results.localisation_records import read_localisation

THRESHOLD = 0.5
NUMBERS_OF_BOXES = (100, 300, 1000, 2000, 4000)
MOST_PLAINLY = 1000
THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2)
OF_PIXELS = 100.0  # by which a threshold of OverFeat's own words is multiplied, which are pixels


@njit
def merge_plainly(boxes: np.ndarray, threshold: float, match: int) -> int:
    """How many boxes are left when all pairs are compared at every step: cubic time."""
    count, weights, alive = len(boxes), np.ones(len(boxes)), np.ones(len(boxes), dtype=np.bool_)
    left = count
    while True:
        best, kept, gone = np.inf, -1, -1
        for first in range(count):
            if alive[first]:
                for second in range(first + 1, count):
                    if alive[second]:
                        score = match_score(boxes, first, second, match)
                        if score < best:
                            best, kept, gone = score, first, second
        if not best <= threshold:
            return left
        share = weights[gone] / (weights[kept] + weights[gone])
        boxes[kept] += share * (boxes[gone] - boxes[kept])
        weights[kept] += weights[gone]
        alive[gone] = False
        left -= 1


def random_boxes(count: int, num_objects: int) -> np.ndarray:
    """Boxes about some objects, as the places of an image give them: [N, 4]."""
    rng = np.random.default_rng(count)
    centres = rng.uniform(100, 400, (num_objects, 2))[np.arange(count) % num_objects] + rng.normal(0, 15, (count, 2))
    sides = np.abs(rng.normal(120, 20, (count, 2)))
    return np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)


def ours(edges: np.ndarray) -> float:
    started = time.process_time()
    merge(edges, np.ones(len(edges)), threshold=THRESHOLD)
    return time.process_time() - started


def plainly(edges: np.ndarray) -> float:
    boxes, started = edges.copy(), time.process_time()
    left = merge_plainly(boxes, THRESHOLD, NUMBERS[Match.diou])
    seconds = time.process_time() - started
    assert left == len(merge(edges, np.ones(len(edges)), threshold=THRESHOLD).edges)
    return seconds


def speed(count: int) -> str:
    """Milliseconds, and how many times faster than the plain way."""
    ours(random_boxes(10, 1)), plainly(random_boxes(10, 1))  # compiled now
    rows = []
    for num_boxes, num_objects in product(NUMBERS_OF_BOXES, (1, 5)):
        edges = random_boxes(num_boxes, num_objects)
        ways = (ours, plainly) if num_boxes <= MOST_PLAINLY else (ours,)
        times = rounds({way.__name__: partial(way, edges) for way in ways}, count)
        left = len(merge(edges, np.ones(len(edges)), threshold=THRESHOLD).edges)
        plain = ["-", "-"]
        if "plainly" in times:
            plain = [f"{1e3 * np.median(times['plainly']):.1f}", ratio(times, "ours", "plainly")]
        rows.append([num_boxes, num_objects, left, f"{1e3 * np.median(times['ours']):.2f}", *plain])
    return table(rows, ["boxes", "objects", "left", "ours, ms", "all pairs, ms", "times faster"])


def choice(folder: Path) -> str:
    """The error given the class, in %, by match score, average and threshold."""
    record, before, candidates = read_localisation(folder), load_answers(folder), load_candidates(folder)
    rows = []
    for match, averaging in product(Match, Averaging):
        errors = []
        for threshold in THRESHOLDS:
            reach = threshold * (OF_PIXELS if match == Match.overfeat else 1)
            merging = {"threshold": reach, "match": match, "averaging": averaging}
            errors.append(f"{metrics_of(answered(before, candidates, merging))['gt_class_error']:.1f}")
        rows.append([f"{match}{f' (x {OF_PIXELS:.0f})' if match == Match.overfeat else ''}", averaging, *errors])
    told = f"{record.name}, {record.metrics['num_images']} images, `{record.command}`"
    return f"{told}\n\n{table(rows, ['match', 'average', *map(str, THRESHOLDS)])}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = arguments_parser(__doc__, rounds=5)
    parser.add_argument("--tests", type=Path, nargs="*", default=[], help="folders of tests, of held-out images")
    options = parser.parse_args(arguments)
    parts: dict[str, Callable[[], str]] = {
        "# Merging of boxes": lambda: setting(packages=["numpy", "numba"]),
        f"## Speed, threshold {THRESHOLD} (DIoU), weighted": lambda: speed(options.rounds),
    }
    for folder in options.tests:
        parts[f"## Choice: {folder.parent.parent.parent.name}, {folder.name}"] = partial(choice, folder)
    report(parts, options.save)


if __name__ == "__main__":
    main()
