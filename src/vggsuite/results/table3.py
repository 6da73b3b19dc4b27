"""Table 3: every net at one test scale, from the records of runs, beside the paper's figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vggsuite.errors import UserError
from vggsuite.results.paper import paper
from vggsuite.results.record import Record
from vggsuite.results.statistics import mean_and_sd

Runs = Mapping[Path, Record]


@dataclass(frozen=True)
class Row:
    """One row: what the paper printed, and what our runs of it say (None where there are none). Errors in percent."""

    net: str
    experiment: str
    paper_s: str
    paper_q: str
    paper_top1: float
    paper_top5: float
    s: str | None = None
    q: str | None = None
    top1: float | None = None
    top1_sd: float | None = None
    top5: float | None = None
    top5_sd: float | None = None
    num_seeds: int = 0
    parameters: int | None = None
    seconds: float | None = None
    runs: str = ""


def select(records: Runs, *, data: str, variant: str) -> dict[str, dict[Path, Record]]:
    """The runs of each of Table 3's experiments on one data set.

    Raises:
        UserError: where they are of different versions of the data set.
    """
    chosen = {
        folder: record
        for folder, record in records.items()
        if record.data["name"] == data and record.variant == variant and record.experiment.startswith("table3/")
    }
    prints: dict[str, Path] = {}
    for folder, record in chosen.items():
        prints.setdefault(record.data["fingerprint"], folder)
    if len(prints) > 1:
        first, second, *_ = prints.values()
        raise UserError(
            f"{first} and {second} were evaluated on different images, though both of data={data}; repeat one of them "
            "(rerun=true) or move it away."
        )
    names = [record.name for record in chosen.values()]
    for folder, record in chosen.items():
        if names.count(record.name) > 1:
            raise UserError(
                f"{folder} holds one of several records of {record.name}; move all but one out of the runs."
            )
    by_experiment: dict[str, dict[Path, Record]] = {}
    for folder, record in chosen.items():
        by_experiment.setdefault(record.experiment, {})[folder] = record
    return by_experiment


def outdated(selected: Mapping[str, Runs]) -> list[Record]:
    """The runs that started from a run which has been repeated since."""
    started = {record.name: record.environment["started"] for runs in selected.values() for record in runs.values()}
    return [
        record
        for runs in selected.values()
        for record in runs.values()
        if "run" in record.init and record.init["started"] != started.get(record.init["run"], record.init["started"])
    ]


def rows(selected: Mapping[str, Runs]) -> list[Row]:
    """The twelve rows in the paper's order, from what `select` returned."""
    return [fill(printed, selected) for printed in paper()["table_3_single_scale"]["rows"]]


def fill(printed: Mapping[str, Any], selected: Mapping[str, Runs]) -> Row:
    """One row of the paper with the figures of our runs of it."""
    experiment = experiment_of(printed["model"], printed["train_s"])
    row = Row(
        net=printed["model"],
        experiment=experiment,
        paper_s=scale_text(printed["train_s"]),
        paper_q=str(printed["test_q"]),
        paper_top1=printed["top1"],
        paper_top5=printed["top5"],
    )
    runs = selected.get(experiment)
    if not runs:
        return row
    records = list(runs.values())
    top1, top1_sd = mean_and_sd([record.metrics["top1_error"] for record in records])
    top5, top5_sd = mean_and_sd([record.metrics["top5_error"] for record in records])
    return replace(
        row,
        s=scale_text(records[0].train_scale),
        q=", ".join(map(str, records[0].test["scales"])),
        top1=top1,
        top1_sd=top1_sd,
        top5=top5,
        top5_sd=top5_sd,
        num_seeds=len(records),
        parameters=records[0].model["parameters"],
        seconds=mean_and_sd([record.cost["wall_seconds"] for record in records])[0],
        runs=" ".join(record.name for record in records),
    )


def experiment_of(net: str, train_s: int | Sequence[int]) -> str:
    """The experiment of a row: "table3/d_multi" for net D and S in [256, 512]."""
    suffix = {"256": "", "384": "_384"}.get(str(train_s), "_multi")
    return f"table3/{net.lower().replace('-', '_')}{suffix}"


def scale_text(scale: int | Sequence[int]) -> str:
    """S as the paper prints it: "256" or "[256;512]"."""
    low, high = scale if isinstance(scale, Sequence) else (scale, scale)
    return str(low) if low == high else f"[{low};{high}]"
