"""A table and what is said beside it, as text, Markdown, CSV and LaTeX."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tabulate import tabulate

from vggsuite.files import write_atomically

DASH = "-"
SOURCE_HEADINGS = ("result", "commit", "command")


class SourcedText(str):
    """The text of a cell that is a figure of ours, and knows the results behind it.

    Args:
        text: as it is printed.
        sources: the names of the results that it was made of.
    """

    sources: tuple[str, ...]

    def __new__(cls, text: str, sources: Iterable[str]) -> "SourcedText":
        made = super().__new__(cls, text)
        made.sources = tuple(dict.fromkeys(sources))
        return made


class Named(Protocol):
    """A result."""

    @property
    def name(self) -> str: ...


def compared(ours: Mapping[int, Named], other: Mapping[int, Named]) -> list[str]:
    """The names of the results of two experiments, by seed, that a claim about both compares."""
    return [side[seed].name for seed in sorted(ours.keys() & other.keys()) for side in (ours, other)]


@dataclass(frozen=True)
class Source:
    """A result that figures are made of: its name below `runs/`, its folder, and its record."""

    name: str
    folder: Path
    record: Any

    @property
    def commit(self) -> str:
        """The git commit, marked where the tree had changes of its own."""
        environment = self.record.environment
        return f"{(environment['git_commit'] or 'no git')[:10]}{' + changes' if environment['git_dirty'] else ''}"


@dataclass(frozen=True)
class Grid:
    """Rows under headings.

    Attributes:
        suffix: of the name of its CSV file.
        headings: of the columns.
        cells: the rows as they are printed; a `SourcedText` knows where it comes from.
        records: the rows, unrounded, for the CSV file.
    """

    suffix: str
    headings: Sequence[str]
    cells: Sequence[Sequence[str]]
    records: Sequence[Mapping[str, object]]


@dataclass(frozen=True)
class Report:
    """A table and what is said beside it.

    Attributes:
        name: of its files.
        heading: what the table shows, and above all on which images.
        grids: the table, and what belongs to it, as its claims.
        remarks: what a reader has to know, a sentence or two each.
        sources: every result that is shown.
    """

    name: str
    heading: str
    grids: Sequence[Grid]
    remarks: Sequence[str]
    sources: Sequence[Source]

    @property
    def title(self) -> str:
        """What a person calls it: "Table 7", "Degradation"."""
        return self.name.replace("table", "Table ").capitalize()


def rendered(report: Report, style: str) -> list[str]:
    """The grids in one of tabulate's styles."""
    return [tabulate(grid.cells, grid.headings, tablefmt=style, disable_numparse=True) for grid in report.grids]


def as_text(report: Report) -> str:
    """For the terminal."""
    return "\n\n".join([report.heading, *rendered(report, "simple"), *report.remarks]) + "\n"


def as_markdown(report: Report) -> str:
    """With the sources of every figure."""
    rows = [(source.name, source.commit, f"`{source.record.command}`") for source in report.sources]
    sources = tabulate(rows, SOURCE_HEADINGS, tablefmt="github", disable_numparse=True)
    return "\n\n".join([report.heading, *rendered(report, "github"), *report.remarks, sources]) + "\n"


def as_latex(report: Report) -> str:
    """For \\input into a paper that uses the booktabs package; the remarks as comments."""
    comments = "".join(f"% {line}\n" for line in (report.heading, *report.remarks))
    return comments + "\n\n".join(rendered(report, "latex_booktabs")).replace("+-", r"$\pm$") + "\n"


def as_csv(records: Sequence[Mapping[str, object]]) -> str:
    """Records of the same keys as CSV with a header."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return stream.getvalue()


def save(report: Report, folder: Path) -> list[Path]:
    """Write the report as .md and .tex, and each of its grids as .csv, into `folder`, and return their paths."""
    contents = {f"{report.name}.md": as_markdown(report), f"{report.name}.tex": as_latex(report)}
    contents |= {f"{report.name}{grid.suffix}.csv": as_csv(grid.records) for grid in report.grids}
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in contents.items():
        write_atomically(folder / file, text)
    return [folder / file for file in contents]


def duration(seconds: float | None) -> str:
    """Seconds as "1 h 02 min", "3 min 05 s" or "42 s"."""
    if seconds is None:
        return DASH
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"
