"""Tables 11 and 12 (appendix B): what features are worth on other data sets, beside the paper's figures."""

from collections.abc import Mapping, Sequence
from typing import Any

from vggsuite.config import MULTI_LABEL
from vggsuite.results.experiments import printed_rows
from vggsuite.results.record import Transfer, skipped_remarks
from vggsuite.results.rendering import DASH, Grid, Report, Source, SourcedText, compared
from vggsuite.results.statistics import Estimate, mean_and_sd
from vggsuite.results.transfer_claims import CLAIMS, compare, paper_difference, verdict
from vggsuite.results.transfer_points import (
    CURVES,
    EXPERIMENTS,
    FEW,
    OURS_ALONE,
    TITLES,
    Found,
    Point,
    Transfers,
    fits,
    paper_columns,
    targets_of,
)


def make_transfer_report(
    number: int,
    transfers: Transfers,
    *,
    source: str,
    variant: str,
    targets: Sequence[str] | None,
    confidence: float,
) -> Report:
    """Everything to print of Table 11 or 12, with a column of ours for each of `targets` (None: for all)."""
    targets = targets_of(number, source, targets)
    shown = [found for point, by_seed in transfers.items() if point.target in targets for found in by_seed.values()]
    grids = [grid_of_rows(number, transfers, targets)]
    singles = [target for target in targets if target not in MULTI_LABEL]
    if singles and number == 11:
        grids.append(grid_of_curves(transfers, singles))
    grids.append(grid_of_claims(number, transfers, targets, confidence))
    return Report(
        name=f"table{number}",
        heading=heading(number, shown, source, variant),
        grids=grids,
        remarks=[
            *remarks(number, targets, confidence),
            *skipped_remarks(found.record.data for found in shown),
        ],
        sources=[Source(found.name, found.folder, found.record) for found in shown],
    )


def heading(number: int, shown: Sequence[Found], source: str, variant: str) -> str:
    """What the table shows, and above all on which images."""
    with_what = f" with {variant}" if variant else ""
    title = f"Table {number}, {TITLES[number]}, in %, higher is better."
    if not shown:
        return f"{title} Ours: no results by nets trained on {source}{with_what} yet."
    data = {found.record.data["name"]: found.record for found in shown}
    told = ", ".join(
        f"{name} ({record.data['num_images']} images of {record.data['num_classes']} classes, "
        f"{record.metric.replace('_', ' ')})"
        for name, record in data.items()
    )
    return (
        f"{title} Ours: by nets trained on {source}{with_what}, on {told}. The paper's: by nets trained on ILSVRC-2012."
    )


def grid_of_rows(number: int, transfers: Transfers, targets: Sequence[str]) -> Grid:
    """The paper's rows, and ours below."""
    columns = paper_columns(number)
    rows: list[tuple[str, Mapping[str, Any], str | None]] = [
        (row["method"], row, EXPERIMENTS.get(row["method"])) for row in printed_rows(number)
    ]
    rows += [(method, {}, experiment) for method, experiment in OURS_ALONE[number].items()]
    cells, records = [], []
    for method, row, experiment in rows:
        ours = [transfers.get(Point(target, experiment, None), {}) if experiment else {} for target in targets]
        cells.append([method, *(paper_text(row, name) for name in columns.values()), *map(score_cell, ours)])
        records.append(
            {"method": method, "experiment": experiment}
            | {f"paper {column}": row.get(name) for column, name in columns.items()}
            | {
                key: value
                for target, found in zip(targets, ours, strict=True)
                for key, value in csv_score(target, found)
            }
        )
    headings = ["method", *(f"paper {column}" for column in columns), *(f"our {target}" for target in targets)]
    return Grid("", headings, cells, records)


def paper_text(row: Mapping[str, Any], name: str) -> str:
    """A figure of the paper's: "91.8 +- 1.0", with a star where more classes were trained on."""
    value, starred = row.get(name), row.get(f"{name}_starred")
    if value is None:
        return DASH
    text = f"{value[0]:.1f} +- {value[1]:.1f}" if isinstance(value, list) else f"{value:.1f}"
    return text + ("*" if row.get("starred") else "") + (f", {starred:.1f}*" if starred else "")


def score_cell(by_seed: Mapping[int, Found]) -> str:
    """Our figure as it is printed."""
    return SourcedText(
        score_text([found.record for found in by_seed.values()]), [found.name for found in by_seed.values()]
    )


def score_text(records: Sequence[Transfer]) -> str:
    """Our figure: over seeds, over splits, or with its interval over the images of a single split."""
    match records:
        case []:
            return DASH
        case [record] if record.metrics["sd"] is not None:
            return f"{record.metrics['mean']:.1f} +- {record.metrics['sd']:.1f}"
        case [record]:
            low, high = record.metrics["interval"]
            return f"{record.metrics['mean']:.1f} [{low:.1f}, {high:.1f}]"
    mean, sd = mean_and_sd([record.metrics["mean"] for record in records])
    return f"{mean:.1f} +- {sd:.1f} ({len(records)} seeds)"


def csv_score(target: str, by_seed: Mapping[int, Found]) -> list[tuple[str, object]]:
    """Our figure, unrounded."""
    records = [found.record for found in by_seed.values()]
    mean, sd = mean_and_sd([record.metrics["mean"] for record in records]) if records else (None, None)
    single = records[0].metrics if len(records) == 1 else {}
    low, high = single.get("interval") or (None, None)
    values = {
        "mean": mean,
        "sd": single.get("sd") if single else sd,
        "low": low,
        "high": high,
        "splits": len(records[0].splits) if records else None,
        "seeds": len(records),
    }
    return [(f"our {target} {name}", value) for name, value in values.items()]


def grid_of_curves(transfers: Transfers, targets: Sequence[str]) -> Grid:
    """Learning curves: the score by the number of training images a class."""
    cells, records = [], []
    for target in targets:
        for method, experiment in CURVES.items():
            if not fits(experiment, target):
                continue
            found = [transfers.get(Point(target, experiment, few), {}) for few in (*FEW, None)]
            cells.append([target, method, *map(score_cell, found)])
            records += [
                {"data": target, "method": method, "images a class": few or "all"}
                | {key.removeprefix(f"our {target} "): value for key, value in csv_score(target, by_seed)}
                for few, by_seed in zip((*FEW, None), found, strict=True)
            ]
    headings = ["data", "training images a class", *map(str, FEW), "all"]
    return Grid("_curves", headings, cells, records)


def grid_of_claims(number: int, transfers: Transfers, targets: Sequence[str], confidence: float) -> Grid:
    """What is claimed, the paper's difference where it has one, ours with its interval, and what follows."""
    cells, records = [], []
    for target in targets:
        for text, ours, other in CLAIMS[number]:
            if not (fits(ours, target) and fits(other, target)):
                continue
            first, second = (transfers.get(Point(target, experiment, None), {}) for experiment in (ours, other))
            found = compare(first, second, confidence)
            paper = paper_difference(number, target, ours, other)
            cells.append(
                [
                    target,
                    text,
                    DASH if paper is None else f"{paper:+.1f}",
                    SourcedText(f"{found.value:+.1f}", compared(first, second)) if found else DASH,
                    f"[{found.low:+.1f}, {found.high:+.1f}]" if found else DASH,
                    verdict(found),
                    found.method if found else DASH,
                ]
            )
            missing: dict[str, object] = dict.fromkeys(Estimate._fields)
            records.append(
                {"data": target, "claim": text, "ours": ours, "other": other, "paper": paper}
                | (found._asdict() if found else missing)
                | {"verdict": verdict(found)}
            )
    return Grid("_claims", ["data", "claim", "paper", "ours", "interval", "verdict", "by"], cells, records)


def remarks(number: int, targets: Sequence[str], confidence: float) -> list[str]:
    """What a reader has to know beside the figures."""
    lines = [
        "Ours: the mean +- sd over random splits, the score of one with its 95% interval over the test images, or the "
        "mean +- sd over nets of several seeds.",
        f"Claims: differences in points, above zero where the claim holds, with {confidence:.0%} intervals, not "
        "corrected for the number of claims. Not resolved: zero is in the interval; a dash: no figures yet, or not of "
        "the same images and splits.",
        "*: pre-trained on more classes of ILSVRC. The paper's VOC-2012 figures are its server's on the test images.",
    ]
    if any(target.startswith("voc2012") for target in targets):
        lines.append("Ours on VOC-2012: trained on train, tested on val.")
    if number == 11:
        lines.append(
            "Fine-tuned nets see one scale, SVMs the descriptors of several; claims about fine-tuning are over the "
            "splits that both have."
        )
    return lines
