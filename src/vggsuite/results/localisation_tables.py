"""Tables 8, 9 and 10 (appendix A): localisation, beside the paper's figures."""

from collections.abc import Mapping, Sequence
from typing import Any

from vggsuite.results.experiments import printed_rows
from vggsuite.results.localisation_claims import CLAIMS, grid_of_claims
from vggsuite.results.localisation_points import TITLES, TRAINED, WAYS, Found, Localisations
from vggsuite.results.record import skipped_remarks
from vggsuite.results.rendering import DASH, Grid, Report, Source, SourcedText
from vggsuite.results.report import DESCRIPTIONS
from vggsuite.results.tables import Measured, measured, scales_text, spread_fields

OURS = {
    8: {"our error": "gt_class", "mean box": "mean_box_gt_class"},
    9: {"our top-5": "top5", "our top-1": "top1", "given the class": "gt_class", "mean box, top-5": "mean_box_top5"},
    10: {"our top-5": "top5"},
}
NO_ERRORS: dict[str, float | None] = {"val": None, "test": None}
PrintedRow = tuple[dict[str, str], dict[str, float | None], str | None]  # first columns, paper's errors, experiment


def make_localisation_report(
    number: int, found: Localisations, *, data: str, variant: str, confidence: float
) -> Report:
    """Everything to print of Table 8, 9 or 10."""
    rows = rows_of(number)
    shown = [each for _, _, experiment in rows for each in found.get(experiment or "", {}).values()]
    grids = [grid_of_rows(number, rows, found)]
    if CLAIMS[number]:
        grids.append(grid_of_claims(number, found, confidence))
    return Report(
        name=f"table{number}",
        heading=heading(number, shown, data, variant),
        grids=grids,
        remarks=remarks(number, shown, confidence),
        sources=[Source(each.name, each.folder, each.record) for each in shown],
    )


def rows_of(number: int) -> list[PrintedRow]:
    """The paper's rows, and ours."""
    printed = printed_rows(number)
    rows: list[PrintedRow] = []
    match number:
        case 8:
            for row, experiment in zip(printed, TRAINED, strict=False):
                first = {"fine-tuned": row["fine_tuned"], "regression": row["regression"]}
                rows.append((first, {"error": row["gt_class_error"]}, experiment))
            rows.append(({"fine-tuned": "all", "regression": "PCR, S = 256"}, {"error": None}, TRAINED[3]))
        case 9:
            for ending, way in WAYS.items():
                for row, name in zip(printed, ("s256", "s384", "s384_two", "fusion"), strict=True):
                    s, q = scales_of(row)
                    errors = {"val": row["top5_val"], "test": row.get("top5_test")} if not ending else dict(NO_ERRORS)
                    rows.append(({"S": s, "Q": q, "places": way}, errors, f"table9/{name}{ending}"))
        case _:
            for row in printed:
                ours = "table9/fusion" if row["method"] == "VGG" else None
                errors = {"val": row["top5_val"], "test": row["top5_test"]}
                rows.append(({"method": row["method"]}, errors, ours))
            rows.insert(1, ({"method": "VGG, places as crops"}, dict(NO_ERRORS), "table9/fusion_crops"))
    return rows


def scales_of(row: Mapping[str, Any]) -> tuple[str, str]:
    """S and Q as the paper prints them."""
    if "fusion" in row:
        return "fusion: 256; 384", "256; 352, 384"
    return str(row["train_s"]), scales_text(row["test_q"])


def grid_of_rows(number: int, rows: Sequence[PrintedRow], found: Localisations) -> Grid:
    """The rows of a table."""
    cells, records = [], []
    for first, errors, experiment in rows:
        tests = list(found.get(experiment or "", {}).values())
        ours = {column: measure(tests, which) for column, which in OURS[number].items()}
        sources = [test.name for test in tests]
        cells.append(
            [
                *first.values(),
                *(DASH if error is None else f"{error:.1f}" for error in errors.values()),
                "; ".join(scales_text(weights["scales"]) for weights in tests[0].record.of) if tests else DASH,
                *(SourcedText(str(value), sources) if value else DASH for value in ours.values()),
                str(len(tests)) if tests else DASH,
            ]
        )
        records.append(
            {"experiment": experiment, **first}
            | {f"paper {name}": error for name, error in errors.items()}
            | {key: part for column, value in ours.items() for key, part in spread_fields(column, value).items()}
            | {"runs": len(tests)}
        )
    first, errors, _ = rows[0]
    headings = [*first, *(f"paper {name}" for name in errors), "our Q", *OURS[number], "runs"]
    return Grid("", headings, cells, records)


def measure(tests: Sequence[Found], which: str) -> Measured | None:
    """One error over the seeds."""
    return measured([found.record.metrics for found in tests], which) if tests else None


def heading(number: int, shown: Sequence[Found], data: str, variant: str) -> str:
    """What the table shows, and above all on which images."""
    images = f"{data} ({DESCRIPTIONS.get(data, 'a folder of images, NOT ImageNet')})"
    with_what = f" with {variant}" if variant else ""
    title = f"Table {number}, {TITLES[number]}, errors in %."
    if not shown:
        return f"{title} Ours: no results on {images}{with_what} yet."
    some = shown[0].record
    return (
        f"{title} Ours: on {images}{with_what}, {some.metrics['num_images']} images with boxes, of "
        f"{some.data['num_classes']} classes, fingerprint {some.data['fingerprint'][:8]}. The paper's: on ILSVRC-2012 "
        "val, and test where it says so."
    )


def remarks(number: int, shown: Sequence[Found], confidence: float) -> list[str]:
    """What a reader has to know beside the figures."""
    lines = [
        "Ours: the error [95% interval over the images] of one run, or mean +- sd over runs of several seeds. A box is "
        "right when its IoU with a true one of the class exceeds 0.5.",
    ]
    if CLAIMS[number]:
        lines.append(
            f"Differences in points, below zero where the claim holds, with {confidence:.0%} intervals, not corrected "
            "for the number of claims. Not resolved: zero is in the interval."
        )
    if number == 8:
        lines.append("Mean box: the mean of the training boxes, always, in place of the net's.")
    else:
        lines.append(
            "Places: on a map, the net sees whole images (the paper); as crops, each place's crop by itself, as in "
            "training."
        )
    lines += [
        f"{each.record.name}: {count} {kind.replace('_', ' ')}."
        for each in shown[:1]
        for kind, count in each.record.data["counts"].items()
        if count
    ]
    return lines + skipped_remarks(each.record.data for each in shown)
