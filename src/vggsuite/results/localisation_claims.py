"""What the paper concludes from Tables 8 and 9, what is claimed beside it, and what our tests say, with intervals."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from vggsuite.results.experiments import printed_rows
from vggsuite.results.localisation_points import WAYS, BySeed, Localisations
from vggsuite.results.localisation_records import load_boxes
from vggsuite.results.rendering import DASH, Grid, SourcedText, compared
from vggsuite.results.statistics import Estimate, paired_over_images, paired_over_seeds

ERRORS = {8: "gt_class", 9: "top5", 10: "top5"}  # by which claims compare
MEAN_BOX = "mean_box"  # in a claim, the mean box in the stead of the first net's


class Claim(NamedTuple):
    """A claim: the error of experiment `ours` less that of `other` is below zero."""

    text: str
    ours: str
    other: str


CLAIMS = {
    8: (
        Claim("a box for each class beats one for all: PCR against SCR, FC layers", "table8/pcr_fc", "table8/scr_fc"),
        Claim("all layers beat the FC layers alone: PCR", "table8/pcr_all", "table8/pcr_fc"),
        Claim("the net beats the mean box: PCR, all layers", "table8/pcr_all", MEAN_BOX),
    ),
    9: (
        *(
            Claim(f"{text}{f' ({way})' if ending else ''}", f"table9/{ours}{ending}", f"table9/{other}{ending}")
            for ending, way in WAYS.items()
            for text, ours, other in (
                ("S = 384 beats S = 256", "s384", "s256"),
                ("two scales beat one: S = 384", "s384_two", "s384"),
                ("fusion beats its best net", "fusion", "s384_two"),
            )
        ),
        Claim("places as crops beat places on a map: fusion", "table9/fusion_crops", "table9/fusion"),
    ),
    10: (),
}
PAPER = {  # the paper's errors, of experiments
    "table8/scr_fc": ("gt_class_error", 8, 0),
    "table8/pcr_fc": ("gt_class_error", 8, 1),
    "table8/pcr_all": ("gt_class_error", 8, 2),
    "table9/s256": ("top5_val", 9, 0),
    "table9/s384": ("top5_val", 9, 1),
    "table9/s384_two": ("top5_val", 9, 2),
    "table9/fusion": ("top5_val", 9, 3),
}


def grid_of_claims(number: int, found: Localisations, confidence: float) -> Grid:
    """What is claimed, the paper's difference where it has one, ours with its interval, and what follows."""
    cells, records = [], []
    for claim in CLAIMS[number]:
        sources = compared(*sides_of(claim, found))
        paper, ours = paper_difference(claim), compare(claim, found, ERRORS[number], confidence)
        verdict = verdict_of(ours)
        cells.append(
            [
                claim.text,
                DASH if paper is None else f"{paper:+.1f}",
                SourcedText(f"{ours.value:+.2f}", sources) if ours else DASH,
                f"[{ours.low:+.2f}, {ours.high:+.2f}]" if ours else DASH,
                verdict,
                ours.method if ours else DASH,
            ]
        )
        missing: dict[str, object] = dict.fromkeys(Estimate._fields)
        told = ours._asdict() if ours else missing
        records.append({"claim": claim.text, "paper": paper} | told | {"verdict": verdict})
    return Grid("_claims", ["claim", "paper", "ours", "interval", "verdict", "by"], cells, records)


def paper_difference(claim: Claim) -> float | None:
    """The difference that the paper printed."""
    if claim.ours not in PAPER or claim.other not in PAPER:
        return None
    first, second = (
        printed_rows(number)[row][column] for column, number, row in (PAPER[claim.ours], PAPER[claim.other])
    )
    return float(round(first - second, 1))


def sides_of(claim: Claim, found: Localisations) -> tuple[BySeed, BySeed]:
    """The tests that a claim compares; the mean box is beside the net in the same test."""
    ours = found.get(claim.ours, {})
    return ours, ours if claim.other == MEAN_BOX else found.get(claim.other, {})


def compare(claim: Claim, found: Localisations, which: str, confidence: float) -> Estimate | None:
    """The difference in error of tests paired by seed: over the seeds, or of a single one over its images. None where
    there are none, or not of the same images."""
    ours, other = sides_of(claim, found)
    wrong = (which, f"mean_box_{which}" if claim.other == MEAN_BOX else which)
    seeds = sorted(ours.keys() & other.keys())
    if not seeds or any(ours[seed].record.data != other[seed].record.data for seed in seeds):
        return None
    if len(seeds) == 1:
        first, second = (
            load_wrong(side[seeds[0]].folder, name) for side, name in zip((ours, other), wrong, strict=True)
        )
        return paired_over_images(first, second, confidence)
    errors = [
        [side[seed].record.metrics[f"{name}_error"] for seed in seeds]
        for side, name in zip((ours, other), wrong, strict=True)
    ]
    return paired_over_seeds(errors[0], errors[1], confidence)


def load_wrong(folder: Path, which: str) -> np.ndarray:
    """Whether each image was wrong, bool [N], by the test in `folder`."""
    return load_boxes(folder, {f"wrong_{which}": "bN"})[f"wrong_{which}"]


def verdict_of(found: Estimate | None) -> str:
    """Whether the claim holds: the difference is below zero."""
    if found is None:
        return DASH
    if not found.resolved:
        return "not resolved"
    return "holds" if found.value < 0 else "fails"
