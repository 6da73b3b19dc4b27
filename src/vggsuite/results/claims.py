"""What the paper concludes from Table 3, and what our runs say of it, each with an interval."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vggsuite.results.paper import paper
from vggsuite.results.record import PREDICTIONS_FILE
from vggsuite.results.statistics import Estimate, paired_over_images, paired_over_seeds
from vggsuite.results.table3 import Runs, experiment_of


@dataclass(frozen=True)
class Claim:
    """A claim of section 4.1: the top-1 error of experiment `ours` less that of `other` is below zero, or, where it
    is claimed that something does not help, not below zero."""

    text: str
    ours: str
    other: str
    helps: bool = True


CLAIMS = (
    Claim("LRN does not help: A-LRN against A", "table3/a_lrn", "table3/a", helps=False),
    Claim("depth helps: B (13) against A (11)", "table3/b", "table3/a"),
    Claim("depth helps: E (19) against A (11)", "table3/e", "table3/a"),
    Claim("a further 1x1 layer helps: C against B", "table3/c", "table3/b"),
    Claim("3x3 beats 1x1: D against C", "table3/d", "table3/c"),
    *(
        Claim(f"scale jitter beats fixed S = {s}: {net.upper()}", f"table3/{net}_multi", f"table3/{net}{suffix}")
        for net in "cde"
        for s, suffix in ((256, ""), (384, "_384"))
    ),
)


@dataclass(frozen=True)
class Finding:
    """A claim, the paper's difference in points, ours with its interval (None without runs), and what follows."""

    claim: Claim
    paper: float
    ours: Estimate | None

    @property
    def verdict(self) -> str:
        """ "agrees", "disagrees", "not resolved" where the interval includes zero, "-" without runs."""
        if self.ours is None:
            return "-"
        if not self.ours.resolved:
            return "not resolved"
        return "agrees" if (self.ours.value < 0) == self.claim.helps else "disagrees"


def findings(selected: Mapping[str, Runs], confidence: float) -> list[Finding]:
    """Every claim with what the runs of `table3.select` say of it."""
    printed = {
        experiment_of(row["model"], row["train_s"]): row["top1"] for row in paper()["table_3_single_scale"]["rows"]
    }
    return [
        Finding(
            claim,
            round(printed[claim.ours] - printed[claim.other], 1),
            compare(selected.get(claim.ours, {}), selected.get(claim.other, {}), confidence),
        )
        for claim in CLAIMS
    ]


def compare(ours: Runs, other: Runs, confidence: float) -> Estimate | None:
    """The difference in top-1 error of runs paired by seed: over the seeds, or of a single one over its images."""
    by_seed = {record.seed: folder for folder, record in other.items()}
    pairs = [(folder, by_seed[record.seed]) for folder, record in ours.items() if record.seed in by_seed]
    if not pairs:
        return None
    if len(pairs) == 1:
        first, second = (top1_wrong(folder) for folder in pairs[0])
        return paired_over_images(first, second, confidence)
    errors = [
        [runs[folder].metrics["top1_error"] for folder in folders]
        for runs, folders in zip((ours, other), zip(*pairs, strict=True), strict=True)
    ]
    return paired_over_seeds(errors[0], errors[1], confidence)


def top1_wrong(folder: Path) -> np.ndarray:
    """Whether each test image was wrong, bool [N], from the run's saved predictions."""
    with np.load(folder / PREDICTIONS_FILE) as predictions:
        return predictions["rank"] > 0
