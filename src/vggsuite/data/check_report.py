"""The report of a check: what was found, in a form to be kept and in a few lines for the terminal. Its `skip` is what
`vggsuite.data.skipping` reads."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from vggsuite.data.config import CheckDataConfig, Problem
from vggsuite.data.duplicates import groups_of_equals
from vggsuite.data.parts import Part
from vggsuite.data.reading import Seen
from vggsuite.data.skipping import SCHEMA_VERSION
from vggsuite.data.trees import Tree
from vggsuite.errors import printable

SHOWN = 3  # of each kind, on the terminal
NAMED = 20  # of the files that are no images, in the report

Json = dict[str, Any]
ByPart = dict[str, list[str]]  # names of images


@dataclass(frozen=True)
class Checked:
    """A part of a data set, and what was found of its images."""

    part: Part
    seen: Seen


def make_report(checked: Sequence[Checked], config: CheckDataConfig, *, command: str, started: datetime) -> Json:
    """The report.

    Args:
        checked: all parts of the data set.
        config: of the check.
        command: that repeats it.
        started: when it did.
    """
    names = {each.part.name: each.part.samples.names() for each in checked}
    problems = list(problems_of(checked, names))
    duplicates = duplicates_of(checked, names)
    listed: dict[Problem, ByPart] = {kind: {part: [] for part in names} for kind in Problem}
    for problem in problems:
        listed[Problem(problem["kind"])][problem["part"]].append(problem["image"])
    listed[Problem.duplicate] = repeated(duplicates, list(names))
    return {
        "schema_version": SCHEMA_VERSION,
        "data": {"name": config.data.name, "layout": str(config.data.layout), "root": config.data.root},
        "command": command,
        "started": started.isoformat(timespec="seconds"),
        "smallest": config.smallest,
        "images": {part: len(own) for part, own in names.items()},
        "counts": {kind: {part: len(own) for part, own in parts.items()} for kind, parts in listed.items()},
        "classes": classes_of(checked),
        "unexpected": unexpected(checked, config.data.expected),
        "skip": {kind: to_skip(kind, listed[kind]) for kind in Problem if kind in config.skip},
        "problems": problems,
        "duplicates": duplicates,
    }


def problems_of(checked: Sequence[Checked], names: Mapping[str, list[str]]) -> Iterator[Json]:
    """Every fault of every image."""
    for part, seen in ((each.part.name, each.seen) for each in checked):
        for index, faults in seen.faults.items():
            for fault in faults:
                yield {"image": names[part][index], "part": part, "kind": str(fault.kind), "reason": fault.reason}


def duplicates_of(checked: Sequence[Checked], names: Mapping[str, list[str]]) -> list[Json]:
    """The groups of images of one content: their names by part, and their classes; those across parts first."""
    found = []
    bounds = np.cumsum([0, *(len(own) for own in names.values())])
    for group in groups_of_equals(np.concatenate([each.seen.digests for each in checked])):
        own: ByPart = {}
        classes = set()
        for index in group.tolist():
            number = int(np.searchsorted(bounds, index, side="right")) - 1
            part, place = checked[number].part, index - int(bounds[number])
            own.setdefault(part.name, []).append(names[part.name][place])
            classes |= {part.class_of(place)} - {None}
        found.append({"names": own, "classes": sorted(map(str, classes))})
    return sorted(found, key=lambda group: len(group["names"]), reverse=True)


def repeated(duplicates: Sequence[Json], parts: Sequence[str]) -> ByPart:
    """The images of each part that another part has too; of a single part, those that it has already."""
    found: ByPart = {part: [] for part in parts}
    for names in (group["names"] for group in duplicates):
        if len(names) > 1:
            for part, own in names.items():
                found[part] += own
        elif len(parts) == 1:
            found[parts[0]] += names[parts[0]][1:]
    return found


def to_skip(kind: Problem, by_part: ByPart) -> ByPart:
    """Which images of a kind are left out: all, but of duplicates those alone that are not of val."""
    return {part: [] if kind == Problem.duplicate and part == "val" else names for part, names in by_part.items()}


def classes_of(checked: Sequence[Checked]) -> Json:
    """The classes that have images; those that one part alone knows of; and what is odd about class folders."""
    with_images = {name for each in checked for name in each.part.classes_with_images()}
    known = [set(each.part.known) for each in checked]
    common = set.intersection(*known)
    trees = {tree.folder: tree for each in checked if (tree := each.part.tree) is not None}
    return {
        "names": sorted(with_images),
        "in_one_only": {
            each.part.name: sorted(own - common) for each, own in zip(checked, known, strict=True) if own - common
        },
        "folders": [folder_of(tree) for tree in trees.values()],
    }


def unexpected(checked: Sequence[Checked], expected: Mapping[str, int]) -> Json:
    """The counts that are not what the data set's config has."""
    found = {each.part.name: len(each.part.samples) for each in checked}
    found["classes"] = len({name for each in checked for name in each.part.known})
    return {
        what: {"found": count, "expected": expected[what]}
        for what, count in found.items()
        if count != expected.get(what, count)
    }


def folder_of(tree: Tree) -> Json:
    """What is odd about the class folders of a tree."""
    return {
        "folder": str(tree.folder),
        "empty": tree.empty,
        "other_files": {"count": len(tree.others), "first": list(map(printable, tree.others[:NAMED]))},
        "not_utf8": list(map(printable, tree.misnamed)),
    }


def summary(report: Json, *, seconds: float) -> str:
    """What a person wants to know of a report, in some lines."""
    images = report["images"]
    parts = " and ".join(f"{count:,} {part}" for part, count in images.items()).removesuffix(" images")
    rate = sum(images.values()) / max(seconds, 1e-3)
    lines = [
        f"{report['data']['name']}: {parts} images of {len(report['classes']['names'])} classes, read in "
        f"{seconds:.1f} s ({rate:,.0f} images/s)"
    ]
    for kind in Problem:
        counts = report["counts"][kind]
        told = ", ".join(f"{count:,} {part}" for part, count in counts.items() if count and len(counts) > 1)
        lines.append(row(kind.replace("_", " "), sum(counts.values())) + (f"  ({told})" if told else ""))
        first = across(report) if kind == Problem.duplicate else faults(report, kind)
        lines += shortened(list(first))
    lines += [*within_lines(report), *class_lines(report["classes"])]
    lines += [
        f"  {counts['found']:,} {what} where data.expected.{what}={counts['expected']}"
        for what, counts in report["unexpected"].items()
    ]
    lines.append(left_out_line(report))
    return "\n".join(lines)


def faults(report: Json, kind: Problem) -> Iterator[str]:
    """The images of a kind, with their reasons."""
    for problem in report["problems"]:
        if problem["kind"] == kind:
            yield f"{printable(problem['image'])}: {problem['reason']}"


def across(report: Json) -> Iterator[str]:
    """The duplicates that count: across parts, or within the only one."""
    for group in report["duplicates"]:
        if len(group["names"]) > 1 or len(report["images"]) == 1:
            yield equals(group)


def equals(group: Json) -> str:
    """A group of duplicates in one line."""
    names = [printable(name) for own in group["names"].values() for name in own]
    classes = f", of classes {', '.join(group['classes'])}" if len(group["classes"]) > 1 else ""
    return f"{' = '.join(names[:SHOWN])}{f' = {len(names) - SHOWN} more' if len(names) > SHOWN else ''}{classes}"


def within_lines(report: Json) -> list[str]:
    """The duplicates within each of several parts, and those of different classes."""
    lines = []
    for part in report["images"] if len(report["images"]) > 1 else []:
        groups = [group for group in report["duplicates"] if list(group["names"]) == [part]]
        if groups:
            lines.append(row(f"again in {part}", sum(len(group["names"][part]) - 1 for group in groups)))
            lines += shortened(list(map(equals, groups)))
    odd = [group for group in report["duplicates"] if len(group["classes"]) > 1]
    return [*lines, row("of two classes", len(odd)), *shortened(list(map(equals, odd)))] if odd else lines


def class_lines(classes: Json) -> list[str]:
    """What is odd about classes and their folders."""
    lines = [f"  classes in {part} only: {some(names)}" for part, names in classes["in_one_only"].items()]
    for folder in classes["folders"]:
        for what, names, count in (
            ("empty class folders", folder["empty"], len(folder["empty"])),
            ("files passed over", folder["other_files"]["first"], folder["other_files"]["count"]),
            ("images whose names are not UTF-8, to be renamed", folder["not_utf8"], len(folder["not_utf8"])),
        ):
            if count:
                lines.append(f"  {what} in {folder['folder']}: {some(names, count)}")
    return lines


def left_out_line(report: Json) -> str:
    """How many images the report has training leave out."""
    counts = num_left_out(report)
    if not sum(counts.values()):
        return f"nothing is to be left out (skip=[{','.join(report['skip'])}])"
    told = " and ".join(f"{count:,} {part}" for part, count in counts.items()).removesuffix(" images")
    return f"to be left out (skip=[{','.join(report['skip'])}]): {told} images"


def num_left_out(report: Json) -> dict[str, int]:
    """How many images of each part are to be left out."""
    return {
        part: len({name for by_part in report["skip"].values() for name in by_part[part]}) for part in report["images"]
    }


def row(what: str, count: int) -> str:
    """A count and what is counted."""
    return f"  {what:<16}{count:>9,}"


def some(names: Sequence[str], count: int | None = None) -> str:
    """A number of names, and the first of them."""
    number = len(names) if count is None else count
    return f"{number:,} ({', '.join(names[:SHOWN])}{', ...' if number > SHOWN else ''})"


def shortened(lines: Sequence[str]) -> list[str]:
    """The first lines of a list, indented."""
    shown = [f"      {line}" for line in lines[:SHOWN]]
    return [*shown, f"      and {len(lines) - SHOWN:,} more"] if len(lines) > SHOWN else shown
