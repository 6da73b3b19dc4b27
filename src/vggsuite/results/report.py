"""Table 3 and its claims as text, Markdown, CSV and LaTeX."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from tabulate import tabulate

from vggsuite.results.claims import Finding
from vggsuite.results.record import Record, write_atomically
from vggsuite.results.table3 import Row, Runs
from vggsuite.results.table3 import rows as table_rows

DASH = "-"
ROW_HEADINGS = (
    *("net", "S", "Q", "paper top-1", "paper top-5", "our S", "our Q", "our top-1", "our top-5"),
    *("runs", "parameters", "time"),
)
FINDING_HEADINGS = ("claim of section 4.1", "paper", "ours", "interval", "verdict", "by")
DESCRIPTIONS = {
    "digits": "the embedded handwritten digits, NOT ImageNet",
    "folder": "a folder of images, NOT ImageNet",
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


def title(data: str, selected: Mapping[str, Runs]) -> str:
    """What the table shows, and above all on which images."""
    records: list[Record] = [record for runs in selected.values() for record in runs.values()]
    if not records:
        return f"Table 3, dense evaluation at one scale. Ours: no runs on data={data} yet ({DESCRIPTIONS[data]})."
    some = records[0].data
    return (
        f"Table 3, dense evaluation at one scale, errors in %. Ours: on {data} ({DESCRIPTIONS[data]}), "
        f"{some['num_test']} images of {some['num_classes']} classes, fingerprint {some['fingerprint'][:8]}. "
        "The paper's: on ILSVRC-2012 val."
    )


def notes(confidence: float, others: Sequence[str]) -> list[str]:
    """What a reader has to know beside the figures."""
    lines = [
        "Ours: mean +- sd over runs of several seeds. Time: of one run, on its own hardware.",
        "Differences in percentage points of top-1 error, negative where the first net is better, with "
        f"{confidence:.0%} intervals, not corrected for the number of claims. Not resolved: the interval includes zero.",
    ]
    if others:
        lines.append(f"Finished runs that are no part of this table: {', '.join(others)}.")
    return lines


def run_cells(selected: Mapping[str, Runs]) -> list[list[str]]:
    """Where every figure comes from: each run's folder, the commit it was made by, and the command to repeat it."""
    return [
        [str(folder), commit(record), f"`{record.command}`"]
        for runs in selected.values()
        for folder, record in runs.items()
    ]


def commit(record: Record) -> str:
    """The git commit of a run, marked where the tree had changes of its own."""
    state = record.environment
    return f"{(state['git_commit'] or 'no git')[:10]}{' + changes' if state['git_dirty'] else ''}"


def document(heading: str, rows: Sequence[Row], found: Sequence[Finding], remarks: Sequence[str], style: str) -> str:
    """Both tables with heading and remarks in one of tabulate's styles."""
    tables = [
        tabulate([row_cells(row) for row in rows], ROW_HEADINGS, tablefmt=style, disable_numparse=True),
        tabulate(
            [finding_cells(finding) for finding in found], FINDING_HEADINGS, tablefmt=style, disable_numparse=True
        ),
    ]
    return "\n\n".join([heading, *tables, "\n\n".join(remarks)]) + "\n"


def latex(heading: str, rows: Sequence[Row], found: Sequence[Finding], remarks: Sequence[str]) -> str:
    """Both tables for \\input into a paper that uses the booktabs package; heading and remarks are comments."""
    text = document("", rows, found, [], "latex_booktabs").strip()
    return "".join(f"% {line}\n" for line in (heading, *remarks)) + text.replace("+-", r"$\pm$") + "\n"


def as_csv(records: Sequence[dict[str, object]]) -> str:
    """Records of the same keys as CSV with a header."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return stream.getvalue()


def save(
    folder: Path, heading: str, rows: Sequence[Row], found: Sequence[Finding], remarks: Sequence[str]
) -> list[Path]:
    """Write table3.md, table3.tex, table3.csv and table3_claims.csv into `folder`, and return their paths."""
    claims: list[dict[str, object]] = [
        {"ours": f.claim.ours, "other": f.claim.other, "claim": f.claim.text, "paper": f.paper}
        | (f.ours._asdict() if f.ours else dict.fromkeys(("value", "low", "high", "method")))
        | {"verdict": f.verdict}
        for f in found
    ]
    contents = {
        "table3.md": document(heading, rows, found, [*remarks, sources], "github"),
        "table3.tex": latex(heading, rows, found, remarks),
        "table3.csv": as_csv([asdict(row) for row in rows]),
        "table3_claims.csv": as_csv(claims),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in contents.items():
        write_atomically(folder / name, text)
    return [folder / name for name in contents]
