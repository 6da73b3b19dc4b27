"""What the paper concludes from Tables 3 to 6, and what our results say of it, each with an interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vggsuite.results.collection import BySeed, Result, Results
from vggsuite.results.experiments import experiment_of, paper_top1, printed_rows
from vggsuite.results.predictions import load_ranks
from vggsuite.results.rendering import compared
from vggsuite.results.statistics import Estimate, paired_over_images, paired_over_seeds
from vggsuite.results.tables import scale_text


@dataclass(frozen=True)
class Claim:
    """A claim: the top-1 error of experiment `ours` less that of `other` is below zero, or, where it is claimed that
    something does not help, not below zero."""

    text: str
    ours: str
    other: str
    helps: bool = True


DEPTH_AND_SCALE = (
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
SEVERAL_SCALES = (
    *(
        Claim(f"several Q beat one: {net}, S = {scale_text(s)}", experiment_of(4, row), experiment_of(3, row))
        for row in printed_rows(4)
        for net, s in [(row["model"], row["train_s"])]
    ),
    *(
        Claim(f"scale jitter beats fixed S = 384: {net.upper()}", f"table4/{net}_multi", f"table4/{net}_384")
        for net in "cde"
    ),
)
METHODS = tuple(
    claim
    for net in "de"
    for claim in (
        Claim(f"multi-crop beats dense: {net.upper()}", f"table5/{net}_multi_crop", f"table5/{net}_dense"),
        Claim(f"both beat dense alone: {net.upper()}", f"table5/{net}_both", f"table5/{net}_dense"),
        Claim(f"both beat multi-crop alone: {net.upper()}", f"table5/{net}_both", f"table5/{net}_multi_crop"),
    )
)
FUSION = (
    *(
        Claim(f"D and E together beat E, {method}", f"table6/{method}", f"table5/e_{method}")
        for method in ("dense", "multi_crop", "both")
    ),
    Claim("two jittered nets beat the seven of the submission, dense", "table6/dense", "table6/submission"),
    Claim("both beat dense alone: D and E together", "table6/both", "table6/dense"),
)
CLAIMS: dict[int, Sequence[Claim]] = {3: DEPTH_AND_SCALE, 4: SEVERAL_SCALES, 5: METHODS, 6: FUSION, 7: ()}
SECTIONS = {3: "4.1", 4: "4.2", 5: "4.3", 6: "4.4"}


@dataclass(frozen=True)
class Finding:
    """A claim, the paper's difference in points (None of a claim beside it), ours with its interval (None without
    results), the names of the results that it compares, and what follows."""

    claim: Claim
    paper: float | None
    ours: Estimate | None
    sources: Sequence[str]

    @property
    def verdict(self) -> str:
        """Whether ours "agrees" with the paper or "disagrees", or whether a claim beside it "holds" or "fails"; "not
        resolved" where the interval includes zero, "-" without results."""
        if self.ours is None:
            return "-"
        if not self.ours.resolved:
            return "not resolved"
        yes, no = ("holds", "fails") if self.paper is None else ("agrees", "disagrees")
        return yes if (self.ours.value < 0) == self.claim.helps else no


def findings(claims: Sequence[Claim], results: Results, confidence: float) -> list[Finding]:
    """Every claim with what our results say of it."""
    found = []
    for claim in claims:
        ours, other = (results.get(experiment, {}) for experiment in (claim.ours, claim.other))
        first, second = paper_top1(claim.ours), paper_top1(claim.other)
        paper = None if first is None or second is None else round(first - second, 1)
        found.append(Finding(claim, paper, compare(ours, other, confidence), compared(ours, other)))
    return found


def compare(ours: BySeed, other: BySeed, confidence: float) -> Estimate | None:
    """The difference in top-1 error of results paired by seed: over the seeds, or of a single one over its images."""
    seeds = sorted(ours.keys() & other.keys())
    if not seeds:
        return None
    if len(seeds) == 1:
        return paired_over_images(top1_wrong(ours[seeds[0]]), top1_wrong(other[seeds[0]]), confidence)
    errors = [[side[seed].evaluation.metrics["top1_error"] for seed in seeds] for side in (ours, other)]
    return paired_over_seeds(errors[0], errors[1], confidence)


def top1_wrong(result: Result) -> np.ndarray:
    """Whether each test image was wrong, bool [N], from the saved predictions."""
    return load_ranks(result.folder) > 0
