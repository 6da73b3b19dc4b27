"""Tables 11 and 12 (appendix B): what features are worth on other data sets, beside the paper's figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vggsuite.config import Metric
from vggsuite.errors import UserError
from vggsuite.naming import variant_of
from vggsuite.results.experiments import printed_rows
from vggsuite.results.record import SCORES_FILE, TRANSFER_FILE, Transfer, read_transfer
from vggsuite.results.rendering import DASH, Grid, Report, commit_text
from vggsuite.results.resampling import centred_bounds, resampled_scores
from vggsuite.results.statistics import Estimate, mean_and_sd, paired_over_seeds, paired_over_splits

TITLES = {
    11: "descriptors and linear SVMs, and fine-tuned nets, on other data sets",
    12: "classification of what is in a box",
}
# The data sets of each table: of nets trained on the digits the embedded ones, else those of the paper.
EMBEDDED = {11: ("letters", "letters_voc"), 12: ("letters_action",)}
OF_THE_PAPER = {11: ("voc2007", "voc2012", "caltech101", "caltech256"), 12: ("voc2012_action",)}
SOURCES = ("digits", "imagenet")  # of these data sets' own config files
MULTI_LABEL = ("letters_voc", "letters_action", "voc2007", "voc2012", "voc2012_action")  # which cannot be fine-tuned on
NETS = "VGG Net-D & Net-E"
EXPERIMENTS = {  # of the paper's rows
    "VGG Net-D (16 layers)": "table11/d",
    "VGG Net-E (19 layers)": "table11/e",
    NETS: "table11/d_and_e",
    f"{NETS}, image-only": "table12/image",
    f"{NETS}, image and bounding box": "table12/image_and_box",
}
OURS_ALONE = {  # rows that the paper has not
    11: {
        "Net-A": "table11/a",
        "Net-D, random weights": "table11/random",
        "raw pixels": "table11/pixels",
        "Net-D, last layer fine-tuned": "table11/last_layer",
        "Net-D, FC layers fine-tuned": "table11/fc_layers",
        "Net-D, all layers fine-tuned": "table11/all_layers",
    },
    12: {},
}
FINE_TUNED = ("table11/last_layer", "table11/fc_layers", "table11/all_layers")
CURVES = {  # what is learnt from few training images a class
    "Net-D, linear SVM": "table11/d",
    **{method: experiment for method, experiment in OURS_ALONE[11].items() if experiment in FINE_TUNED},
}
FEW = (5, 15)  # training images a class, beside all
CLAIMS = {
    11: (
        ("training helps: D against random weights", "table11/d", "table11/random"),
        ("features help: D against raw pixels", "table11/d", "table11/pixels"),
        ("depth helps: D against A", "table11/d", "table11/a"),
        ("depth helps: E against D", "table11/e", "table11/d"),
        ("two nets beat one: D & E against D", "table11/d_and_e", "table11/d"),
        ("fine-tuning helps: all layers of D against its SVM", "table11/all_layers", "table11/d"),
        ("more layers help: all of D against the last", "table11/all_layers", "table11/last_layer"),
    ),
    12: (("the box helps", "table12/image_and_box", "table12/image"),),
}


@dataclass(frozen=True)
class Found:
    """A transfer and its folder."""

    folder: Path
    record: Transfer


def targets_of(number: int, source: str, chosen: Sequence[str] | None = None) -> list[str]:
    """The data sets of Table 11 or 12, by nets trained on `source`: those `chosen`, or all.

    Raises:
        UserError: for one that is of neither table.
    """
    known = EMBEDDED if source == "digits" else OF_THE_PAPER
    everything = [target for targets in known.values() for target in targets]
    for target in chosen or []:
        if target not in everything:
            raise UserError(
                f"targets={list(chosen or [])} has {target}; allowed with data={source}: {', '.join(everything)} "
                f"(targets=[{everything[0]}])."
            )
    return [target for target in known[number] if chosen is None or target in chosen]


class Point(NamedTuple):
    """A figure of Table 11 or 12: a data set, an experiment, and how many training images of each class (None: all)."""

    target: str
    experiment: str
    few: int | None

    @property
    def name(self) -> str:
        return f"{self.experiment} on {self.target}{f', {self.few} a class' if self.few else ''}"


def words_of(point: Point, source: str) -> list[str]:
    """What is typed of transfer.py for a figure, beside its seed."""
    told = [] if source in SOURCES else [f"source={source}"]
    few = [f"data.splits.keep_per_class={point.few}"] if point.few else []
    return [f"experiment={point.experiment}", f"data={point.target}", *told, *few]


def points_of(number: int, source: str, chosen: Sequence[str] | None) -> list[Point]:
    """Every figure of ours in Table 11 or 12."""
    printed = [EXPERIMENTS[row["method"]] for row in printed_rows(number) if row["method"] in EXPERIMENTS]
    targets = targets_of(number, source, chosen)
    points = [
        Point(target, experiment, None) for experiment in (*OURS_ALONE[number].values(), *printed) for target in targets
    ]
    if number == 11:
        curves = [target for target in targets if target not in MULTI_LABEL]
        points += [Point(target, experiment, few) for few in FEW for experiment in CURVES.values() for target in curves]
    return [point for point in points if fits(point.experiment, point.target)]


def fits(experiment: str, target: str) -> bool:
    """Whether an experiment can be made on a data set."""
    return not (experiment in FINE_TUNED and target in MULTI_LABEL)


Transfers = Mapping[Point, Mapping[int, Found]]  # by seed


def collect_transfers(runs: Path, *, source: str, variant: str) -> Transfers:
    """The transfers below `runs` that Tables 11 and 12 show, of nets trained on `source` in this variant."""
    found: dict[Point, dict[int, Found]] = {}
    places = [(target, f"table{number}") for number in TITLES for target in targets_of(number, source)]
    for target, table in places:
        for file in sorted((runs / target / table).glob(f"*/seed_*/{TRANSFER_FILE}")):
            record = read_transfer(file.parent)
            point = Point(target, record.experiment, record.data["splits"]["keep_per_class"])
            typed = variant_of(words_of(point, source), record.experiment)
            if (record.settings["source"], record.variant, record.typed) == (source, variant, typed):
                found.setdefault(point, {})[record.seed] = Found(file.parent, record)
    return found


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
        remarks=remarks(number, confidence),
        sources=[
            (found.record.name, commit_text(found.record.environment), f"`{found.record.command}`") for found in shown
        ],
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
        cells.append([method, *(paper_text(row, name) for name in columns.values()), *map(score_text, ours)])
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


def paper_columns(number: int) -> dict[str, str]:
    """The columns of the paper's table, and their names in its rows."""
    return {name: name for name in OF_THE_PAPER[11]} if number == 11 else {"voc2012_action": "map"}


def paper_text(row: Mapping[str, Any], name: str) -> str:
    """A figure of the paper's: "91.8 +- 1.0", with a star where more classes were trained on."""
    value, starred = row.get(name), row.get(f"{name}_starred")
    if value is None:
        return DASH
    text = f"{value[0]:.1f} +- {value[1]:.1f}" if isinstance(value, list) else f"{value:.1f}"
    return text + ("*" if row.get("starred") else "") + (f", {starred:.1f}*" if starred else "")


def score_text(by_seed: Mapping[int, Found]) -> str:
    """Our figure: over seeds, over splits, or with its interval over the images of a single split."""
    records = [found.record for found in by_seed.values()]
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
            cells.append([target, method, *map(score_text, found)])
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
                    f"{found.value:+.1f}" if found else DASH,
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


def paper_difference(number: int, target: str, ours: str, other: str) -> float | None:
    """The difference that the paper printed between two experiments on a data set."""
    name = paper_columns(number).get(target)
    rows = {EXPERIMENTS.get(row["method"]): row for row in printed_rows(number)}
    if name is None or ours not in rows or other not in rows:
        return None
    values = [rows[experiment][name] for experiment in (ours, other)]
    first, second = (value[0] if isinstance(value, list) else value for value in values)
    return round(first - second, 1)


def verdict(found: Estimate | None) -> str:
    """Whether the claim holds: the difference is above zero."""
    if found is None:
        return DASH
    if not found.resolved:
        return "not resolved"
    return "holds" if found.value > 0 else "fails"


def compare(ours: Mapping[int, Found], other: Mapping[int, Found], confidence: float) -> Estimate | None:
    """The difference in score: of results paired by seed, else by split, else by the images of a single split."""
    seeds = sorted(ours.keys() & other.keys())
    if not seeds:
        return None
    pairs = [(ours[seed].record, other[seed].record) for seed in seeds]
    if len(pairs) > 1:
        first, second = zip(*((a.metrics["mean"], b.metrics["mean"]) for a, b in pairs), strict=True)
        return paired_over_seeds(list(first), list(second), confidence)
    (a, b), seed = pairs[0], seeds[0]
    scores = [(x["score"], y["score"]) for x, y in zip(a.splits, b.splits, strict=False)]
    if len(scores) == 1:
        return paired_over_test_images(ours[seed], other[seed], confidence)
    share = a.splits[0]["num_test"] / a.splits[0]["num_train"]
    first, second = zip(*scores, strict=True)
    return paired_over_splits(list(first), list(second), confidence, test_to_train=share)


def paired_over_test_images(ours: Found, other: Found, confidence: float) -> Estimate:
    """The difference in score on the test images of the first split, by a bootstrap over them."""
    draws = []
    for found in (ours, other):
        with np.load(found.folder / SCORES_FILE) as arrays:
            targets = arrays["targets"][arrays["test_0"]]
            draws.append(resampled_scores(Metric(found.record.metric), arrays["scores_0"], targets))
    value = ours.record.splits[0]["score"] - other.record.splits[0]["score"]
    low, high = centred_bounds(value, draws[0] - draws[1], confidence)
    return Estimate(value, low, high, f"bootstrap over {len(targets)} images")


def remarks(number: int, confidence: float) -> list[str]:
    """What a reader has to know beside the figures."""
    lines = [
        "Ours: the mean +- sd over random splits, or the score of one with its 95% interval over the test images.",
        f"Claims: differences in points, above zero where the claim holds, with {confidence:.0%} intervals, not "
        "corrected for the number of claims. Not resolved: zero is in the interval.",
        "*: pre-trained on more classes of ILSVRC. The paper's VOC-2012 figures are its server's on the test images; "
        "ours are on val, of nets and SVMs that saw train alone.",
    ]
    if number == 11:
        lines.append("Fine-tuned nets see one scale; SVMs are given the descriptors of several, stacked or averaged.")
    return lines
