"""Runs tasks in stages, each after those that it needs, through a launcher."""

import logging
from collections import Counter
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig

from hydra_plugins.vggsuite_launchers.jobs import Job, JobLauncher, make_job
from vggsuite.ablation.tasks import Key, Task
from vggsuite.config import PROJECT_ROOT
from vggsuite.errors import UserError

log = logging.getLogger(__name__)
ATTEMPTS = 2
LAUNCHERS = ("local", "slurm")


def run_stages(tasks: Sequence[Task], launcher: JobLauncher) -> None:
    """Run the tasks that are not finished: in each stage all that need nothing unfinished, those that failed in the
    one before once more.

    Raises:
        UserError: at the end, naming those that failed, and those that did not start for want of them.
    """
    unmade = {task.makes: task for task in tasks if not task.is_finished()}
    log.info("%d of %d tasks are finished", len(tasks) - len(unmade), len(tasks))
    attempts: Counter[Key] = Counter()
    told: dict[Key, str] = {}
    numbers = count()
    while stage := [
        task for key, task in unmade.items() if attempts[key] < ATTEMPTS and not task.needs & unmade.keys()
    ]:
        log.info("Stage: %s", ", ".join(f"{task.name}{' again' * attempts[task.makes]}" for task in stage))
        outcomes = launcher.run([job_of(task, next(numbers)) for task in stage])
        for task, outcome in zip(stage, outcomes, strict=True):
            attempts[task.makes] += 1
            told[task.makes] = str(outcome) if outcome.failure else "left no record"
            if task.is_finished():
                del unmade[task.makes]
    if unmade:
        failed = [f"{task.name} {told[key]}" for key, task in unmade.items() if key in told]
        held_up = [task.name for key, task in unmade.items() if key not in told]
        rest = f"; not started for want of them: {', '.join(held_up)}" if held_up else ""
        raise UserError(f"{len(failed)} of {len(tasks)} tasks failed twice: {'; '.join(failed)}{rest}.")


def job_of(task: Task, number: int) -> Job:
    """The job of a task. A training or a transfer has a folder of its own."""
    own = task.script in ("train.py", "transfer.py") or task.words[0] == "train"
    folder = Path(task.makes[0]) if own else None
    script = PROJECT_ROOT / "src" / task.script
    trainer = task.cfg.get("trainer", {})
    return make_job(number, name=task.name, script=script, words=task.words, folder=folder, trainer=trainer)


def make_launcher(name: str, settings: DictConfig) -> JobLauncher:
    """The launcher of that name, with its settings.

    Raises:
        UserError: for one that cannot run tasks.
    """
    if name not in LAUNCHERS:
        raise UserError(
            f"hydra/launcher={name} runs sweeps alone; allowed here: "
            f"{', '.join(f'hydra/launcher={launcher}' for launcher in LAUNCHERS)}."
        )
    launcher: JobLauncher = instantiate(settings, _convert_="all")
    return launcher
