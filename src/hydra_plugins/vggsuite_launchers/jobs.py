"""What the launchers share: a job of a multirun is the command that a person would type for it alone."""

import logging
import sys
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from vggsuite.errors import UserError

log = logging.getLogger(__name__)


TRAINS = ("train", "--config-name=localise_train")  # a command line of localise.py that does


@dataclass(frozen=True)
class Job:
    """A command line, and what it asks of machines.

    Attributes:
        number: of its lines.
        name: what tells it from them.
        script: the entry point.
        words: what follows it on the command line.
        folder: of its own, None for a command that has none.
        accelerator: auto, cpu or gpu.
        num_devices: of each node.
        num_nodes: that it runs on.
    """

    number: int
    name: str
    script: Path
    words: Sequence[str]
    folder: Path | None
    accelerator: str
    num_devices: int
    num_nodes: int

    @property
    def title(self) -> str:
        return f"#{self.number} {self.name}"

    @property
    def num_processes(self) -> int:
        """How many on each node others have to start: a training runs in one for each device, other commands start
        theirs themselves."""
        trains = self.script.name == "train.py" or (self.script.name == "localise.py" and self.words[0] in TRAINS)
        return self.num_devices if trains else 1

    def on_gpu(self, *, auto: bool) -> bool:
        """Whether it computes on GPUs; `auto` tells what the accelerator of that name means."""
        return self.accelerator == "gpu" or (self.accelerator == "auto" and auto)

    @property
    def command(self) -> list[str]:
        return [sys.executable, str(self.script), *self.words]


def make_job(
    number: int,
    *,
    name: str,
    script: Path,
    words: Sequence[str],
    folder: Path | None,
    trainer: Mapping[str, Any],
) -> Job:
    """The job of a command whose config asks Lightning's Trainer for this; one without a trainer computes on the CPU.

    Raises:
        UserError: for numbers of devices or nodes that are none.
    """
    wanted: dict[str, Any] = {"accelerator": "cpu", "devices": 1, "num_nodes": 1} | dict(trainer)
    for count in ("devices", "num_nodes"):
        if type(wanted[count]) is not int or wanted[count] < 1:
            raise UserError(f"trainer.{count}={wanted[count]} is no count; allowed: 1 or more (trainer.{count}=1).")
    return Job(number, name, script, words, folder, wanted["accelerator"], wanted["devices"], wanted["num_nodes"])


@dataclass(frozen=True)
class Outcome:
    """What became of a job: why it failed, None if it did not, and the log that tells more, if there is one."""

    failure: str | None = None
    log: Path | None = None

    def __str__(self) -> str:
        where = f", see {self.log}" if self.log else ""
        return f"FAILED ({self.failure}{where})" if self.failure else "is done"


class JobLauncher(Launcher):
    """Runs each job as a command of its own; one that fails leaves the others alone."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before `launch`."""
        self.hydra_context, self.config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all jobs and return what Hydra wants to know of each, in order.

        Raises:
            UserError: that names those that failed, after all have ended; before, where there is none to run.
        """
        if not job_overrides:
            words = list(self.config.hydra.overrides.task)
            parsed = OverridesParser.create(self.hydra_context.config_loader).parse_overrides(words)
            raise no_jobs([each for each in parsed if each.is_sweep_override() and not [*each.sweep_string_iterator()]])
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        configs = [
            self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
            for overrides in job_overrides
        ]
        shared = set.intersection(*map(set, job_overrides)) if len(job_overrides) > 1 else set()
        jobs = [
            job_of(cfg, overrides, number, shared)
            for number, (cfg, overrides) in enumerate(zip(configs, job_overrides, strict=True), initial_job_idx)
        ]
        outcomes = self.run(jobs)
        if any(outcome.failure for outcome in outcomes):
            raise error_of(jobs, outcomes)
        return [job_return(*each) for each in zip(job_overrides, configs, strict=True)]

    @abstractmethod
    def run(self, jobs: Sequence[Job]) -> Sequence[Outcome]:
        """Run the jobs to their ends."""


def job_of(cfg: DictConfig, overrides: Sequence[str], number: int, shared: set[str]) -> Job:
    """A job of a multirun: the command that a person would type for it alone. Its name tells what is not `shared`."""
    with open_dict(cfg):
        cfg.hydra.job.id, cfg.hydra.job.num = str(number), number
    HydraConfig.instance().set_config(cfg)  # by which the folder's name is resolved
    subfolder = str(cfg.hydra.sweep.subdir)
    folder = None if subfolder == "." else Path(cfg.hydra.sweep.dir, subfolder).absolute()
    words = list(filter_overrides(overrides))
    name = " ".join(word for word in words if word not in shared)
    script = Path(sys.argv[0]).absolute()
    if cfg.hydra.job.config_name != script.stem:  # a command of a script that has several
        words = [f"--config-name={cfg.hydra.job.config_name}", *words]
    return make_job(number, name=name, script=script, words=words, folder=folder, trainer=cfg.get("trainer", {}))


def no_jobs(empty: Sequence[Override]) -> UserError:
    """The error for a multirun without a job, as these of its words stand for no value."""
    words = ", ".join(str(override.input_line) for override in empty) or "a setting of hydra.sweeper.params"
    return UserError(
        f"{words} stands for no value, so there is no job to run; allowed: one value or more, and glob() does not look "
        "into the folders of a group: list what is in them (experiment=table3/a,table3/b)."
    )


def error_of(jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> UserError:
    """The error that names the jobs that failed."""
    failed = [f"`{job.title}` {outcome}" for job, outcome in zip(jobs, outcomes, strict=True) if outcome.failure]
    return UserError(f"{len(failed)} of {len(jobs)} jobs failed: {'; '.join(failed)}.")


def job_return(overrides: Sequence[str], cfg: DictConfig) -> JobReturn:
    """What Hydra wants to know of a job that is done."""
    result = JobReturn(overrides=overrides, cfg=cfg, task_name=cfg.hydra.job.name)
    result.status = JobStatus.COMPLETED
    return result
