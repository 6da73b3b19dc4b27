"""Signals that tell a run to stop, and SLURM jobs that are queued again after one."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

from vggsuite.signals import handling
from vggsuite.training.processes import is_first_process

# USR1 and USR2 are SLURM's, before it stops a job; HUP is that of a terminal that is closed.
STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class Interrupted(BaseException):
    """The run was told to stop by `signum`. No `Exception`, so that nobody takes it for an error of theirs."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signum = signal.Signals(signum)


@contextmanager
def interruptible(again: str = "the same command") -> Iterator[None]:
    """Within the context, a signal that tells the run to stop raises `Interrupted`, at once where nothing else handles
    it; with that the process exits, by 128 + the signal, and says what goes `again` from there. A SLURM job is queued
    again first, unless it is being cancelled."""
    with handling(STOPPING, interrupt) as before:
        try:
            yield
        except Interrupted as stopped:
            if is_first_process():
                print(f"{stopped}; {again} goes on from there", file=sys.stderr, flush=True)
                for signum in before:  # SLURM ends a job that is queued again, by SIGTERM, perhaps while it is asked to
                    signal.signal(signum, signal.SIG_IGN)
                requeue(stopped.signum, before[stopped.signum])
            raise SystemExit(128 + stopped.signum) from stopped


def interrupt(signum: int, frame: FrameType | None) -> NoReturn:
    raise Interrupted(signum)


def requeue(signum: signal.Signals, handler: Any) -> None:
    """Have the SLURM job of this process, if it is one, queued again: by submitit's own `handler`, where that started
    it, so that it counts the time-outs; else by SLURM, which does it by itself only for a job that does not stop.

    SIGTERM warns a running job that it is to be preempted; one that is being cancelled does not run any more.
    """
    if signum in (signal.SIGINT, signal.SIGHUP):
        return
    if signum != signal.SIGTERM and callable(handler):
        handler(signum, None)
    elif job := slurm_job(os.environ):
        try:
            show = ["scontrol", "show", "job", "--oneliner", job]
            shown = subprocess.run(show, capture_output=True, text=True, check=True)
            if " JobState=RUNNING " in shown.stdout:
                subprocess.run(["scontrol", "requeue", job], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"SLURM does not queue job {job} again ({error}); submit it once more", file=sys.stderr, flush=True)


def slurm_job(environment: Mapping[str, str]) -> str | None:
    """The id of this process's SLURM job. The number of an array's last job stands for the whole array, too."""
    if "SLURM_ARRAY_TASK_ID" in environment:
        return f"{environment['SLURM_ARRAY_JOB_ID']}_{environment['SLURM_ARRAY_TASK_ID']}"
    return environment.get("SLURM_JOB_ID")


def was_requeued(environment: Mapping[str, str]) -> bool:
    """Whether this is not the first time that this process's SLURM job runs."""
    return "SLURM_RESTART_COUNT" in environment
