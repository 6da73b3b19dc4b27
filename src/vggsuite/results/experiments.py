"""The experiments behind the rows of Tables 3 to 6, from the paper's own rows: one config file below conf/experiment/
for each."""

from collections.abc import Mapping, Sequence
from typing import Any

from vggsuite.protocol import Method
from vggsuite.results.paper import paper

METHODS = {"dense": Method.dense, "multi-crop": Method.multi_crop, "multi-crop & dense": Method.both}


def net_and_scale(net: str, train_s: int | Sequence[int]) -> str:
    """Net and S as experiments are named: "d_multi" for D and S in [256, 512]."""
    suffix = {"256": "", "384": "_384"}.get(str(train_s), "_multi")
    return f"{net.lower().replace('-', '_')}{suffix}"


def experiment_of(number: int, row: Mapping[str, Any]) -> str:
    """The experiment of a row of Table 3, 4, 5 or 6, as `paper.yaml` has it."""
    match number:
        case 3 | 4:
            name = net_and_scale(row["model"], row["train_s"])
        case 5:
            name = f"{row['model'].lower()}_{METHODS[row['method']]}"
        case 6:
            name = "submission" if row["name"] == "ILSVRC submission" else str(METHODS[row["evaluation"]])
        case _:
            raise ValueError(f"Table {number} has no experiments of its own")
    return f"table{number}/{name}"


def printed_rows(number: int) -> list[dict[str, Any]]:
    """The rows of Table `number` as the paper printed them."""
    (key,) = (key for key in paper() if key.startswith(f"table_{number}_"))
    return paper()[key]["rows"]


def evaluations_of_runs() -> dict[str, tuple[str, Method]]:
    """The experiments of Tables 4 and 5: the run of Table 3 that each evaluates at several scales, and how."""
    found = {experiment_of(4, row): (experiment_of(3, row), Method.dense) for row in printed_rows(4)}
    for row in printed_rows(5):
        found[experiment_of(5, row)] = (f"table3/{row['model'].lower()}_multi", METHODS[row["method"]])
    return found


def paper_top1(experiment: str) -> float:
    """The top-1 error that the paper printed for an experiment, in percent."""
    number = int(experiment.removeprefix("table").partition("/")[0])
    (row,) = (row for row in printed_rows(number) if experiment_of(number, row) == experiment)
    return row["top1"] if "top1" in row else row["top1_val"]
