"""What the launchers share: a job of a multirun is the command that a person would type for it alone."""

import logging
import sys
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from vggsuite.errors import UserError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One job of a multirun.

    Attributes:
        number: its place, from 0.
        name: what tells it from the others of its multirun.
        overrides: as Hydra gave them.
        cfg: its config, with Hydra's own.
        folder: of its own, None for a command that has none.
    """

    number: int
    name: str
    overrides: Sequence[str]
    cfg: DictConfig
    folder: Path | None

    @property
    def words(self) -> list[str]:
        """What follows the script's name on its command line."""
        return list(filter_overrides(self.overrides))

    @property
    def command(self) -> list[str]:
        return [sys.executable, str(Path(sys.argv[0]).absolute()), *self.words]

    @property
    def num_devices(self) -> int:
        """How many devices it wants of a node."""
        return int(OmegaConf.select(self.cfg, "trainer.devices", default=1))

    @property
    def num_nodes(self) -> int:
        return int(OmegaConf.select(self.cfg, "trainer.num_nodes", default=1))

    @property
    def accelerator(self) -> str:
        """auto, cpu or gpu; a command without a trainer computes on the CPU."""
        return str(OmegaConf.select(self.cfg, "trainer.accelerator", default="cpu"))


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
        """Run all jobs and return what became of each, in order. At the end Hydra raises the error that names those
        that failed."""
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        shared = set.intersection(*map(set, job_overrides)) if len(job_overrides) > 1 else set()
        jobs = [self.job(overrides, initial_job_idx + place, shared) for place, overrides in enumerate(job_overrides)]
        outcomes = self.run(jobs)
        failed = [f"`{job.name}` {outcome}" for job, outcome in zip(jobs, outcomes, strict=True) if outcome.failure]
        error = UserError(f"{len(failed)} of {len(jobs)} jobs failed: {'; '.join(failed)}.")
        errors = [error if outcome.failure else None for outcome in outcomes]
        return [job_return(job, failure) for job, failure in zip(jobs, errors, strict=True)]

    @abstractmethod
    def run(self, jobs: Sequence[Job]) -> Sequence[Outcome]:
        """Run the jobs to their ends."""

    def job(self, overrides: Sequence[str], number: int, shared: set[str]) -> Job:
        cfg = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(cfg):
            cfg.hydra.job.id, cfg.hydra.job.num = str(number), number
        HydraConfig.instance().set_config(cfg)  # by which the folder's name is resolved
        subfolder = str(cfg.hydra.sweep.subdir)
        folder = None if subfolder == "." else Path(cfg.hydra.sweep.dir, subfolder).absolute()
        own = [override for override in filter_overrides(overrides) if override not in shared]
        return Job(number, " ".join([f"#{number}", *own]), overrides, cfg, folder)


def job_return(job: Job, error: UserError | None) -> JobReturn:
    """What Hydra wants to know of a job that ended."""
    result = JobReturn(overrides=job.overrides, cfg=job.cfg, task_name=job.cfg.hydra.job.name)
    result.status = JobStatus.FAILED if error else JobStatus.COMPLETED
    result.return_value = error
    return result
