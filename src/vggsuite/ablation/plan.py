"""What would be run, as a table."""

from collections.abc import Sequence

import torch
from tabulate import tabulate

from vggsuite.ablation.estimate import NOT_ESTIMATED, Rate, rate, work
from vggsuite.ablation.stages import job_of
from vggsuite.ablation.tasks import Key, Task
from vggsuite.results.record import Record
from vggsuite.results.rendering import DASH, duration


def plan(tasks: Sequence[Task], records: Sequence[Record], *, on_cluster: bool, assumed: float | None = None) -> str:
    """The tasks with their stages, and an estimate of how long a device takes for those that are not finished.

    Args:
        tasks: what tables need, each after those that it needs.
        records: of finished runs, which tell how fast devices are.
        on_cluster: whether they will run on other machines, where `trainer.accelerator=auto` finds GPUs.
        assumed: multiply-adds a second of a device, if the user says.
    """
    auto_is_gpu = on_cluster or torch.cuda.is_available()
    stages = stage_numbers([task for task in tasks if not task.is_finished()])
    kinds = sorted({job_of(task, 0).on_gpu(auto=auto_is_gpu) for task in tasks if task.makes in stages})
    rates = {gpu: Rate(assumed, "which you assume") if assumed is not None else rate(records, gpu=gpu) for gpu in kinds}
    rows, total = [], 0.0
    for task, multiply_adds in zip(tasks, work(tasks), strict=True):
        row = [task.script, task.experiment, task.seed]
        if task.makes not in stages:
            rows.append([*row, "finished", "", ""])
            continue
        speed = rates[job_of(task, 0).on_gpu(auto=auto_is_gpu)].value
        seconds = multiply_adds / speed if speed and multiply_adds is not None else None
        total += seconds or 0.0
        told = DASH if multiply_adds is None else f"{multiply_adds / 1e12:,.0f}"
        rows.append([*row, stages[task.makes], told, duration(seconds)])
    headers = ["command", "experiment", "seed", "stage", "10^12 multiply-adds", "time on a device"]
    lines = [tabulate(rows, headers, disable_numparse=True), *(rate_text(gpu, each) for gpu, each in rates.items())]
    known = all(each.value for each in rates.values())
    beside = " beside what is not estimated" if any(task.script in NOT_ESTIMATED for task in tasks) else ""
    lines.append(
        f"{len(stages)} of {len(tasks)} would run, {duration(total) if known else 'for an unknown time'} of a device"
        f"{beside}."
    )
    return "\n".join(lines)


def stage_numbers(unfinished: Sequence[Task]) -> dict[Key, int]:
    """In which stage, from 1, each task can run: after those that it needs."""
    stages: dict[Key, int] = {}
    for task in unfinished:
        stages[task.makes] = 1 + max((stages[key] for key in task.needs & stages.keys()), default=0)
    return stages


def rate_text(gpu: bool, rate: Rate) -> str:
    """How fast a device is taken to be, and why."""
    kind = "GPU" if gpu else "CPU"
    if rate.value is None:
        return f"{kind}: {rate.told}; multiply_adds_per_second=<number> assumes a speed."
    return f"{kind}: {rate.value:.3g} multiply-adds a second, {rate.told}."
