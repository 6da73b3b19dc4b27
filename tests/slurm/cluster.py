"""A real SLURM on the loopback of one machine: two nodes, each of four CPUs and two stand-ins for GPUs.

The partition `low` is the default one. A job in `high` that finds no room takes that of jobs in `low`: SLURM sends
their steps (not their batch scripts) SIGTERM, lets them run on for `GRACE_SECONDS`, then kills and requeues those that
have not ended. There is no accounting: `sacct` fails, and `scontrol show job` knows what it would tell.
"""

import os
import re
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

GRACE_SECONDS = 30

CONFIGURATION = """\
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
AuthInfo=socket={folder}/munge.socket
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
ProctrackType=proctrack/linuxproc
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=bf_interval=1,sched_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldSyslogDebug=quiet
SlurmdSyslogDebug=quiet
AccountingStorageType=accounting_storage/none
KillWait=5
MinJobAge=3600
ReturnToService=2
GresTypes=gpu
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=4 RealMemory=4000 Gres=gpu:2
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=4 RealMemory=4000 Gres=gpu:2
PartitionName=low Nodes=n1,n2 Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime={grace}
PartitionName=high Nodes=n1,n2 PriorityTier=2 PreemptMode=OFF
"""


@dataclass(frozen=True)
class Cluster:
    """Where the cluster keeps its files, and the environment for commands that talk to it."""

    folder: Path
    environment: dict[str, str] = field(repr=False)
    daemons: list[subprocess.Popen[bytes]] = field(default_factory=list, repr=False)

    def run(self, *command: str | Path, timeout: float = 120) -> str:
        """Return what a command prints; raises RuntimeError with its message if it fails, and
        subprocess.TimeoutExpired."""
        quiet = subprocess.DEVNULL
        done = subprocess.run(
            command, env=self.environment, stdin=quiet, capture_output=True, text=True, timeout=timeout
        )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))}: exit code {done.returncode}: {done.stderr}")
        return done.stdout

    def jobs(self) -> dict[str, dict[str, str]]:
        """Return the fields (JobState, Restarts, Reason, ExitCode, ...) of every job, ended ones too, by its id."""
        lines = self.run("scontrol", "show", "job", "--oneliner").splitlines()
        records = (dict(re.findall(r"(\S+?)=(\S*)", line)) for line in lines)
        return {record["JobId"]: record for record in records if "JobId" in record}

    def set(self, job_id: str, **fields: str) -> None:
        """Change fields of a job. `set(job_id, StartTime="now")` spares a requeued one its wait of two minutes, if it
        is PENDING already."""
        self.run("scontrol", "update", f"JobId={job_id}", *(f"{name}={value}" for name, value in fields.items()))

    def wait(self, what: str, reached: Callable[[], bool], *, seconds: float = 60) -> None:
        """Poll until `reached`; raises TimeoutError that quotes the daemons' logs, at once if one of them has ended."""
        end = time.monotonic() + seconds
        while not reached():
            if time.monotonic() > end or any(daemon.poll() is not None for daemon in self.daemons):
                logs = (f"{log.name}:\n{log.read_text()[-2000:]}" for log in sorted(self.folder.glob("*.log")))
                raise TimeoutError("\n\n".join((f"still no {what}", *logs)))
            time.sleep(0.2)


@contextmanager
def slurm_cluster(folder: Path) -> Iterator[Cluster]:
    """Run a cluster that keeps all its files in `folder`; kill its daemons and jobs when the body ends or fails.

    Raises TimeoutError with the daemons' logs if the nodes are not idle in time or a daemon ends, as munged does if
    the path of its socket is longer than 107 bytes."""
    folder = folder.resolve()
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SBATCH", "SRUN"))}
    cluster = Cluster(folder, outside | {"SLURM_CONF": str(folder / "slurm.conf"), "MASTER_ADDR": "127.0.0.1"})
    write_files(folder)
    try:
        files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "seed-file": "seed"}
        # --force: it would refuse a folder that other users cannot enter, as pytest's
        options = (f"--{option}={folder}/munge.{ending}" for option, ending in files.items())
        start(cluster, "munged", "--foreground", "--force", *options, log="munged.log")
        cluster.wait("socket of munged", (folder / "munge.socket").exists)
        start(cluster, "slurmctld", "-D", log="slurmctld.log")
        for node in ("n1", "n2"):
            start(cluster, "slurmd", "-D", "-N", node, log=f"slurmd-{node}.log")
        cluster.wait("two idle nodes", lambda: nodes_are_idle(cluster))
        yield cluster
    finally:
        while processes := processes_of(cluster):
            for process in processes:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            for daemon in cluster.daemons:
                daemon.wait()


def write_files(folder: Path) -> None:
    """Write the key, the GPUs' stand-ins, which answer as /dev/null does, and the configuration."""
    (folder / "state").mkdir()
    (folder / "munge.key").touch(mode=0o600)
    (folder / "munge.key").write_bytes(os.urandom(1024))
    for gpu in ("gpu0", "gpu1"):
        os.mknod(folder / gpu, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    (folder / "gres.conf").write_text(f"NodeName=n1,n2 Name=gpu File={folder}/gpu[0-1]\n")
    with ExitStack() as free:  # bound together, so that no port comes twice
        sockets = [free.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        ports = [bound.getsockname()[1] for bound in sockets]
    text = CONFIGURATION.format(host=socket.gethostname(), ports=ports, folder=folder, grace=GRACE_SECONDS)
    (folder / "slurm.conf").write_text(text)


def start(cluster: Cluster, *command: str, log: str) -> None:
    """Start a daemon, out of reach of the terminal's Ctrl-C."""
    quiet, environment = subprocess.DEVNULL, cluster.environment
    with open(cluster.folder / log, "wb") as file:
        daemon = subprocess.Popen(command, env=environment, stdin=quiet, stdout=file, stderr=file, process_group=0)
    cluster.daemons.append(daemon)


def nodes_are_idle(cluster: Cluster) -> bool:
    with suppress(RuntimeError):  # slurmctld does not answer yet
        return cluster.run("sinfo", "--noheader", "--partition=low", "--format=%D %t").split() == ["2", "idle"]
    return False


def processes_of(cluster: Cluster) -> list[int]:
    """The daemons, the jobs and all they started: what has the cluster's SLURM_CONF in its environment."""
    mark = f"SLURM_CONF={cluster.environment['SLURM_CONF']}\0".encode()
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # it ended meanwhile
            if mark in environment.read_bytes():
                found.append(int(environment.parent.name))
    return found
