"""A Hydra launcher that runs every job of a multirun as a command of its own, several at a time."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import joblib
from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from vggsuite.errors import UserError

log = logging.getLogger(__name__)


class ProcessLauncher(Launcher):
    """Runs each job as the single run that a person would type, `num_jobs` at a time.

    A job has its process, memory and random state to itself; one that fails leaves the others alone. The cores are
    shared out between the jobs that run at once, by OMP_NUM_THREADS, unless that is set already.
    """

    def __init__(self, num_jobs: int) -> None:
        if num_jobs < 1:
            raise UserError(f"hydra.launcher.num_jobs={num_jobs} is too few; allowed: 1 or more.")
        self.num_jobs = num_jobs
        self.running: set[subprocess.Popen[bytes]] = set()
        self.stopped = False

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before `launch`."""
        self.hydra_context, self.config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all jobs and return what became of each, in order. Hydra raises the first failure at the end."""
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        at_once = min(self.num_jobs, len(job_overrides))
        log.info("Running %d jobs, %d at a time", len(job_overrides), at_once)
        self.threads = max(1, joblib.cpu_count() // at_once)
        numbers = range(initial_job_idx, initial_job_idx + len(job_overrides))
        with ThreadPoolExecutor(at_once) as pool, exit_on_sigterm():
            try:
                return list(pool.map(self.run_job, job_overrides, numbers))
            except BaseException:  # an interrupt: end what runs, start no more
                self.stopped = True
                pool.shutdown(wait=False, cancel_futures=True)
                for process in list(self.running):
                    process.terminate()
                raise

    def run_job(self, overrides: Sequence[str], number: int) -> JobReturn:
        """Run one job to its end."""
        words = list(filter_overrides(overrides))
        log.info("#%d starts: %s", number, " ".join(words))
        process = subprocess.Popen(
            [sys.executable, str(Path(sys.argv[0]).absolute()), *words],
            env={"OMP_NUM_THREADS": str(self.threads), **child_environment()},
            stdin=subprocess.DEVNULL,
        )
        self.running.add(process)
        if self.stopped:
            process.terminate()
        try:
            code = process.wait()
        finally:
            self.running.discard(process)
        log.info("#%d %s: %s", number, "is done" if code == 0 else f"FAILED with exit code {code}", " ".join(words))
        return self.job_return(overrides, number, code)

    def job_return(self, overrides: Sequence[str], number: int, code: int) -> JobReturn:
        """What Hydra wants to know of a job that ended with exit code `code`."""
        cfg = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(cfg):
            cfg.hydra.job.id = cfg.hydra.job.num = number
        result = JobReturn(overrides=overrides, cfg=cfg, task_name=cfg.hydra.job.name)
        result.status = JobStatus.COMPLETED if code == 0 else JobStatus.FAILED
        if code != 0:
            failed = " ".join(filter_overrides(overrides))
            result.return_value = UserError(
                f"the job `{failed}` failed with exit code {code}; its own message is above."
            )
        return result


@contextmanager
def exit_on_sigterm() -> Iterator[None]:
    """Turn SIGTERM into SystemExit(143), so that the jobs are ended as well."""

    def leave(*_: object) -> None:
        sys.exit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def child_environment() -> dict[str, str]:
    """This process's environment, less what makes a child print Hydra's full tracebacks."""
    return {name: value for name, value in os.environ.items() if name != "HYDRA_FULL_ERROR"}
