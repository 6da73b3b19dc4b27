"""hydra/launcher=local: real processes on simulated GPUs, of which there are those that CUDA_VISIBLE_DEVICES names."""

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from joblib import cpu_count

from tests.conftest import assert_refused, call_command
from tests.launchers.launching import SECONDS, Launching, job, result_of, wait

pytestmark = pytest.mark.slow

THREE = {"CUDA_VISIBLE_DEVICES": "4,6,7"}
ONE = {"CUDA_VISIBLE_DEVICES": "5"}
NONE = {"CUDA_VISIBLE_DEVICES": ""}


@pytest.fixture
def launching(tmp_path: Path) -> Iterator[Launching]:
    """Its jobs are ended, if they were not, when the test is."""
    launching = Launching(tmp_path)
    yield launching
    launching.add_event("the test has ended")


def jobs(*values: str) -> str:
    return f"job={','.join(values)}"


def most_at_once(events: list[str]) -> int:
    """How many jobs ran at once at most."""
    running, most = 0, 0
    for event in events:
        running += {"start": 1, "end": -1}[event.split()[0]]
        most = max(most, running)
    return most


def assert_no_device_is_shared(launching: Launching) -> None:
    """At no time do two running jobs see one device."""
    taken: dict[str, str] = {}
    for event in launching.events:
        what, number = event.split()
        for device in launching.devices(int(number)):
            if what == "start":
                assert device not in taken, f"{device} is of {taken[device]} and {number}: {launching.events}"
                taken[device] = number
            else:
                assert taken.pop(device) == number


def test_jobs_of_all_lengths_queue_for_devices_and_share_none(launching: Launching) -> None:
    values = (
        job(0, until="start 5"),  # goes on, while others come and go on the other devices
        job(1),
        job(2, until="start 3"),  # 3 is given what 1 has left
        job(3, until="end 2"),
        job(4, devices=2),  # waits for both, and 5 for it
        job(5),
        job(6, devices=3),
    )
    result = launching.run("local", jobs(*values), **THREE)
    assert result.returncode == 0, result.stderr
    assert_no_device_is_shared(launching)
    assert [len(launching.devices(number)) for number in range(7)] == [1, 1, 1, 1, 2, 1, 3]
    assert {device for number in range(7) for device in launching.devices(number)} == {"4", "6", "7"}
    told = [line.split("[HYDRA] ")[-1] for line in result.stdout.splitlines() if " starts on " in line]
    assert [line.split()[0] for line in told] == [f"#{number}" for number in range(7)]
    assert told[0].endswith("starts on GPU 4")
    assert most_at_once(launching.events) == 3


@pytest.mark.parametrize(("gpus", "used"), [("2", {"4", "6"}), ("[7,6]", {"7", "6"})])
def test_the_number_or_the_list_of_gpus_that_are_used(gpus: str, used: set[str], launching: Launching) -> None:
    values = jobs(job(0, until="start 1"), job(1, until="start 0"), job(2))
    assert launching.run("local", values, f"hydra.launcher.gpus={gpus}", **THREE).returncode == 0
    assert_no_device_is_shared(launching)
    assert {device for number in range(3) for device in launching.devices(number)} == used


def test_jobs_that_fail_or_are_killed_leave_the_others_alone_and_are_named(launching: Launching) -> None:
    values = jobs(job(0, then=3), job(1, then="kill"), job(2), job(3))
    result = launching.run("local", values, **ONE)
    assert result.returncode == 2
    assert launching.events == [f"{what} {number}" for number in range(4) for what in ("start", "end")]
    assert result.stderr == (
        "error: 2 of 4 jobs failed: "
        f"`#0 job={{number:0,then:3}}` FAILED (exit code 3, see {launching.runs}/0/console.log); "
        f"`#1 job={{number:1,then:kill}}` FAILED (killed by SIGKILL, see {launching.runs}/1/console.log).\n"
    )
    assert "#2 job={number:2} is done" in result.stdout


def test_what_a_job_prints_carries_its_number_and_is_kept_in_its_folder(launching: Launching) -> None:
    result = launching.run("local", jobs(job(0, until="start 1", lines=2), job(1, lines=2)), **THREE)
    for number in range(2):
        lines = [f"line 0 of {number}", f"line 1 of {number}"]
        assert launching.console(number) == lines
        assert [line for line in result.stdout.splitlines() if line.startswith(f"#{number}  ")] == [
            f"#{number}  {line}" for line in lines
        ]


def test_a_reader_who_leaves_does_not_hold_up_a_job(launching: Launching) -> None:
    """Which would wait for room in its full pipe."""
    process = launching.start("local", jobs(job(0, until="go on", lines=5000)), **ONE)
    launching.wait("start 0")
    assert process.stdout is not None
    process.stdout.close()
    launching.add_event("go on")
    launching.wait("end 0")
    process.wait(SECONDS)
    assert len(launching.console(0)) == 5000


def test_jobs_on_the_cpu_take_its_slots(launching: Launching, monkeypatch: pytest.MonkeyPatch) -> None:
    """And its cores are shared out; none of them sees a GPU."""
    monkeypatch.delenv("OMP_NUM_THREADS")
    pairs = {0: 1, 1: 0, 2: 3, 3: 2}
    values = jobs(*(job(number, until=f"start {other}") for number, other in pairs.items()))
    words = ("trainer.accelerator=cpu", "hydra.launcher.cpu_slots=2")
    result = launching.run("local", values, *words, **THREE)
    assert result.returncode == 0, result.stderr
    assert most_at_once(launching.events) == 2
    for number in range(4):
        assert launching.devices(number) == []
        assert launching.environment(number)["OMP_NUM_THREADS"] == str(max(1, cpu_count() // 2))


def test_what_is_of_the_launchers_own_process_is_not_handed_to_jobs(launching: Launching) -> None:
    alien = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "2", "RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2"}
    alien |= {"MASTER_ADDR": "elsewhere", "TORCHELASTIC_RUN_ID": "3"}
    kept = {"SLURMED": "yes", "RANKING": "yes", "LOCAL_SCRATCH": "/scratch", "OMP_NUM_THREADS": "3"}
    assert launching.run("local", jobs(job(0)), **NONE | alien | kept).returncode == 0
    environment = launching.environment(0)
    assert not alien.keys() & environment.keys()
    assert kept.items() <= environment.items()


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ending_the_launcher_ends_its_jobs_by_one_sigterm(
    signum: signal.Signals, code: int, launching: Launching
) -> None:
    forever = (job(number, until="the test has ended") for number in range(3))
    process = launching.start("local", jobs(*forever), CUDA_VISIBLE_DEVICES="4,6")
    launching.wait("start 0", "start 1")
    os.killpg(process.pid, signum)  # as a terminal's Ctrl-C, to all of its group
    launching.wait("SIGTERM 0", "SIGTERM 1")
    assert process.poll() is None  # it lets them save their state
    launching.add_event("the test has ended")
    result = result_of(process)
    assert result.returncode == code, result.stderr
    assert result.stderr == ""
    assert sorted(launching.events[:4]) == ["SIGTERM 0", "SIGTERM 1", "start 0", "start 1"]
    assert sorted(launching.events[5:]) == ["end 0", "end 1"]  # and 2 never started


def test_a_second_ctrl_c_ends_jobs_at_once(launching: Launching) -> None:
    forever = (job(number, until="the test has ended") for number in range(2))
    process = launching.start("local", jobs(*forever), CUDA_VISIBLE_DEVICES="4,6")
    launching.wait("start 0", "start 1")
    process.send_signal(signal.SIGINT)
    launching.wait("SIGTERM 0", "SIGTERM 1")
    process.send_signal(signal.SIGINT)
    assert result_of(process).returncode == 130
    for number in range(2):
        wait(partial(has_ended, launching.environment(number)["pid"]), f"end of job {number}")
    assert not any(event.startswith("end") for event in launching.events)


def has_ended(pid: str) -> bool:
    """Whether a process is no more, or only waits for its parent to hear of it."""
    try:
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize(
    ("words", "gpus", "told"),
    [
        (
            ["hydra.launcher.gpus=8"],
            THREE,
            "hydra.launcher.gpus=8 asks for more, or others, than the 3 GPU(s) here (4, 6, 7)",
        ),
        (["hydra.launcher.gpus=many"], THREE, "hydra.launcher.gpus=many is unknown; allowed: auto, a number of them"),
        (["hydra.launcher.gpus=-1"], THREE, "hydra.launcher.gpus=-1 is unknown"),
        (["hydra.launcher.cpu_slots=0"], THREE, "hydra.launcher.cpu_slots=0 is no count; allowed: auto, or 1 or more."),
        (["hydra.launcher.slots=2"], THREE, "hydra.launcher.slots"),
        (["trainer.devices=auto"], THREE, "trainer.devices=auto is no count; allowed: 1 or more (trainer.devices=1)"),
        (["trainer.devices=0"], THREE, "trainer.devices=0 is no count"),
        (["trainer.devices=1,4"], THREE, "trainer.devices=4 asks for more than the 3 GPU(s) of hydra/launcher=local"),
        (["trainer.accelerator=gpu"], NONE, "trainer.devices=1 asks for more than the 0 GPU(s)"),
        (
            ["trainer.accelerator=cpu", "trainer.devices=3", "hydra.launcher.cpu_slots=2"],
            THREE,
            "more than the 2 CPU slot(s) of hydra/launcher=local; allowed: up to that many (hydra.launcher.cpu_slots).",
        ),
        (["trainer.num_nodes=1,2"], THREE, "trainer.num_nodes=2 cannot be had by hydra/launcher=local; allowed: 1"),
    ],
)
def test_what_cannot_be_is_told_before_any_job_starts(
    words: list[str], gpus: dict[str, str], told: str, launching: Launching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus["CUDA_VISIBLE_DEVICES"])
    assert_refused(launching.call("local", jobs(job(0), job(1)), *words), told)
    assert launching.events == []


@pytest.mark.parametrize("launcher", ["local", "slurm"])
@pytest.mark.parametrize("words", [["experiment=glob(table3/*)", "seed=1,2"], ["seed=range(3,3)"]])
def test_a_multirun_without_a_job_is_refused(words: list[str], launcher: str, tmp_path: Path) -> None:
    """As a glob makes it of experiments: they are in folders, into which Hydra does not look, without a word."""
    result = call_command("train.py", "--multirun", f"hydra/launcher={launcher}", *words, f"paths.runs={tmp_path}")
    assert_refused(
        result, f"error: {words[0]} stands for no value, so there is no job to run; allowed: one value or more"
    )
