"""Tables 3 to 7 and their claims, beside the paper's."""

from collections.abc import Sequence
from dataclasses import fields as dataclass_fields

from vggsuite.results import claims, family, tables
from vggsuite.results.claims import Finding
from vggsuite.results.collection import Collection, Result, Results, outdated
from vggsuite.results.experiments import FAMILY, experiments_of
from vggsuite.results.record import skipped_remarks
from vggsuite.results.rendering import DASH, Grid, Report, Source, SourcedText, duration
from vggsuite.results.statistics import Estimate
from vggsuite.results.tables import Ours, Row, spread_fields

ERRORS = ("our top-1", "our top-5", "runs")
OUR_HEADINGS = {
    3: ("our S", "our Q", *ERRORS, "parameters", "time"),
    4: ("our S", "our Q", *ERRORS),
    5: ("our S", "our Q", *ERRORS),
    6: ERRORS,
    7: ERRORS,
}
FINDING_HEADINGS = ("paper", "ours", "interval", "verdict", "by")
TITLES = {
    3: "dense evaluation at one scale",
    4: "dense evaluation at several scales",
    5: "dense evaluation and multi-crop, S jittered, at three scales",
    6: "fusion of nets, by the mean of their posteriors",
    7: "the state of the art in 2014, nets trained on ILSVRC's images alone",
}
FINDING_REMARK = (
    "Differences in percentage points of top-1 error, negative where the first net is better, with {:.0%} intervals, "
    "not corrected for the number of claims. Not resolved: zero is in the interval."
)
ONE_SEED = (
    "An interval by images compares two trained nets; how far another training of the same net would fall from it "
    "takes several seeds (SEEDS=0,1,2)."
)
DESCRIPTIONS = {
    "digits": "the embedded handwritten digits, NOT ImageNet",
    "imagenet": "ILSVRC-2012 val",
}


def row_cells(row: Row, our_headings: Sequence[str]) -> list[str]:
    """A row as it is printed."""
    papers = [DASH if error is None else f"{error:.1f}" for error in row.paper.values()]
    cells = our_cells(row.ours) if row.ours else dict.fromkeys(our_headings, DASH)
    sources = row.ours.names if row.ours else ()
    return [*row.printed.values(), *papers, *(SourcedText(cells[heading], sources) for heading in our_headings)]


def our_cells(ours: Ours) -> dict[str, str]:
    """Every column that we may have to add to a row."""
    return {
        "our S": ours.s,
        "our Q": ours.q,
        "our top-1": str(ours.top1),
        "our top-5": str(ours.top5),
        "runs": str(ours.num_seeds),
        "parameters": f"{ours.parameters / 1e6:.2f} M" if ours.parameters else DASH,
        "time": duration(ours.seconds),
    }


def finding_cells(finding: Finding) -> list[str]:
    """A finding as it is printed; differences in percentage points."""
    ours = finding.ours
    return [
        finding.claim.text,
        DASH if finding.paper is None else f"{finding.paper:+.1f}",
        SourcedText(f"{ours.value:+.2f}" if ours else DASH, finding.sources),
        f"[{ours.low:+.2f}, {ours.high:+.2f}]" if ours else DASH,
        finding.verdict,
        ours.method if ours else DASH,
    ]


def make_report(number: int, collection: Collection, confidence: float) -> Report:
    """Everything to print of Table `number`; `confidence` is that of the claims' intervals."""
    rows = tables.rows(number, collection.results)
    shown = [
        result for row in rows if row.ours and row.experiment for result in collection.results[row.experiment].values()
    ]
    grids = [grid_of_rows(number, rows)]
    if findings := claims.findings(claims.CLAIMS[number], collection.results, confidence):
        grids.append(grid_of_findings(f"claim of section {claims.SECTIONS[number]}", findings))
    if number == 7:
        shown += [result for name in experiments_of(FAMILY) for result in collection.results.get(name, {}).values()]
        grids += grids_of_family(collection.results, confidence)
    return Report(
        name=f"table{number}",
        heading=heading(number, collection, shown),
        grids=grids,
        remarks=remarks(number, collection, shown, confidence),
        sources=[Source(result.name, result.folder, result.evaluation) for result in shown],
    )


def grid_of_rows(number: int, rows: Sequence[Row]) -> Grid:
    """The rows of a table."""
    ours = OUR_HEADINGS[number]
    first = rows[0]
    headings = [*first.printed, *(f"paper {error}" for error in first.paper), *ours]
    return Grid("", headings, [row_cells(row, ours) for row in rows], [csv_row(row) for row in rows])


def grids_of_family(results: Results, confidence: float) -> list[Grid]:
    """The nets of the family on one budget, and what is claimed of them."""
    claimed = claims.findings(family.CLAIMS, results, confidence)
    return [family.grid_of_rows(results), grid_of_findings("claim of the family", claimed, suffix="_family_claims")]


def grid_of_findings(title: str, findings: Sequence[Finding], *, suffix: str = "_claims") -> Grid:
    """Claims under a title, and what we found of them; the paper's differences where it has any."""
    beside = all(f.paper is None for f in findings)  # the paper
    headings = [title, *FINDING_HEADINGS[beside:]]
    cells = [[text, *rest[beside:]] for text, *rest in map(finding_cells, findings)]
    missing: dict[str, object] = dict.fromkeys(Estimate._fields)
    records = [
        {"claim": f.claim.text, "ours": f.claim.ours, "other": f.claim.other, "paper": f.paper}
        | (f.ours._asdict() if f.ours else missing)
        | {"verdict": f.verdict}
        for f in findings
    ]
    return Grid(suffix, headings, cells, records)


def heading(number: int, collection: Collection, shown: Sequence[Result]) -> str:
    """What the table shows, and above all on which images."""
    papers = " The paper's: on ILSVRC-2012 val." if shown else ""
    return f"Table {number}, {TITLES[number]}, errors in %. {data_text(collection, shown)}{papers}"


def data_text(collection: Collection, shown: Sequence[Result]) -> str:
    """On which images our figures are."""
    data, variant = collection.data, collection.variant
    images = f"{data} ({DESCRIPTIONS.get(data, 'a folder of images, NOT ImageNet')})"
    with_what = f" with {variant}" if variant else ""
    if not shown:
        return f"Ours: no results on {images}{with_what} yet."
    some = shown[0].evaluation
    return (
        f"Ours: on {images}{with_what}, {some.metrics['num_images']} images of {some.data['num_classes']} classes, "
        f"fingerprint {some.data['fingerprint'][:8]}."
    )


def remarks(number: int, collection: Collection, shown: Sequence[Result], confidence: float) -> list[str]:
    """What a reader has to know beside the figures."""
    lines = []
    levels = {f"{result.evaluation.metrics['confidence']:.0%}" for result in shown}
    with_interval = f"[{' or '.join(sorted(levels))} interval over the images] of one run, or " if levels else ""
    time = " Time: the mean of a run, on its own hardware." if number == 3 else ""
    lines.append(f"Ours: the error {with_interval}mean +- sd over runs of several seeds.{time}")
    if claims.CLAIMS[number] or number == 7:
        lines.append(FINDING_REMARK.format(confidence))
    if any(len(by_seed) == 1 for by_seed in collection.results.values()):
        lines.append(ONE_SEED)
    if number == 7:
        lines += family.REMARKS
    if number in (6, 7):
        lines.append(
            "The seven nets of the submission: our jittered D has all layers fine-tuned, the paper's its FC layers "
            "alone."
        )
    lines += skipped_remarks(
        record.data for result in shown for record in (result.evaluation, result.run) if record is not None
    )
    lines += outdated(collection.results)
    if number == 3 and collection.others:
        lines.append(f"Finished runs that are no part of this table: {', '.join(collection.others)}.")
    return lines


def csv_row(row: Row) -> dict[str, object]:
    """A row as the fields of a CSV file."""
    fields: dict[str, object] = {"experiment": row.experiment, **row.printed}
    fields |= {f"paper {error}": value for error, value in row.paper.items()}
    for name in (field.name for field in dataclass_fields(Ours)):
        value = getattr(row.ours, name) if row.ours else None
        if name in ("top1", "top5"):
            fields |= spread_fields(f"our {name}", value)
        else:
            fields[f"our {name}"] = " ".join(value) if name == "names" and value else value
    return fields
