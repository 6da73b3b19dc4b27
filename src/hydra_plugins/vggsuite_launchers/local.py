"""hydra/launcher=local: the jobs of a multirun on the devices of this machine."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import Queue
from typing import Any

import joblib

from vggsuite.errors import UserError

from .jobs import Job, JobLauncher, Outcome, log

GPU, CPU = "GPU", "CPU slot"
VISIBLE = "CUDA_VISIBLE_DEVICES"
LOG_FILE = "console.log"
# Of the launcher's own process, if it is itself one of several: a job is none of them.
OF_OTHER_LAUNCHERS = re.compile(
    r"SLURM_\w+|TORCHELASTIC_\w+|((LOCAL|GROUP|ROLE)_)?(RANK|WORLD_SIZE)|NODE_RANK|ROLE_NAME|MASTER_(ADDR|PORT)"
)
SECONDS_TO_READ_ON = 5  # what an ended job has written, or a process that it left behind writes


@dataclass(frozen=True)
class Running:
    """A job under way, and the devices that it holds."""

    job: Job
    process: subprocess.Popen[str]
    devices: list[str]


class LocalLauncher(JobLauncher):
    """Runs jobs as processes of this machine, in their order, as soon as the devices that each asks for
    (`trainer.devices`) are free. A job on GPUs sees its own alone; jobs on the CPU share out its cores.

    Args:
        gpus: those to use: auto for all, a number of them, or a list of ids.
        cpu_slots: how many devices the CPU is; auto for one for each core.
    """

    def __init__(self, gpus: Any, cpu_slots: Any) -> None:
        self.gpus, self.cpu_slots = gpus, cpu_slots
        self.running: dict[int, Running] = {}
        self.ended: Queue[tuple[int, int]] = Queue()  # numbers and exit codes of jobs

    def run(self, jobs: Sequence[Job]) -> Sequence[Outcome]:
        """Run the jobs to their ends; if this process is told to end, so are they.

        Raises:
            UserError: before any of them starts, for one that asks for more than there is.
        """
        gpus, slots = self.gpu_ids(jobs), self.slots()
        self.free = {GPU: gpus, CPU: slots}
        self.with_gpus = bool(gpus)
        for job in jobs:
            check(job, self.kind(job), len(self.free[self.kind(job)]))
        on_cpu = sum(self.kind(job) == CPU for job in jobs)
        self.threads = max(1, joblib.cpu_count() // max(1, min(on_cpu, len(slots))))
        log.info("%d jobs, for %d GPUs and %d slots of the CPU", len(jobs), len(gpus), len(slots))
        with exit_on_signals():
            try:
                outcomes = self.run_all(deque(jobs))
            except (KeyboardInterrupt, SystemExit):
                self.stop()
                raise
        return [outcomes[job.number] for job in jobs]

    def run_all(self, waiting: deque[Job]) -> dict[int, Outcome]:
        """Start jobs as devices become free, and return what became of each, by its number."""
        outcomes: dict[int, Outcome] = {}
        while waiting or self.running:
            while waiting and waiting[0].num_devices <= len(self.free[self.kind(waiting[0])]):
                self.start(waiting.popleft())
            number, code = self.ended.get()
            ended = self.running.pop(number)
            self.free[self.kind(ended.job)] += ended.devices
            outcomes[number] = outcome(ended.job, code)
            log.info("%s %s", ended.job.title, outcomes[number])
        return outcomes

    def kind(self, job: Job) -> str:
        """On which kind of device a job runs."""
        return GPU if job.accelerator == "gpu" or (job.accelerator == "auto" and self.with_gpus) else CPU

    def gpu_ids(self, jobs: Sequence[Job]) -> list[str]:
        """The ids of the GPUs to use, if any job may want one."""
        if all(job.accelerator == "cpu" for job in jobs):
            return []
        if isinstance(self.gpus, Sequence) and not isinstance(self.gpus, str):  # a ListConfig is no list
            return list(map(str, self.gpus))
        there = visible_gpus()
        if self.gpus == "auto":
            return there
        if type(self.gpus) is not int or self.gpus < 0:
            raise UserError(
                f"hydra.launcher.gpus={self.gpus} is unknown; allowed: auto, a number of them, or a list of ids."
            )
        if self.gpus > len(there):
            raise UserError(
                f"hydra.launcher.gpus={self.gpus} asks for more than the {len(there)} GPU(s) of this machine; allowed: "
                f"up to that many (hydra.launcher.gpus={len(there)}), or auto."
            )
        return there[: self.gpus]

    def slots(self) -> list[str]:
        """The CPU's, named by their numbers."""
        number = joblib.cpu_count() if self.cpu_slots == "auto" else self.cpu_slots
        if type(number) is not int or number < 1:
            raise UserError(f"hydra.launcher.cpu_slots={number} is no count; allowed: auto, or 1 or more.")
        return list(map(str, range(number)))

    def start(self, job: Job) -> None:
        """Start a job on the first of the free devices."""
        kind = self.kind(job)
        devices = [self.free[kind].pop(0) for _ in range(job.num_devices)]
        log.info("%s starts on %s %s", job.title, kind, ", ".join(devices))
        process = subprocess.Popen(
            job.command,
            env=self.environment(kind, devices),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,  # a terminal's Ctrl-C reaches us alone, and we tell the job
        )
        self.running[job.number] = Running(job, process, devices)
        threading.Thread(target=self.wait_for, args=(job, process), daemon=True).start()

    def environment(self, kind: str, devices: Sequence[str]) -> dict[str, str]:
        """Of a job: this process's, less what is of this process alone, with the devices that it may see."""
        own = {name: value for name, value in os.environ.items() if not OF_OTHER_LAUNCHERS.fullmatch(name)}
        own.pop("HYDRA_FULL_ERROR", None)  # makes a job print Hydra's tracebacks
        if kind == GPU:
            return own | {VISIBLE: ",".join(devices), "PYTHONUNBUFFERED": "1"}
        return {"OMP_NUM_THREADS": str(self.threads)} | own | {VISIBLE: "", "PYTHONUNBUFFERED": "1"}

    def wait_for(self, job: Job, process: subprocess.Popen[str]) -> None:
        """Pass on what a job writes, until it ends."""
        reader = threading.Thread(target=pass_on, args=(job, process), daemon=True)
        reader.start()
        code = process.wait()
        reader.join(SECONDS_TO_READ_ON)
        self.ended.put((job.number, code))

    def stop(self) -> None:
        """End the jobs that run; at a second Ctrl-C, without more ado."""
        log.info("Ending %d jobs, which save their state; Ctrl-C ends them at once", len(self.running))
        for running in self.running.values():
            running.process.terminate()
        try:
            while self.running:
                number, _ = self.ended.get()
                del self.running[number]
        except KeyboardInterrupt:
            for running in self.running.values():
                with suppress(ProcessLookupError):
                    os.killpg(running.process.pid, signal.SIGKILL)


def visible_gpus() -> list[str]:
    """The ids of the GPUs that this process may use."""
    if VISIBLE in os.environ:
        return [name for name in os.environ[VISIBLE].split(",") if name.strip()]
    import torch

    return list(map(str, range(torch.cuda.device_count())))


def check(job: Job, kind: str, there: int) -> None:
    """Make sure that a job can ever run here.

    Raises:
        UserError: where it asks for too much.
    """
    if job.num_nodes > 1:
        raise UserError(
            f"trainer.num_nodes={job.num_nodes} cannot be had by hydra/launcher=local; allowed: 1, or "
            "hydra/launcher=slurm (docs/clusters.md)."
        )
    if job.num_devices > there:
        raise UserError(
            f"trainer.devices={job.num_devices} asks for more than the {there} {kind}(s) of hydra/launcher=local; "
            "allowed: up to that many" + ("." if kind == GPU else " (hydra.launcher.cpu_slots).")
        )


def outcome(job: Job, code: int) -> Outcome:
    """What became of a job that ended with exit code `code`."""
    if code == 0:
        return Outcome()
    failure = f"exit code {code}" if code > 0 else f"killed by {signal.Signals(-code).name}"
    return Outcome(failure, job.folder / LOG_FILE if job.folder else None)


def pass_on(job: Job, process: subprocess.Popen[str]) -> None:
    """Print each line that a job writes, with its number, and keep them in its folder."""
    assert process.stdout is not None
    for line in process.stdout:
        with suppress(BrokenPipeError):  # nobody reads it any more, but the job goes on
            print(f"#{job.number}  {line}", end="", flush=True)
        if job.folder:
            job.folder.mkdir(parents=True, exist_ok=True)
            with (job.folder / LOG_FILE).open("a") as file:
                file.write(line)


@contextmanager
def exit_on_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into SystemExit, so that the jobs are ended as well."""

    def leave(signum: int, frame: object) -> None:
        sys.exit(128 + signum)

    before = {signum: signal.signal(signum, leave) for signum in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
