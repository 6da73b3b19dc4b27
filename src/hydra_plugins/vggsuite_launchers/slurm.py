"""hydra/launcher=slurm: the jobs of a multirun as jobs of a SLURM cluster, by submitit."""

import pickle
import runpy
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from vggsuite import cli
from vggsuite.config import PROJECT_ROOT
from vggsuite.errors import UserError, last_sentence

from .jobs import Job, JobLauncher, Outcome, log

GIVE_UP_AFTER = 30  # polls in a row that SLURM does not answer


@dataclass(frozen=True)
class Command:
    """A command line that a SLURM job runs, in each of its tasks, and runs again where it was interrupted."""

    script: str
    words: Sequence[str]

    def __call__(self) -> None:
        """Run the entry point in this process, so that SLURM's signals reach it.

        Raises:
            UserError: where it fails.
        """
        sys.argv = [self.script, *self.words]
        try:
            runpy.run_path(self.script, run_name="__main__")
        except SystemExit as end:
            if isinstance(end.code, int) and 0 < end.code < 128:
                raise UserError(str(cli.told[-1]) if cli.told else f"exit code {end.code}") from end
            if end.code:  # interrupted, and queued again
                raise

    def checkpoint(self, *_: Any) -> Any:
        """What submitit queues before a time-out: the same command, which goes on from its saved state."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)


class SlurmLauncher(JobLauncher):
    """Submits jobs, those that ask for the same nodes and devices (`trainer.num_nodes`, `trainer.devices`) as one
    array, and waits for them. A job that is preempted, or comes near its time limit, saves its state, is queued again
    and goes on.

    Args:
        folder: for submitit's files and the jobs' logs, on a disk that all nodes see.
        max_num_timeout: how many times a job that reaches its time limit is queued again.
        poll_seconds: how often SLURM is asked for the jobs.
        lost_seconds: how long after SLURM has a job no more what it wrote is waited for; disks may be slow to show it.
        parameters: further ones of submitit's SLURM executor: time (minutes), partition, account, qos, constraint, mem,
            cpus_per_task, signal_delay_s, array_parallelism, setup, additional_parameters, ...; null leaves one out.
    """

    def __init__(
        self, folder: str, *, max_num_timeout: int, poll_seconds: float, lost_seconds: float, **parameters: Any
    ) -> None:
        self.folder, self.max_num_timeout = Path(folder), max_num_timeout
        self.poll_seconds, self.lost_seconds = poll_seconds, lost_seconds
        self.parameters = {name: value for name, value in parameters.items() if value is not None}

    def run(self, jobs: Sequence[Job]) -> Sequence[Outcome]:
        """Submit the jobs and wait for their ends. If this process is told to end, they stay.

        Raises:
            UserError: where there is no SLURM, or it refuses them.
        """
        submitted = self.submit(jobs)
        ids = arrays_of(submitted.values())
        log.info("%d jobs are SLURM's %s; logs: %s", len(jobs), ", ".join(ids), self.folder)
        try:
            outcomes = self.wait(jobs, submitted)
        except BaseException:
            log.info("The jobs stay with SLURM; `scancel %s` ends them", " ".join(ids))
            raise
        return [outcomes[job.number] for job in jobs]

    def submit(self, jobs: Sequence[Job]) -> dict[int, Any]:
        """submitit's jobs, by number."""
        submitit = import_submitit()
        submitted: dict[int, Any] = {}
        ordered = sorted(jobs, key=resources)
        for wanted, group in groupby(ordered, key=resources):
            alike = list(group)
            executor = submitit.SlurmExecutor(self.folder / "%j", max_num_timeout=self.max_num_timeout)
            try:
                executor.update_parameters(**self.slurm_parameters(*wanted))
                commands = [Command(str(job.script), job.words) for job in alike]
                with redirect_stderr(None), executor.batch():  # submitit prints what it raises, too
                    handles = [executor.submit(command) for command in commands]
            except (ValueError, submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError) as error:
                told = " ".join(str(error).split())
                others = f" ({', '.join(arrays_of(submitted.values()))} are queued already)" if submitted else ""
                raise UserError(
                    f"SLURM did not take the jobs ({told}); see hydra.launcher in --help{others}."
                ) from error
            submitted |= {job.number: handle for job, handle in zip(alike, handles, strict=True)}
        return submitted

    def slurm_parameters(self, num_nodes: int, num_devices: int, num_tasks: int, gpu: bool) -> dict[str, Any]:
        """What submitit's executor is told of jobs that want as much."""
        source = shlex.quote(str(PROJECT_ROOT / "src"))
        setup = [f"export PYTHONPATH={source}${{PYTHONPATH:+:$PYTHONPATH}}", *self.parameters.get("setup", [])]
        parameters = {"job_name": "vggsuite"} | self.parameters | {"nodes": num_nodes, "ntasks_per_node": num_tasks}
        if gpu:
            parameters["gpus_per_node"] = num_devices
        if "cpus_per_task" in self.parameters:  # those of a device; srun does not take them over from sbatch
            parameters["cpus_per_task"] = self.parameters["cpus_per_task"] * num_devices // num_tasks
            setup.insert(0, "export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK")
        return parameters | {"setup": setup}

    def wait(self, jobs: Sequence[Job], submitted: dict[int, Any]) -> dict[int, Outcome]:
        """What became of each job, by its number. SLURM's queue is asked, not its accounts, which many do without."""
        outcomes: dict[int, Outcome] = {}
        missed: dict[int, float] = {}  # since when
        while True:
            queued = queue(arrays_of(submitted.values()), self.poll_seconds)
            for job in (job for job in jobs if job.number not in outcomes):
                handle, now = submitted[job.number], time.monotonic()
                if handle.job_id in queued:
                    missed.pop(job.number, None)
                elif handle.paths.result_pickle.exists():
                    outcomes[job.number] = ended(handle)
                elif now - missed.setdefault(job.number, now) >= self.lost_seconds:
                    outcomes[job.number] = Outcome("it was cancelled, killed or timed out", handle.paths.stderr)
                if job.number in outcomes:
                    log.info("%s %s", job.title, outcomes[job.number])
            if len(outcomes) == len(jobs):
                return outcomes
            time.sleep(self.poll_seconds)


def import_submitit() -> Any:
    """submitit, on a machine that has SLURM.

    Raises:
        UserError: where either is not there.
    """
    if shutil.which("sbatch") is None or shutil.which("srun") is None:
        raise UserError(
            "hydra/launcher=slurm needs SLURM's sbatch and srun, which this machine lacks; type it on a login node of "
            "a SLURM cluster, or hydra/launcher=local here."
        )
    try:
        import submitit
    except ImportError as error:
        raise UserError("hydra/launcher=slurm needs submitit; type: pip install -e '.[slurm]'.") from error
    return submitit


def resources(job: Job) -> tuple[int, int, int, bool]:
    """Nodes, devices and tasks on each, and whether the devices are GPUs: `auto` means GPUs on a cluster."""
    return job.num_nodes, job.num_devices, job.num_processes, job.on_gpu(auto=True)


def arrays_of(handles: Iterable[Any]) -> list[str]:
    """The ids of the arrays that submitit's jobs are of."""
    return sorted({handle.job_id.partition("_")[0] for handle in handles})


def queue(arrays: Sequence[str], poll_seconds: float) -> set[str]:
    """The ids of the jobs of these arrays that SLURM has in its queue or runs.

    Raises:
        UserError: where it keeps failing; a busy one does so now and then.
    """
    asked = ["squeue", "--noheader", "--array", "--format=%i", f"--jobs={','.join(arrays)}"]
    for _ in range(GIVE_UP_AFTER):
        answer = subprocess.run(asked, capture_output=True, text=True)
        if answer.returncode == 0 or "Invalid job id" in answer.stderr:  # it forgets jobs that have ended
            return set(answer.stdout.split())
        time.sleep(poll_seconds)
    raise UserError(f"SLURM's queue cannot be read ({' '.join(answer.stderr.split())}); repeat the command later.")


def ended(handle: Any) -> Outcome:
    """What became of a job that left its result."""
    with handle.paths.result_pickle.open("rb") as file:
        how, told = pickle.load(file)
    if how == "success":
        return Outcome()
    return Outcome(last_sentence(told).rstrip("."), handle.paths.stderr)
