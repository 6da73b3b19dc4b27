"""Tables and their claims as text, Markdown, CSV and LaTeX."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from pathlib import Path

from tabulate import tabulate

from vggsuite.files import write_atomically
from vggsuite.results import claims, tables
from vggsuite.results.claims import Finding
from vggsuite.results.collection import Collection, Result, outdated
from vggsuite.results.statistics import Estimate
from vggsuite.results.tables import Measured, Ours, Row

DASH = "-"
ERRORS = ("our top-1", "our top-5", "runs")
OUR_HEADINGS = {
    3: ("our S", "our Q", *ERRORS, "parameters", "time"),
    4: ("our S", "our Q", *ERRORS),
    5: ("our S", "our Q", *ERRORS),
    6: ERRORS,
    7: ERRORS,
}
SOURCE_HEADINGS = ("result", "commit", "command")
FINDING_HEADINGS = ("paper", "ours", "interval", "verdict", "by")
TITLES = {
    3: "dense evaluation at one scale",
    4: "dense evaluation at several scales",
    5: "dense evaluation and multi-crop, S jittered, at three scales",
    6: "fusion of nets, by the mean of their posteriors",
    7: "the state of the art in 2014, nets trained on ILSVRC's images alone",
}
DESCRIPTIONS = {
    "digits": "the embedded handwritten digits, NOT ImageNet",
    "imagenet": "ILSVRC-2012 val",
}


def row_cells(row: Row, our_headings: Sequence[str]) -> list[str]:
    """A row as it is printed."""
    papers = [DASH if error is None else f"{error:.1f}" for error in row.paper.values()]
    cells = our_cells(row.ours) if row.ours else dict.fromkeys(our_headings, DASH)
    return [*row.printed.values(), *papers, *(cells[heading] for heading in our_headings)]


def our_cells(ours: Ours) -> dict[str, str]:
    """Every column that we may have to add to a row."""
    return {
        "our S": ours.s,
        "our Q": ours.q,
        "our top-1": error_text(ours.top1),
        "our top-5": error_text(ours.top5),
        "runs": str(ours.num_seeds),
        "parameters": f"{ours.parameters / 1e6:.2f} M" if ours.parameters else DASH,
        "time": duration(ours.seconds),
    }


def error_text(error: Measured) -> str:
    """An error with its spread: "12.80 [10.66, 15.29]", or "11.00 +- 1.41" over seeds."""
    if error.sd is not None:
        return f"{error.mean:.2f} +- {error.sd:.2f}"
    return f"{error.mean:.2f} [{error.low:.1f}, {error.high:.1f}]"


def finding_cells(finding: Finding) -> list[str]:
    """A finding as it is printed; differences in percentage points."""
    ours = finding.ours
    return [
        finding.claim.text,
        f"{finding.paper:+.1f}",
        f"{ours.value:+.2f}" if ours else DASH,
        f"[{ours.low:+.2f}, {ours.high:+.2f}]" if ours else DASH,
        finding.verdict,
        ours.method if ours else DASH,
    ]


def duration(seconds: float | None) -> str:
    """Seconds as "1 h 02 min", "3 min 05 s" or "42 s"."""
    if seconds is None:
        return DASH
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


@dataclass(frozen=True)
class Report:
    """A table and what is said beside it.

    Attributes:
        number: 3 to 7.
        heading: what the table shows, and above all on which images.
        rows: in the paper's order.
        findings: the claims.
        remarks: what a reader has to know, a sentence or two each.
        sources: of every result its name, commit and command.
    """

    number: int
    heading: str
    rows: Sequence[Row]
    findings: Sequence[Finding]
    remarks: Sequence[str]
    sources: Sequence[Sequence[str]]


def make_report(number: int, collection: Collection, confidence: float) -> Report:
    """Everything to print of Table `number`; `confidence` is that of the claims' intervals."""
    rows = tables.rows(number, collection.results)
    shown = [
        result for row in rows if row.ours and row.experiment for result in collection.results[row.experiment].values()
    ]
    return Report(
        number=number,
        heading=heading(number, collection, shown),
        rows=rows,
        findings=claims.findings(number, collection.results, confidence),
        remarks=remarks(number, collection, shown, confidence),
        sources=[(result.name, commit(result), f"`{result.evaluation.command}`") for result in shown],
    )


def heading(number: int, collection: Collection, shown: Sequence[Result]) -> str:
    """What the table shows, and above all on which images."""
    data, variant = collection.data, collection.variant
    images = f"{data} ({DESCRIPTIONS.get(data, 'a folder of images, NOT ImageNet')})"
    with_what = f" with {variant}" if variant else ""
    title = f"Table {number}, {TITLES[number]}, errors in %."
    if not shown:
        return f"{title} Ours: no results on {images}{with_what} yet."
    some = shown[0].evaluation
    return (
        f"{title} Ours: on {images}{with_what}, {some.metrics['num_images']} images of {some.data['num_classes']} "
        f"classes, fingerprint {some.data['fingerprint'][:8]}. The paper's: on ILSVRC-2012 val."
    )


def remarks(number: int, collection: Collection, shown: Sequence[Result], confidence: float) -> list[str]:
    """What a reader has to know beside the figures."""
    lines = []
    levels = {f"{result.evaluation.metrics['confidence']:.0%}" for result in shown}
    with_interval = f"[{' or '.join(sorted(levels))} interval over the images] of one run, or " if levels else ""
    time = " Time: the mean of a run, on its own hardware." if number == 3 else ""
    lines.append(f"Ours: the error {with_interval}mean +- sd over runs of several seeds.{time}")
    if claims.CLAIMS[number]:
        lines.append(
            "Differences in percentage points of top-1 error, negative where the first net is better, with "
            f"{confidence:.0%} intervals, not corrected for the number of claims. Not resolved: zero is in the "
            "interval."
        )
    if any(len(by_seed) == 1 for by_seed in collection.results.values()):
        lines.append(
            "An interval by images compares two trained nets; how far another training of the same net would fall "
            "from it takes several seeds (SEEDS=0,1,2)."
        )
    if number in (6, 7):
        lines.append(
            "The seven nets of the submission: our jittered D has all layers fine-tuned, the paper's its FC layers "
            "alone."
        )
    lines += outdated(collection.results)
    if number == 3 and collection.others:
        lines.append(f"Finished runs that are no part of this table: {', '.join(collection.others)}.")
    return lines


def commit(result: Result) -> str:
    """The git commit of an evaluation, marked where the tree had changes of its own."""
    state = result.evaluation.environment
    return f"{(state['git_commit'] or 'no git')[:10]}{' + changes' if state['git_dirty'] else ''}"


def grids(report: Report, style: str) -> list[str]:
    """Rows and claims in one of tabulate's styles."""
    ours = OUR_HEADINGS[report.number]
    first = report.rows[0]
    headings = [*first.printed, *(f"paper {error}" for error in first.paper), *ours]
    found = [tabulate([row_cells(row, ours) for row in report.rows], headings, tablefmt=style, disable_numparse=True)]
    if report.findings:
        headings = [f"claim of section {claims.SECTIONS[report.number]}", *FINDING_HEADINGS]
        cells = list(map(finding_cells, report.findings))
        found.append(tabulate(cells, headings, tablefmt=style, disable_numparse=True))
    return found


def as_text(report: Report) -> str:
    """For the terminal."""
    return "\n\n".join([report.heading, *grids(report, "simple"), *report.remarks]) + "\n"


def as_markdown(report: Report) -> str:
    """With the sources of every figure."""
    sources = tabulate(report.sources, SOURCE_HEADINGS, tablefmt="github", disable_numparse=True)
    return "\n\n".join([report.heading, *grids(report, "github"), *report.remarks, sources]) + "\n"


def as_latex(report: Report) -> str:
    """For \\input into a paper that uses the booktabs package; the remarks as comments."""
    comments = "".join(f"% {line}\n" for line in (report.heading, *report.remarks))
    return comments + "\n\n".join(grids(report, "latex_booktabs")).replace("+-", r"$\pm$") + "\n"


def rows_as_csv(report: Report) -> str:
    """The rows, unrounded."""
    return as_csv([csv_row(row) for row in report.rows])


def csv_row(row: Row) -> dict[str, object]:
    """A row as the fields of a CSV file."""
    fields: dict[str, object] = {"experiment": row.experiment, **row.printed}
    fields |= {f"paper {error}": value for error, value in row.paper.items()}
    for name in (field.name for field in dataclass_fields(Ours)):
        value = getattr(row.ours, name) if row.ours else None
        if name in ("top1", "top5"):
            spread = value._asdict() if value else dict.fromkeys(Measured._fields)
            fields |= {f"our {name} {part}": number for part, number in spread.items()}
        else:
            fields[f"our {name}"] = value
    return fields


def findings_as_csv(report: Report) -> str:
    """The claims, unrounded."""
    missing: dict[str, object] = dict.fromkeys(Estimate._fields)
    return as_csv(
        [
            {"claim": f.claim.text, "ours": f.claim.ours, "other": f.claim.other, "paper": f.paper}
            | (f.ours._asdict() if f.ours else missing)
            | {"verdict": f.verdict}
            for f in report.findings
        ]
    )


def as_csv(records: Sequence[Mapping[str, object]]) -> str:
    """Records of the same keys as CSV with a header."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return stream.getvalue()


def save(report: Report, folder: Path) -> list[Path]:
    """Write table<n>.md, .tex and .csv and, where there are claims, table<n>_claims.csv into `folder`, and return their
    paths."""
    name = f"table{report.number}"
    contents = {f"{name}.md": as_markdown(report), f"{name}.tex": as_latex(report), f"{name}.csv": rows_as_csv(report)}
    if report.findings:
        contents[f"{name}_claims.csv"] = findings_as_csv(report)
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in contents.items():
        write_atomically(folder / file, text)
    return [folder / file for file in contents]
