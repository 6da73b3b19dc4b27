"""The experiments behind the rows of tables, of the paper's from its own rows: one config file below conf/experiment/
for each."""

from collections.abc import Mapping, Sequence
from typing import Any

from vggsuite.protocol import Method
from vggsuite.results.paper import family, paper

FAMILY = "family"  # nets before, beside and after VGG, which Table 7 shows as well
DEGRADATION = "degradation"  # a table of ours: VGG-style nets beyond 19 layers, plain and with shortcuts
KINDS = ("plain", "shortcut")
DEPTHS = (11, 13, 16, 19, 25, 34, 56)
# Nets of others in Table 7, tested by their authors' kind of crops: the runs that are, and how.
BY_CROPS = {
    "table7/alexnet": (f"{FAMILY}/alexnet", Method.ten_crop),
    "table7/googlenet": (f"{FAMILY}/googlenet", Method.multi_crop),
}
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


def degradation_experiment(kind: str, depth: int) -> str:
    """The experiment of a net of `KINDS` and of `DEPTHS`."""
    return f"{DEGRADATION}/{kind}_{depth}"


def experiments_of(group: int | str) -> list[str]:
    """The experiments of a table of the paper, 3 to 6; of 7, tests of nets that others published; or those of `FAMILY`
    or `DEGRADATION`."""
    match group:
        case 7:
            return list(BY_CROPS)
        case _ if group == FAMILY:
            return [row["experiment"] for row in family()]
        case _ if group == DEGRADATION:
            return [degradation_experiment(kind, depth) for depth in DEPTHS for kind in KINDS]
    return list(dict.fromkeys(experiment_of(int(group), row) for row in printed_rows(int(group))))


def printed_rows(number: int) -> list[dict[str, Any]]:
    """The rows of Table `number` as the paper printed them."""
    (key,) = (key for key in paper() if key.startswith(f"table_{number}_"))
    return paper()[key]["rows"]


def evaluations_of_runs() -> dict[str, tuple[str, Method]]:
    """The experiments that evaluate runs at several scales, those of Tables 4, 5 and 7: the run of each, and how."""
    found = BY_CROPS | {experiment_of(4, row): (experiment_of(3, row), Method.dense) for row in printed_rows(4)}
    for row in printed_rows(5):
        found[experiment_of(5, row)] = (f"table3/{row['model'].lower()}_multi", METHODS[row["method"]])
    return found


def paper_top1(experiment: str) -> float | None:
    """The top-1 error that the paper printed for an experiment, in percent; None for one of ours."""
    if experiment.startswith((f"{FAMILY}/", f"{DEGRADATION}/")):
        return None
    number = int(experiment.removeprefix("table").partition("/")[0])
    (row,) = (row for row in printed_rows(number) if experiment_of(number, row) == experiment)
    return row["top1"] if "top1" in row else row["top1_val"]
