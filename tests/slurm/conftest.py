"""The cluster that the tests of this folder share."""

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.slurm.cluster import Cluster, slurm_cluster

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "sinfo")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A SLURM of two nodes with two GPUs each; fails where it cannot run."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing or os.geteuid() != 0:
        why = f"{', '.join(missing)} not found" if missing else "not root"
        pytest.fail(f"{why}: these tests need `apt-get install slurm-wlm munge` and to run as root", pytrace=False)
    with slurm_cluster(tmp_path_factory.mktemp("slurm")) as running:
        yield running
