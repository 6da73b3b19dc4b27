"""hydra/launcher=slurm on a real cluster: runs to their records, on several nodes, preempted, timed out, cancelled."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT, TINY, MakeTree, call_command, run_command
from tests.slurm.cluster import Cluster
from vggsuite.finished_run import load_checkpoint

pytestmark = pytest.mark.slurm

TRAIN = ROOT / "src/train.py"
QUICK = (
    "hydra.launcher.cpus_per_task=1",
    "hydra.launcher.poll_seconds=0.5",
    "hydra.launcher.time=30",
    "hydra.launcher.lost_seconds=5",
)
SECONDS = 120


class Launch:
    """A multirun under way on the cluster, and its jobs."""

    def __init__(self, cluster: Cluster, folder: Path, *words: str) -> None:
        self.cluster, self.folder = cluster, folder
        self.before = set(cluster.jobs())
        self.hurried: set[str] = set()
        self.process = subprocess.Popen(
            [sys.executable, TRAIN, "--multirun", "hydra/launcher=slurm", *QUICK, f"paths.runs={folder}", *words],
            env=cluster.environment | {"OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def jobs(self) -> list[dict[str, str]]:
        """What SLURM knows of its jobs, in their order."""
        named = {name: job for name, job in self.cluster.jobs().items() if job["JobName"] == "vggsuite"}
        mine = [job for name, job in named.items() if name not in self.before]
        return sorted(mine, key=lambda job: int(job.get("ArrayTaskId", "0").split("-")[0]))

    def wait_until_all_train(self, number: int) -> None:
        self.cluster.wait("first epochs", lambda: len(list(self.folder.glob("**/last.ckpt"))) == number)

    def hurry(self, number: int) -> None:
        """Spare requeued jobs their wait of two minutes, each as soon as it is in the queue, until `number` have been
        spared it."""

        def all_have_been() -> bool:
            for name, job in ((name_of(job), job) for job in self.jobs):
                if job["Restarts"] == "1" and job["JobState"] == "PENDING" and name not in self.hurried:
                    self.cluster.set(name, StartTime="now")
                    self.hurried.add(name)
            return len(self.hurried) == number

        self.cluster.wait("requeued jobs", all_have_been)

    def end(self) -> subprocess.CompletedProcess[str]:
        output, errors = self.process.communicate(timeout=SECONDS)
        return subprocess.CompletedProcess(self.process.args, self.process.returncode, output, errors)

    def log(self, number: int) -> str:
        """What a job of its array has printed."""
        (out,) = self.folder.glob(f"slurm/*_{number}/*_0_log.out")
        return out.read_text() + out.with_suffix(".err").read_text()


def name_of(job: dict[str, str]) -> str:
    """Of it alone: the number of an array's last job stands for the whole array."""
    return f"{job['ArrayJobId']}_{job['ArrayTaskId']}" if "ArrayJobId" in job else job["JobId"]


MakeLaunch = Callable[..., Launch]


@pytest.fixture
def launch(cluster: Cluster, tmp_path: Path) -> Iterator[MakeLaunch]:
    """Starts a multirun; in the end, no job of the test is left."""
    started: list[Launch] = []

    def start(*words: str, folder: str = "slurm_runs") -> Launch:
        started.append(Launch(cluster, tmp_path / folder, *words))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.communicate()
    cluster.run("scancel", "--user=root")
    cluster.wait("end of all jobs", lambda: not cluster.run("squeue", "--noheader"))


def weights(folder: Path) -> torch.Tensor:
    """Of the one finished run in a folder."""
    (record,) = folder.glob("**/result.json")
    return torch.cat([value.flatten() for value in load_checkpoint(record.parent).weights.values()])


@pytest.fixture
def small(make_tree: MakeTree) -> list[str]:
    """Settings of a run that takes a second."""
    return [*TINY, f"data.root={make_tree()}"]


@pytest.fixture
def long(make_tree: MakeTree) -> list[str]:
    """Settings of a run that takes a while."""
    return [*TINY, f"data.root={make_tree(images=40)}", "recipe.epochs=60"]


def test_runs_of_an_array_leave_their_records(launch: MakeLaunch, small: list[str]) -> None:
    launched = launch(*small, "seed=0,1")
    result = launched.end()
    assert result.returncode == 0, result.stderr
    assert len(list(launched.folder.glob("**/seed_[01]/result.json"))) == 2
    assert [job["JobState"] for job in launched.jobs] == ["COMPLETED"] * 2
    assert len({job["ArrayJobId"] for job in launched.jobs}) == 1


def test_a_runs_error_is_told_by_the_launcher(launch: MakeLaunch, small: list[str]) -> None:
    result = launch(*small, "data.root=/nowhere").end()
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: 1 of 1 jobs failed: ")
    assert "/nowhere" in line.partition("FAILED")[2]
    assert "UserError" not in line


def test_several_tasks_and_nodes_train_the_net_that_one_process_trains(
    cluster: Cluster, launch: MakeLaunch, make_tree: MakeTree, tmp_path: Path
) -> None:
    """1 node of 2 tasks, 2 nodes of 1, and 2 of 2 by a script of one's own."""
    settings = [*TINY, f"data.root={make_tree(images=100)}", "recipe.precision=fp32", "model.dropout=0"]
    settings += ["model.width=0.1", "recipe.batch_size=128", "recipe.epochs=2"]
    for way, extra in {"one": "seed=0", "other": "seed=1"}.items():
        assert call_command("train.py", *settings, extra, f"paths.runs={tmp_path / way}").returncode == 0
    settings.append("trainer.strategy=ddp")
    result = launch(*settings, "trainer.devices=2", folder="tasks").end()
    assert result.returncode == 0, result.stderr
    result = launch(*settings, "trainer.num_nodes=2", folder="nodes").end()
    assert result.returncode == 0, result.stderr
    script = tmp_path / "job.sh"
    words = f"trainer.devices=2 trainer.num_nodes=2 paths.runs={tmp_path / 'both'}"
    script.write_text(f"#!/bin/sh\nsrun {sys.executable} {TRAIN} {' '.join(settings)} {words}\n")
    cluster.run("sbatch", "--wait", "--nodes=2", "--ntasks-per-node=2", f"--output={tmp_path}/both.log", script)
    one = weights(tmp_path / "one")
    moved = (one - weights(tmp_path / "other")).abs().max()
    for way in ("tasks", "nodes", "both"):
        assert (one - weights(tmp_path / way)).abs().max() <= 1e-4 * moved, way


def test_preempted_runs_go_on_to_the_weights_of_undisturbed_ones(
    cluster: Cluster, launch: MakeLaunch, long: list[str], tmp_path: Path
) -> None:
    launched = launch(*long, "seed=0,1")
    launched.wait_until_all_train(2)
    cluster.run("srun", "--partition=high", "--nodes=2", "--exclusive", "true")
    launched.hurry(2)
    assert run_command("train.py", *long, f"paths.runs={tmp_path / 'undisturbed'}").returncode == 0
    result = launched.end()
    assert result.returncode == 0, result.stderr
    for number, job in enumerate(launched.jobs):
        log = launched.log(number)
        assert log.count("stopped by SIGTERM; the same command goes on from there") == 1
        assert log.count(" goes on after step ") == 1
        assert (job["JobState"], job["Restarts"]) == ("COMPLETED", "1")
    (seed_0,) = launched.folder.glob("**/seed_0")
    assert torch.equal(weights(seed_0), weights(tmp_path / "undisturbed"))


def test_the_signals_before_a_time_limit_queue_a_run_again_and_no_other(
    cluster: Cluster, launch: MakeLaunch, long: list[str]
) -> None:
    """By submitit's signal, or by another."""
    launched = launch(*long, "seed=0,1")
    launched.wait_until_all_train(2)
    first, last = map(name_of, launched.jobs)
    cluster.run("scancel", "--signal=USR1", last)
    launched.hurry(1)
    assert [job["Restarts"] for job in launched.jobs] == ["0", "1"]
    cluster.run("scancel", "--signal=USR2", first)
    launched.hurry(2)
    result = launched.end()
    assert result.returncode == 0, result.stderr
    assert [(job["JobState"], job["Restarts"]) for job in launched.jobs] == [("COMPLETED", "1")] * 2
    for number, signum in enumerate((signal.SIGUSR2, signal.SIGUSR1)):
        assert f"stopped by {signum.name}" in launched.log(number)
        assert " goes on after step " in launched.log(number)
    assert len(list(launched.folder.glob("**/result.json"))) == 2


def test_a_cancelled_run_is_not_queued_again_but_named(cluster: Cluster, launch: MakeLaunch, long: list[str]) -> None:
    launched = launch(*long)
    launched.wait_until_all_train(1)
    (job,) = launched.jobs
    cluster.run("scancel", job["JobId"])
    result = launched.end()
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert "1 of 1 jobs failed: " in line
    assert "FAILED (it was cancelled, killed or timed out, see " in line
    (job,) = launched.jobs
    assert (job["JobState"], job["Restarts"]) == ("CANCELLED", "0")
