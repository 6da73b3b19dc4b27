"""hydra/launcher=local: the jobs of a multirun on the devices of this machine."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import joblib

from vggsuite import cli
from vggsuite.errors import UserError
from vggsuite.signals import handling

from .jobs import Job, JobLauncher, Outcome, log

GPU, CPU = "GPU", "CPU slot"
VISIBLE = "CUDA_VISIBLE_DEVICES"
LOG_FILE = "console.log"
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
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
        self.all: dict[str, list[str]] = {}  # the devices of each kind
        self.free: dict[str, list[str]] = {}
        self.running: dict[int, Running] = {}
        # Numbers and exit codes of jobs that ended, and signals: those have to wait until nothing is half done.
        self.events: SimpleQueue[tuple[int, int] | signal.Signals] = SimpleQueue()

    def run(self, jobs: Sequence[Job]) -> Sequence[Outcome]:
        """Run the jobs to their ends. If this process is told to end, so are they, and the process exits by 128 + the
        signal; they are killed if it is told again.

        Raises:
            UserError: before any of them starts, for one that asks for more than there is.
        """
        self.all = {GPU: self.gpu_ids(jobs), CPU: self.slots()}
        self.free = {kind: list(devices) for kind, devices in self.all.items()}
        for job in jobs:
            check(job, self.kind(job), len(self.all[self.kind(job)]))
        log.info("%d jobs, for %d GPUs and %d slots of the CPU", len(jobs), len(self.all[GPU]), len(self.all[CPU]))
        with handling(ENDING, lambda signum, frame: self.events.put(signal.Signals(signum))):
            try:
                outcomes = self.run_all(deque(jobs))
            except BaseException:
                self.kill()
                raise
        return [outcomes[job.number] for job in jobs]

    def run_all(self, waiting: deque[Job]) -> dict[int, Outcome]:
        """Start jobs as devices become free, and return what became of each, by its number."""
        outcomes: dict[int, Outcome] = {}
        told: signal.Signals | None = None
        while self.running or (waiting and not told):
            while waiting and not told and waiting[0].num_devices <= len(self.free[self.kind(waiting[0])]):
                self.start(waiting.popleft())
            event = self.events.get()
            if isinstance(event, signal.Signals):
                self.kill() if told else self.stop()
                told = event
                continue
            number, code = event
            ended = self.running.pop(number)
            self.free[self.kind(ended.job)] += ended.devices
            outcomes[number] = outcome_of(ended.job, code)
            log.info("%s %s", ended.job.title, outcomes[number])
        if told:
            sys.exit(128 + told)
        return outcomes

    def kind(self, job: Job) -> str:
        """On which kind of device a job runs."""
        return GPU if job.on_gpu(auto=bool(self.all[GPU])) else CPU

    def gpu_ids(self, jobs: Sequence[Job]) -> list[str]:
        """The ids of the GPUs to use, if any job may want one."""
        if all(job.accelerator == "cpu" for job in jobs):
            return []
        there = visible_gpus()
        if self.gpus == "auto":
            return there
        listed = isinstance(self.gpus, Sequence) and not isinstance(self.gpus, str)  # a ListConfig is no list
        if not listed and (type(self.gpus) is not int or self.gpus < 0):
            raise UserError(
                f"hydra.launcher.gpus={self.gpus} is unknown; allowed: auto, a number of them, or a list of ids."
            )
        ids = list(map(str, self.gpus)) if listed else there[: self.gpus]
        if len(ids) < (0 if listed else self.gpus) or not set(ids) <= set(there) or len(set(ids)) < len(ids):
            raise UserError(
                f"hydra.launcher.gpus={self.gpus} asks for more, or others, than the {len(there)} GPU(s) here "
                f"({', '.join(there) or 'none'}); allowed: up to {len(there)}, a list of some of them, or auto."
            )
        return ids

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
        """Of a job: this process's, less what is of this process alone, with the devices that it may see and its share
        of the cores, for threads and for workers, unless that is set already."""
        own = {name: value for name, value in os.environ.items() if not OF_OTHER_LAUNCHERS.fullmatch(name)}
        own.pop(cli.FULL_ERROR, None)  # makes a job print Hydra's tracebacks
        share = str(max(1, joblib.cpu_count() * len(devices) // len(self.all[kind])))
        cores = {"OMP_NUM_THREADS": share, "LOKY_MAX_CPU_COUNT": share}
        return cores | own | {VISIBLE: ",".join(devices) if kind == GPU else "", "PYTHONUNBUFFERED": "1"}

    def wait_for(self, job: Job, process: subprocess.Popen[str]) -> None:
        """Pass on what a job writes until it ends, and end what it left behind: others shall have its devices."""
        reader = threading.Thread(target=pass_on, args=(job, process), daemon=True)
        reader.start()
        code = process.wait()
        kill_group(process)
        reader.join(SECONDS_TO_READ_ON)
        self.events.put((job.number, code))

    def stop(self) -> None:
        """Tell the jobs that run to end."""
        log.info("Ending %d jobs, which save their state; once more kills them", len(self.running))
        for running in self.running.values():
            running.process.terminate()

    def kill(self) -> None:
        """End the jobs that run, with all their processes."""
        for running in self.running.values():
            kill_group(running.process)


def kill_group(process: subprocess.Popen[str]) -> None:
    """End the processes that a job has started, and itself, if they still are."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def visible_gpus() -> list[str]:
    """The ids of the GPUs that this process may use."""
    if VISIBLE in os.environ:
        names = [name.strip() for name in os.environ[VISIBLE].split(",")]
        return [name for name in names if name not in ("", "-1", "NoDevFiles")]
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


def outcome_of(job: Job, code: int) -> Outcome:
    """What became of a job that ended with exit code `code`."""
    if code == 0:
        return Outcome()
    failure = f"exit code {code}" if code > 0 else f"killed by {signal.Signals(-code).name}"
    return Outcome(failure, job.folder / LOG_FILE if job.folder else None)


def pass_on(job: Job, process: subprocess.Popen[str]) -> None:
    """Print each line that a job writes, with its number, and keep them in its folder."""
    assert process.stdout is not None
    for line in process.stdout:
        with suppress(OSError):  # nobody reads it any more, but the job goes on
            print(f"#{job.number}  {line}", end="", flush=True)
        with suppress(OSError):  # as where the disk is full: that is the job's to tell
            if job.folder:
                job.folder.mkdir(parents=True, exist_ok=True)
                with (job.folder / LOG_FILE).open("a") as file:
                    file.write(line)
