"""Depth beyond 19 (He et al. 2015, section 4.1): VGG-style nets of depth 11 to 56, plain and with shortcuts, by their
training and test errors."""

from collections.abc import Mapping, Sequence
from typing import Any

from vggsuite.results.claims import Claim, findings
from vggsuite.results.collection import BySeed, Collection, Result, Results
from vggsuite.results.experiments import DEGRADATION, DEPTHS, KINDS, degradation_experiment, experiments_of
from vggsuite.results.record import skipped_remarks
from vggsuite.results.rendering import DASH, Grid, Report, Source, SourcedText
from vggsuite.results.report import FINDING_REMARK, ONE_SEED, data_text, grid_of_findings
from vggsuite.results.tables import Measured, measured, spread_fields

TITLES = {DEGRADATION: "nets of depth 11 to 56, plain and with shortcuts, top-1 errors in %"}
TOLD = {"plain": "plain", "shortcut": "shortcuts"}
CLAIMS = (
    Claim("deeper is worse: plain, 34 against 19", "degradation/plain_34", "degradation/plain_19", helps=False),
    Claim("deeper is worse: plain, 56 against 19", "degradation/plain_56", "degradation/plain_19", helps=False),
    Claim("deeper is better: shortcuts, 34 against 19", "degradation/shortcut_34", "degradation/shortcut_19"),
    Claim("deeper is better: shortcuts, 56 against 19", "degradation/shortcut_56", "degradation/shortcut_19"),
    Claim("shortcuts help: 19", "degradation/shortcut_19", "degradation/plain_19"),
    Claim("shortcuts help: 34", "degradation/shortcut_34", "degradation/plain_34"),
    Claim("shortcuts help: 56", "degradation/shortcut_56", "degradation/plain_56"),
)


def make_degradation_report(collection: Collection, confidence: float) -> Report:
    """Everything to print; `confidence` is that of the claims' intervals."""
    shown, learnt = (
        [result for name in experiments_of(DEGRADATION) for result in results.get(name, {}).values()]
        for results in (collection.results, collection.of_training_images)
    )
    grids = [grid_of_rows(collection)]
    for title, results, suffix in (
        ("claim, by the test error", collection.results, "_claims"),
        ("claim, by the training error", collection.of_training_images, "_training_claims"),
    ):
        grids.append(grid_of_findings(title, findings(CLAIMS, results, confidence), suffix=suffix))
    return Report(
        name=DEGRADATION,
        heading=f"Degradation: {TITLES[DEGRADATION]}. {data_text(collection, shown)}",
        grids=grids,
        remarks=remarks(collection, shown, confidence),
        sources=[Source(result.name, result.folder, result.evaluation) for result in (*shown, *learnt)],
    )


def errors_at(collection: Collection, kind: str, depth: int) -> Mapping[str, BySeed]:
    """The results of a net, on the images that it was trained on ("training") and on others ("test")."""
    experiment = degradation_experiment(kind, depth)
    sides: dict[str, Results] = {"training": collection.of_training_images, "test": collection.results}
    return {side: results.get(experiment, {}) for side, results in sides.items()}


def error_of(by_seed: BySeed) -> Measured | None:
    """The top-1 error over the seeds."""
    return measured([result.evaluation.metrics for result in by_seed.values()], "top1") if by_seed else None


def grid_of_rows(collection: Collection) -> Grid:
    """A row for each depth."""
    cells, records = [], []
    for depth in DEPTHS:
        row: list[str] = [str(depth)]
        record: dict[str, Any] = {"depth": depth}
        runs = []
        for kind in KINDS:
            found = errors_at(collection, kind, depth)
            for side, by_seed in found.items():
                error = error_of(by_seed)
                row.append(SourcedText(str(error or DASH), [result.name for result in by_seed.values()]))
                record |= spread_fields(f"{TOLD[kind]}, {side}", error)
            runs += [result.run for result in found["test"].values() if result.run]
        parameters = sorted({run.model["parameters"] for run in runs})
        seeds = len({run.seed for run in runs})
        cells.append([*row, str(seeds or DASH), " or ".join(f"{count / 1e6:.2f} M" for count in parameters) or DASH])
        records.append(record | {"seeds": seeds, "parameters": max(parameters, default=None)})
    columns = [f"{TOLD[kind]}: {side} error" for kind in KINDS for side in ("training", "test")]
    return Grid("", ["depth", *columns, "seeds", "parameters"], cells, records)


def remarks(collection: Collection, shown: Sequence[Result], confidence: float) -> list[str]:
    """What a reader has to know beside the figures."""
    lines = [
        "Depth: of the net of Table 1, or of one whose blocks 3 to 5 (of 56 all) are deepened as from D to E; in the "
        "place of its three FC layers is one on an average pool, so that it has two weight layers fewer. With batch "
        "normalisation, random weights, no dropout, S = 256 or what it is on these images. Shortcuts have no "
        "parameters. Training error: that of the chosen checkpoint on the images that it was trained on, seen as in "
        "the test. Errors [95% interval over the images] of one run, or mean +- sd over runs of several seeds.",
        FINDING_REMARK.format(confidence),
    ]
    if any(len(collection.results.get(name, {})) == 1 for name in experiments_of(DEGRADATION)):
        lines.append(ONE_SEED)
    return [*lines, *skipped_remarks(result.run.data for result in shown if result.run)]
