"""Whether a run that was repeated came out as it did before, and what is different where it did not."""

from collections.abc import Iterator
from pathlib import Path

import torch
from tabulate import tabulate

from vggsuite.files import file_digest
from vggsuite.finished_run import load_checkpoint
from vggsuite.results.record import Record, read_record
from vggsuite.results.run_folder import METRICS_FILE, leaves

Row = tuple[str, str, str]  # what, as it was then, as it is now


def compare(then: Path, now: Path) -> bool:
    """Print what is equal in the finished runs of two folders, and what may be the reason where something is not;
    return whether the weights are equal bit for bit, and all that was logged and measured with them."""
    records = read_record(then), read_record(now)
    difference = largest_difference(then, now)
    weights = "are equal bit for bit" if difference == 0 else f"differ by up to {difference:.3g}"
    logged, again = (file_digest(folder / METRICS_FILE)[:12] for folder in (then, now))
    outcome = [(f"SHA-256 of {METRICS_FILE}", logged, again), *errors(*records)]
    print(f"{then} was repeated in {now}: the weights {weights}.")
    print(tabulate(outcome, ["", "then", "now"], disable_numparse=True))
    same = difference == 0 and all(old == new for _, old, new in outcome)
    if reasons := list(differences(*records)):
        print(f"\nWhat else is different{'' if same else ', and may be the reason'}:")
        print(tabulate(reasons, ["", "then", "now"], disable_numparse=True))
    return same


def largest_difference(then: Path, now: Path) -> float:
    """The largest absolute difference of a weight of two runs' best checkpoints; infinite for other nets."""
    old, new = (load_checkpoint(folder).weights for folder in (then, now))
    if {name: value.shape for name, value in old.items()} != {name: value.shape for name, value in new.items()}:
        return float("inf")
    if all(torch.equal(value, new[name]) for name, value in old.items()):
        return 0.0
    return max(float((value.double() - new[name].double()).abs().max()) for name, value in old.items())


def errors(then: Record, now: Record) -> list[Row]:
    """The errors of two runs."""
    names = sorted(name for name in then.metrics if name.endswith("_error"))
    return [
        (f"{name} (%)", f"{then.metrics[name]:.4f}", f"{now.metrics.get(name, float('nan')):.4f}") for name in names
    ]


def differences(then: Record, now: Record) -> Iterator[Row]:
    """In what two runs differ that may make their results differ: images, the weights they began with, hardware,
    versions and code."""
    described = [
        leaves({"data": run.data, "init": run.init, "environment": run.environment, "devices": run.cost.get("devices")})
        for run in (then, now)
    ]
    for key in sorted(described[0].keys() | described[1].keys()):
        old, new = (str(each.get(key)) for each in described)
        if old != new and key not in ("environment.started", "init.started", "init.run"):
            yield key, old, new
