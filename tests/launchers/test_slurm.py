"""hydra/launcher=slurm without a cluster: what it asks of sbatch and squeue, which are scripts here, and what it makes
of their answers. With one: tests/slurm."""

import pickle
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hydra_plugins.vggsuite_launchers.jobs import make_job
from tests.conftest import ROOT, assert_refused
from tests.launchers.launching import Launching, job
from vggsuite.training.interrupting import requeue

# Keeps the scripts that it is given as 1, 2, ...; 101, 102, ... are their jobs' numbers.
SBATCH = """#!/bin/sh
number=$(($(ls {folder}/scripts | wc -l) + 1))
cp "$1" {folder}/scripts/$number
echo "Submitted batch job $((100 + number))"
"""


class FakeSlurm:
    """Programs by SLURM's names, and the only ones on PATH but the shell's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "scripts").mkdir(parents=True)
        self.put("sbatch", SBATCH.format(folder=folder))
        self.put("squeue", "#!/bin/sh\n")
        self.put("srun", "#!/bin/sh\n")

    def put(self, program: str, text: str) -> None:
        (self.folder / program).write_text(text)
        (self.folder / program).chmod(0o755)

    @property
    def scripts(self) -> list[str]:
        """That sbatch was given."""
        return [file.read_text() for file in sorted((self.folder / "scripts").iterdir())]

    @property
    def options(self) -> list[dict[str, str]]:
        """Of sbatch, in each of them."""
        return [dict(re.findall(r"^#SBATCH --([\w-]+)=(.*)$", script, re.MULTILINE)) for script in self.scripts]


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    slurm = FakeSlurm(tmp_path / "slurm")
    monkeypatch.setenv("PATH", f"{slurm.folder}:/usr/bin:/bin")
    return slurm


class Slurm(Launching):
    """A multirun by this launcher, whose jobs' ends are known before."""

    def launch(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.call("slurm", "hydra.launcher.poll_seconds=0.001", "hydra.launcher.lost_seconds=0.01", *words)

    def ends(self, name: str, how: str = "success", told: str | None = None) -> None:
        """As submitit notes it of SLURM's job of this name."""
        file = self.runs / "slurm" / name / f"{name}_0_result.pkl"
        file.parent.mkdir(parents=True)
        file.write_bytes(pickle.dumps((how, told)))


@pytest.fixture
def launching(tmp_path: Path) -> Slurm:
    return Slurm(tmp_path)


def test_without_slurm_or_submitit(
    launching: Slurm, slurm: FakeSlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    assert_refused(launching.launch(), "needs submitit; type: pip install -e '.[slurm]'.")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert_refused(launching.launch(), "needs SLURM's sbatch and srun, which this machine lacks; type it on a login")
    assert slurm.scripts == []


@pytest.mark.parametrize(("script", "processes"), [("train.py", 4), ("evaluate.py", 1), ("fuse.py", 1)])
def test_a_training_is_started_once_for_each_device(script: str, processes: int) -> None:
    trainer = {"accelerator": "gpu", "devices": 4}
    made = make_job(0, name="", script=Path("src") / script, words=[], folder=None, trainer=trainer)
    assert made.num_processes == processes


def test_jobs_that_want_as_much_are_one_array(launching: Slurm, slurm: FakeSlurm) -> None:
    """Without options that are not asked for."""
    for name in ("101_0", "101_1", "102"):
        launching.ends(name)
    result = launching.launch(f"job={job(0)},{job(1, devices=4)},{job(2)}")
    assert result.returncode == 0, result.stderr
    array, single = slurm.options
    assert array["array"] == "0-1%2"
    assert "array" not in single
    wanted = ("nodes", "ntasks-per-node", "gpus-per-node")
    assert [array[name] for name in wanted] == ["1", "1", "1"]
    assert [single[name] for name in wanted] == ["1", "1", "4"]  # a training would have four tasks
    for options, cores in ((array, "8"), (single, "32")):  # eight for each device
        assert (options["time"], options["signal"], options["cpus-per-task"]) == ("1440", "USR2@120", cores)
        assert not options.keys() & {"partition", "account", "qos", "constraint", "mem"}
    for script in slurm.scripts:
        assert f"export PYTHONPATH={ROOT}/src${{PYTHONPATH:+:$PYTHONPATH}}\n" in script


def test_what_is_asked_for_reaches_sbatch(launching: Slurm, slurm: FakeSlurm) -> None:
    launching.ends("101")
    launching.ends("102")
    result = launching.launch(
        "trainer.accelerator=cpu,gpu",
        "trainer.num_nodes=2",
        "hydra.launcher.partition=fast",
        "hydra.launcher.time=90",
        "hydra.launcher.signal_delay_s=300",
        "hydra.launcher.mem=1536MB",
        "hydra.launcher.setup=[module load cuda,ulimit -n 4096]",
        "hydra.launcher.additional_parameters={mail-user:me}",
        "+hydra.launcher.exclude=broken",
    )
    assert result.returncode == 0, result.stderr
    cpu, gpu = slurm.options
    told = {"nodes": "2", "ntasks-per-node": "1", "partition": "fast", "time": "90", "signal": "USR2@300"}
    told |= {"mem": "1536MB", "mail-user": "me", "exclude": "broken"}
    assert told.items() <= cpu.items()
    assert gpu.items() >= (told | {"gpus-per-node": "1"}).items()
    assert "gpus-per-node" not in cpu
    for script in slurm.scripts:
        assert script.index("PYTHONPATH") < script.index("module load cuda\nulimit -n 4096\n") < script.index("srun")


def test_jobs_that_failed_or_are_lost_are_named(launching: Slurm, slurm: FakeSlurm) -> None:
    launching.ends("101_0")
    launching.ends("101_1", "error", "Traceback:\n  somewhere\nvggsuite.errors.UserError: x=1 is too much.\n")
    result = launching.launch(f"job={job(0)},{job(1)},{job(2)}")
    logs = launching.runs / "slurm"
    assert_refused(result, "error: 2 of 3 jobs failed: ")
    assert f"`#1 job={{number:1}}` FAILED (x=1 is too much, see {logs}/101_1/101_1_0_log.err)" in result.stderr
    lost = "it was cancelled, killed or timed out"
    assert f"`#2 job={{number:2}}` FAILED ({lost}, see {logs}/101_2/101_2_0_log.err)" in result.stderr
    assert "#0 job={number:0} is done" in result.stdout


def test_jobs_in_the_queue_are_waited_for(launching: Slurm, slurm: FakeSlurm) -> None:
    """However often it does not answer; with what a job left when it was last interrupted, it has not ended."""
    launching.ends("101", "error", "an error of its first part")
    polls, done = slurm.folder / "polls", launching.runs / "slurm/101/101_0_result.pkl"
    done.with_name("later").write_bytes(pickle.dumps(("success", None)))
    slurm.put(
        "squeue",
        f"""#!/bin/sh
echo >> {polls}
case $(wc -l < {polls}) in
    1|2|3|4|5) echo 101 ;;
    6|7) echo "slurm_load_jobs error: Socket timed out" >&2; exit 1 ;;
    8) mv {done.with_name("later")} {done}; echo 101 ;;
    *) echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1 ;;
esac
""",
    )
    result = launching.launch()
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""


def test_a_queue_that_cannot_be_read_ends_the_wait(launching: Slurm, slurm: FakeSlurm) -> None:
    slurm.put("squeue", "#!/bin/sh\necho 'Unable to contact slurm controller' >&2\nexit 1\n")
    result = launching.launch()
    assert_refused(result, "SLURM's queue cannot be read (Unable to contact slurm controller)")
    assert "The jobs stay with SLURM; `scancel 101` ends them" in result.stdout


def test_what_sbatch_refuses_is_told(launching: Slurm, slurm: FakeSlurm) -> None:
    slurm.put("sbatch", "#!/bin/sh\necho 'sbatch: error: invalid partition\nBatch job submission failed' >&2\nexit 1\n")
    told = "SLURM did not take the jobs (sbatch: error: invalid partition Batch job submission failed)"
    assert_refused(launching.launch("hydra.launcher.partition=nowhere"), told)


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("+hydra.launcher.partitoin=x", "Unavailable parameter(s): ['partitoin']"),
        ("hydra.launcher.partitoin=x", "hydra.launcher.partitoin"),
    ],
)
def test_a_wrong_parameter(word: str, told: str, launching: Slurm, slurm: FakeSlurm) -> None:
    assert_refused(launching.launch(word), told)
    assert slurm.scripts == []


@pytest.mark.parametrize(
    ("signum", "environment", "state", "told"),
    [
        (signal.SIGTERM, {"SLURM_JOB_ID": "7"}, "RUNNING", ["show job --oneliner 7", "requeue 7"]),
        (signal.SIGUSR1, {"SLURM_JOB_ID": "7"}, "RUNNING", ["show job --oneliner 7", "requeue 7"]),
        (signal.SIGTERM, {"SLURM_JOB_ID": "7"}, "COMPLETING", ["show job --oneliner 7"]),  # by scancel
        (signal.SIGTERM, {}, "RUNNING", []),
        (signal.SIGINT, {"SLURM_JOB_ID": "7"}, "RUNNING", []),
        (
            signal.SIGTERM,  # 7 alone would be the whole array, too
            {"SLURM_JOB_ID": "7", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "1"},
            "RUNNING",
            ["show job --oneliner 7_1", "requeue 7_1"],
        ),
    ],
)
def test_the_job_of_an_interrupted_run_is_queued_again(
    signum: signal.Signals,
    environment: dict[str, str],
    state: str,
    told: list[str],
    slurm: FakeSlurm,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commands = slurm.folder / "commands"
    commands.touch()
    slurm.put("scontrol", f"#!/bin/sh\necho \"$@\" >> {commands}\necho 'JobId=7 JobState={state} Reason=None'\n")
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    requeue(signum, signal.SIG_DFL)
    assert commands.read_text().splitlines() == told
