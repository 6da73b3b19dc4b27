"""Table 3 and its claims as text, Markdown, CSV and LaTeX."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tabulate import tabulate

from vggsuite.results import claims, table3
from vggsuite.results.claims import Finding
from vggsuite.results.record import Record, write_atomically
from vggsuite.results.statistics import Estimate
from vggsuite.results.table3 import Row, Runs

DASH = "-"
ROW_HEADINGS = (
    *("net", "S", "Q", "paper top-1", "paper top-5", "our S", "our Q", "our top-1", "our top-5"),
    *("runs", "parameters", "time"),
)
SOURCE_HEADINGS = ("run", "commit", "command")
FINDING_HEADINGS = ("claim of section 4.1", "paper", "ours", "interval", "verdict", "by")
DESCRIPTIONS = {
    "digits": "the embedded handwritten digits, NOT ImageNet",
    "imagenet": "ILSVRC-2012 val",
}


def row_cells(row: Row) -> list[str]:
    """A row as it is printed."""
    return [
        row.net,
        row.paper_s,
        row.paper_q,
        f"{row.paper_top1:.1f}",
        f"{row.paper_top5:.1f}",
        row.s or DASH,
        row.q or DASH,
        with_sd(row.top1, row.top1_sd),
        with_sd(row.top5, row.top5_sd),
        str(row.num_seeds) if row.num_seeds else DASH,
        f"{row.parameters / 1e6:.2f} M" if row.parameters else DASH,
        duration(row.seconds),
    ]


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


def with_sd(mean: float | None, sd: float | None) -> str:
    if mean is None:
        return DASH
    return f"{mean:.2f}" if sd is None else f"{mean:.2f} +- {sd:.2f}"


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
    """Table 3 and what is said beside it.

    Attributes:
        heading: what the table shows, and above all on which images.
        rows: the twelve rows.
        findings: the claims.
        remarks: what a reader has to know, a sentence or two each.
        sources: of every run its folder, commit and command.
    """

    heading: str
    rows: Sequence[Row]
    findings: Sequence[Finding]
    remarks: Sequence[str]
    sources: Sequence[Sequence[str]]


def make_report(
    data: str, selected: Mapping[str, Runs], *, variant: str, others: Sequence[str], confidence: float
) -> Report:
    """Everything to print of the runs that `table3.select` returned.

    Args:
        data: the data set's name.
        variant: what the runs were trained with beside the experiment; "" for nothing.
        others: finished runs that are no part of the table.
        confidence: of the intervals.
    """
    return Report(
        heading=heading(data, variant, selected),
        rows=table3.rows(selected),
        findings=claims.findings(selected, confidence),
        remarks=remarks(selected, others=others, confidence=confidence),
        sources=[
            (record.name, commit(record), f"`{record.command}`")
            for runs in selected.values()
            for record in runs.values()
        ],
    )


def heading(data: str, variant: str, selected: Mapping[str, Runs]) -> str:
    """What the table shows, and above all on which images."""
    some = next((record.data for runs in selected.values() for record in runs.values()), None)
    images = f"{data} ({DESCRIPTIONS.get(data, 'a folder of images, NOT ImageNet')})"
    with_what = f" with {variant}" if variant else ""
    if some is None:
        return f"Table 3, dense evaluation at one scale. Ours: no runs on {images}{with_what} yet."
    return (
        f"Table 3, dense evaluation at one scale, errors in %. Ours: on {images}{with_what}, "
        f"{some['num_test']} images of {some['num_classes']} classes, fingerprint {some['fingerprint'][:8]}. "
        "The paper's: on ILSVRC-2012 val."
    )


def remarks(selected: Mapping[str, Runs], *, others: Sequence[str], confidence: float) -> list[str]:
    """What a reader has to know beside the figures."""
    lines = [
        "Ours: mean +- sd over runs of several seeds. Time: the mean of a run, on its own hardware.",
        "Differences in percentage points of top-1 error, negative where the first net is better, with "
        f"{confidence:.0%} intervals, not corrected for the number of claims. Not resolved: zero is in the interval.",
    ]
    if any(len(runs) == 1 for runs in selected.values()):
        lines.append(
            "An interval by images compares two trained nets; how far another training of the same net would fall "
            "from it takes several seeds (SEEDS=0,1,2)."
        )
    lines += [
        f"{record.name} was initialised from an earlier run of {record.init['run']} than the one above."
        for record in table3.outdated(selected)
    ]
    if others:
        lines.append(f"Finished runs that are no part of this table: {', '.join(others)}.")
    return lines


def commit(record: Record) -> str:
    """The git commit of a run, marked where the tree had changes of its own."""
    state = record.environment
    return f"{(state['git_commit'] or 'no git')[:10]}{' + changes' if state['git_dirty'] else ''}"


def tables(report: Report, style: str) -> list[str]:
    """Rows and claims in one of tabulate's styles."""
    return [
        tabulate(list(map(row_cells, report.rows)), ROW_HEADINGS, tablefmt=style, disable_numparse=True),
        tabulate(list(map(finding_cells, report.findings)), FINDING_HEADINGS, tablefmt=style, disable_numparse=True),
    ]


def as_text(report: Report) -> str:
    """For the terminal."""
    return "\n\n".join([report.heading, *tables(report, "simple"), *report.remarks]) + "\n"


def as_markdown(report: Report) -> str:
    """With the sources of every figure."""
    sources = tabulate(report.sources, SOURCE_HEADINGS, tablefmt="github", disable_numparse=True)
    return "\n\n".join([report.heading, *tables(report, "github"), *report.remarks, sources]) + "\n"


def as_latex(report: Report) -> str:
    """Both tables for \\input into a paper that uses the booktabs package; the rest as comments."""
    comments = "".join(f"% {line}\n" for line in (report.heading, *report.remarks))
    return comments + "\n\n".join(tables(report, "latex_booktabs")).replace("+-", r"$\pm$") + "\n"


def rows_as_csv(report: Report) -> str:
    """The rows, unrounded."""
    return as_csv([asdict(row) for row in report.rows])


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
    """Write table3.md, table3.tex, table3.csv and table3_claims.csv into `folder`, and return their paths."""
    contents = {
        "table3.md": as_markdown(report),
        "table3.tex": as_latex(report),
        "table3.csv": rows_as_csv(report),
        "table3_claims.csv": findings_as_csv(report),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in contents.items():
        write_atomically(folder / name, text)
    return [folder / name for name in contents]
