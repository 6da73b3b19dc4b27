"""The cluster by itself: commands run on it, GPUs are handed out once, a preempted job comes back."""

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster

pytestmark = pytest.mark.slurm

# Waits until four of it run, so that none takes the GPU that another has left.
TELL_GPU = """
touch "$0/$SLURM_JOB_ID"
until [ "$(ls "$0" | wc -l)" = 4 ]; do sleep 0.1; done
echo "$SLURMD_NODENAME" "$CUDA_VISIBLE_DEVICES"
"""

SLEEP_AT_FIRST = """#!/bin/sh
echo "began after ${SLURM_RESTART_COUNT:-no} restarts"
[ -n "$SLURM_RESTART_COUNT" ] || sleep 600
echo "reached the end"
"""


def test_commands_run_on_both_nodes(cluster: Cluster) -> None:
    assert cluster.run("srun", "hostname").strip() == socket.gethostname()
    nodes = cluster.run("srun", "--nodes=2", "--ntasks-per-node=1", "sh", "-c", "echo $SLURMD_NODENAME").split()
    assert sorted(nodes) == ["n1", "n2"]


def test_each_gpu_goes_to_one_step(cluster: Cluster, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as steps:
        told = steps.map(lambda _: cluster.run("srun", "--gpus=1", "sh", "-c", TELL_GPU, tmp_path), range(4))
        assert sorted(told) == ["n1 0\n", "n1 1\n", "n2 0\n", "n2 1\n"]


def test_preempted_job_is_requeued_and_runs_to_its_end(cluster: Cluster, tmp_path: Path) -> None:
    script, printed = tmp_path / "job.sh", tmp_path / "job.log"
    script.write_text(SLEEP_AT_FIRST)
    options = ("--parsable", "--nodes=2", "--exclusive", "--open-mode=append", f"--output={printed}")
    job = cluster.run("sbatch", *options, script).strip()
    cluster.wait("first line of the job", lambda: printed.exists() and "began" in printed.read_text())

    cluster.run("srun", "--partition=high", "--nodes=2", "--exclusive", "true")
    cluster.wait("requeued job", lambda: cluster.jobs()[job]["JobState"] == "PENDING")
    cluster.set(job, StartTime="now")
    cluster.wait("end of the job", lambda: cluster.jobs()[job]["JobState"] == "COMPLETED")

    assert cluster.jobs()[job]["Restarts"] == "1"
    lines = [line for line in printed.read_text().splitlines() if not line.startswith("slurmstepd")]
    assert lines == ["began after no restarts", "began after 1 restarts", "reached the end"]
