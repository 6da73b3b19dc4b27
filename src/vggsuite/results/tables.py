"""The rows of Tables 3 to 7: what the paper printed, and what our results say of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from vggsuite.results.collection import BySeed, Results
from vggsuite.results.experiments import experiment_of, printed_rows
from vggsuite.results.statistics import mean_and_sd


class Measured(NamedTuple):
    """An error in percent: the mean over seeds and its standard deviation, or of a single one its interval."""

    mean: float
    sd: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def ends(self) -> tuple[float | None, float | None]:
        """Of its interval, or a standard deviation on either side."""
        return (self.low, self.high) if self.sd is None else (self.mean - self.sd, self.mean + self.sd)

    def __str__(self) -> str:
        """The error with its spread: "12.80 [10.7, 15.3]", or "11.00 +- 1.41" over seeds."""
        if self.sd is not None:
            return f"{self.mean:.2f} +- {self.sd:.2f}"
        return f"{self.mean:.2f} [{self.low:.1f}, {self.high:.1f}]"


@dataclass(frozen=True)
class Ours:
    """What our results say of a row, and their `names`; `parameters` and `seconds` (of a run) only where it is of one
    net."""

    s: str
    q: str
    top1: Measured
    top5: Measured
    num_seeds: int
    parameters: int | None
    seconds: float | None
    names: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One row: its experiment (None for nets of others), what the paper printed of the net and of the evaluation, the
    paper's errors in percent (None for a dash), and ours (None without results)."""

    experiment: str | None
    printed: Mapping[str, str]
    paper: Mapping[str, float | None]
    ours: Ours | None = None


def rows(number: int, results: Results) -> list[Row]:
    """The rows of Table `number`, 3 to 7, in the paper's order."""
    return [ROWS[number](row, results) for row in printed_rows(number)]


def row_of_net(number: int) -> Callable[[Mapping[str, Any], Results], Row]:
    """How a row of Table 3 or 4 is made."""

    def make(row: Mapping[str, Any], results: Results) -> Row:
        experiment = experiment_of(number, row)
        printed = {"net": row["model"], "S": scale_text(row["train_s"]), "Q": scales_text(row["test_q"])}
        return Row(experiment, printed, {"top-1": row["top1"], "top-5": row["top5"]}, ours(results.get(experiment)))

    return make


def row_of_method(row: Mapping[str, Any], results: Results) -> Row:
    """A row of Table 5."""
    experiment = experiment_of(5, row)
    printed = {"net": row["model"], "evaluation": row["method"]}
    return Row(experiment, printed, {"top-1": row["top1"], "top-5": row["top5"]}, ours(results.get(experiment)))


def row_of_fusion(row: Mapping[str, Any], results: Results) -> Row:
    """A row of Table 6."""
    experiment = experiment_of(6, row)
    members = ", ".join(f"{member['model']}/{scale_text(member['train_s'])}" for member in row["members"])
    printed = {"nets": members, "evaluation": row["evaluation"]}
    return Row(experiment, printed, val_and_test(row), ours(results.get(experiment)))


# Rows of Table 7 that are ours to measure. The single VGG net is E, whose errors Table 7 repeats.
OF_TABLE_7 = {
    "VGG (2 nets, multi-crop & dense eval.)": "table6/both",
    "VGG (1 net, multi-crop & dense eval.)": "table5/e_both",
    "VGG (ILSVRC submission, 7 nets, dense eval.)": "table6/submission",
    "GoogLeNet (Szegedy et al., 2014) (1 net)": "table7/googlenet",
    "Krizhevsky et al., 2012 (1 net)": "table7/alexnet",
}


def row_of_the_art(row: Mapping[str, Any], results: Results) -> Row:
    """A row of Table 7."""
    experiment = OF_TABLE_7.get(row["method"])
    found = results.get(experiment) if experiment else None
    return Row(experiment, {"method": row["method"]}, val_and_test(row), ours(found))


def val_and_test(row: Mapping[str, Any]) -> dict[str, float | None]:
    """The errors of a row of Table 6 or 7."""
    return {"top-1 val": row["top1_val"], "top-5 val": row["top5_val"], "top-5 test": row["top5_test"]}


ROWS: dict[int, Callable[[Mapping[str, Any], Results], Row]] = {
    3: row_of_net(3),
    4: row_of_net(4),
    5: row_of_method,
    6: row_of_fusion,
    7: row_of_the_art,
}


def ours(by_seed: BySeed | None) -> Ours | None:
    """The results of one experiment over its seeds."""
    if not by_seed:
        return None
    results = list(by_seed.values())
    evaluations = [result.evaluation for result in results]
    runs = [result.run for result in results if result.run]
    return Ours(
        s=scale_text(runs[0].train_scale) if runs else "",
        q=scales_text(evaluations[0].protocol.get("scales", [])),
        top1=measured([evaluation.metrics for evaluation in evaluations], "top1"),
        top5=measured([evaluation.metrics for evaluation in evaluations], "top5"),
        num_seeds=len(results),
        parameters=runs[0].model["parameters"] if runs else None,
        seconds=mean_and_sd([run.cost["wall_seconds"] for run in runs])[0] if runs else None,
        names=tuple(result.name for result in results),
    )


def measured(metrics: Sequence[Mapping[str, Any]], which: str) -> Measured:
    """One error over the seeds."""
    mean, sd = mean_and_sd([found[f"{which}_error"] for found in metrics])
    return Measured(mean, sd) if sd is not None else Measured(mean, None, *metrics[0][f"{which}_interval"])


def spread_fields(name: str, error: Measured | None) -> dict[str, float | None]:
    """An error as the fields `name` of a CSV file, empty ones for none."""
    spread = error._asdict() if error else dict.fromkeys(Measured._fields)
    return {f"{name} {part}": number for part, number in spread.items()}


def scale_text(scale: int | Sequence[int]) -> str:
    """S as the paper prints it: "256" or "[256;512]"."""
    low, high = scale if isinstance(scale, Sequence) else (scale, scale)
    return str(low) if low == high else f"[{low};{high}]"


def scales_text(scales: int | Sequence[int]) -> str:
    """Every Q: "256" or "224, 256, 288"."""
    return ", ".join(map(str, scales)) if isinstance(scales, Sequence) else str(scales)
