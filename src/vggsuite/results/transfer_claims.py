"""What Tables 11 and 12 say of transfer, each claim with an interval."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vggsuite.config import Metric
from vggsuite.files import load_arrays, naming_damaged
from vggsuite.results.experiments import printed_rows
from vggsuite.results.record import SCORES_FILE, Transfer
from vggsuite.results.rendering import DASH
from vggsuite.results.resampling import centred_bounds, resampled_scores
from vggsuite.results.statistics import Estimate, paired_over_seeds, paired_over_splits
from vggsuite.results.transfer_points import EXPERIMENTS, Found, paper_columns

CLAIMS = {
    11: (
        ("training helps: D against random weights", "table11/d", "table11/random"),
        ("features help: D against raw pixels", "table11/d", "table11/pixels"),
        ("depth helps: D against A", "table11/d", "table11/a"),
        ("depth helps: E against D", "table11/e", "table11/d"),
        ("two nets beat one: D & E against D", "table11/d_and_e", "table11/d"),
        ("fine-tuning helps: all layers of D against its SVM", "table11/all_layers", "table11/d"),
        ("more layers help: all of D against the last", "table11/all_layers", "table11/last_layer"),
    ),
    12: (("the box helps", "table12/image_and_box", "table12/image"),),
}


def paper_difference(number: int, target: str, ours: str, other: str) -> float | None:
    """The difference that the paper printed between two experiments on a data set."""
    name = paper_columns(number).get(target)
    rows = {EXPERIMENTS.get(row["method"]): row for row in printed_rows(number)}
    if name is None or ours not in rows or other not in rows:
        return None
    values = [rows[experiment][name] for experiment in (ours, other)]
    first, second = (value[0] if isinstance(value, list) else value for value in values)
    return round(first - second, 1)


def verdict(found: Estimate | None) -> str:
    """Whether the claim holds: the difference is above zero."""
    if found is None:
        return DASH
    if not found.resolved:
        return "not resolved"
    return "holds" if found.value > 0 else "fails"


def compare(ours: Mapping[int, Found], other: Mapping[int, Found], confidence: float) -> Estimate | None:
    """The difference in score: of results paired by seed, else by the splits that both have, else by the images of a
    single split. None where there are none, or of different tasks."""
    seeds = sorted(ours.keys() & other.keys())
    if not seeds:
        return None
    pairs = [(ours[seed].record, other[seed].record) for seed in seeds]
    if any(task_of(first) != task_of(second) for first, second in pairs):
        return None
    if len(pairs) > 1:
        first, second = zip(*((a.metrics["mean"], b.metrics["mean"]) for a, b in pairs), strict=True)
        return paired_over_seeds(list(first), list(second), confidence)
    (a, b), seed = pairs[0], seeds[0]
    scores = [(x["score"], y["score"]) for x, y in zip(a.splits, b.splits, strict=False)]
    if len(scores) == 1:
        return paired_over_test_images(ours[seed], other[seed], confidence)
    share = a.splits[0]["num_test"] / a.splits[0]["num_train"]
    first, second = zip(*scores, strict=True)
    return paired_over_splits(list(first), list(second), confidence, test_to_train=share)


def task_of(record: Transfer) -> tuple[str, dict[str, Any]]:
    """What two records have to share to be compared: metric and images, and how these are split, however often."""
    data = {key: value for key, value in record.data.items() if key != "splits"}
    splits = {key: value for key, value in record.data["splits"].items() if key != "number"}
    return record.metric, data | {"splits": splits}


def paired_over_test_images(ours: Found, other: Found, confidence: float) -> Estimate:
    """The difference in score on the test images of the first split, by a bootstrap over them."""
    draws = []
    for found in (ours, other):
        scores, targets = load_scores(found.folder / SCORES_FILE)
        draws.append(resampled_scores(Metric(found.record.metric), scores, targets))
    value = ours.record.splits[0]["score"] - other.record.splits[0]["score"]
    low, high = centred_bounds(value, draws[0] - draws[1], confidence)
    return Estimate(value, low, high, f"bootstrap over {len(targets)} images")


def load_scores(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """What was said of the test images of the first split, float [N, classes], and their targets int8 [N, classes].

    Raises:
        UserError: where they are missing or damaged.
    """
    remedy = "repeat the transfer that made it with rerun=true"
    arrays = load_arrays(file, {"scores_0": "fNC", "test_0": "iN", "targets": "iMC"}, remedy)
    with naming_damaged(file, remedy):
        if arrays["test_0"].min(initial=0) < 0:
            raise ValueError("its test_0 are below 0")
        return arrays["scores_0"], arrays["targets"][arrays["test_0"]]
