"""What launchers cost a run: python benchmarks/sweep_overhead.py

Tiny runs on the digits (net A of width 1/50, an epoch of six steps), so that starting is most of each, by a shell loop,
by Hydra's launchers and ours, by a W&B agent (against the stub of W&B's API that the tests have) and by SLURM (started
here, where it is installed and we are root); and how long a run takes to start. Wall time: whatever else the machine
does counts.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import yaml
from joblib import cpu_count

from measure import arguments_parser, report, setting, table
from vggsuite.config import PROJECT_ROOT

SHELL = "shell loop"
TRAIN = [sys.executable, "src/train.py"]
TINY = ["model.width=0.02", "recipe.batch_size=1000", "recipe.epochs=1", "trainer=cpu", "data.num_workers=0"]
FIRST_STEP = """
import os, runpy, sys
from vggsuite.training.module import Classification
Classification.training_step = lambda *_: os._exit(0)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
Environment = Mapping[str, str]
Way = Callable[[list[str], int, Path], None]  # makes runs with these settings, as many, with a folder of its own


def run(*command: str, environment: Environment | None = None) -> None:
    """Run a command in the project's folder."""
    alone = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    subprocess.run(
        command, env={**os.environ, **alone, **(environment or {})}, cwd=PROJECT_ROOT, check=True, capture_output=True
    )


def by_shell(settings: list[str], num_runs: int, folder: Path) -> None:
    for seed in range(num_runs):
        run(*TRAIN, *settings, f"seed={seed}")


def by_launcher(*launcher: str, environment: Environment | None = None) -> Way:
    """The way of a multirun with a launcher."""

    def make(settings: list[str], num_runs: int, folder: Path) -> None:
        seeds = ",".join(map(str, range(num_runs)))
        run(*TRAIN, "--multirun", *launcher, *settings, f"seed={seeds}", environment=environment)

    return make


def by_agent(settings: list[str], num_runs: int, folder: Path) -> None:
    """By `wandb sweep` and `wandb agent`."""
    from tests.wandb_stub import ENTITY, PROJECT, WandbStub

    sweep = yaml.safe_load((PROJECT_ROOT / "sweeps/depth.yaml").read_text())
    sweep["command"][-1:] = [*settings, sweep["command"][-1]]
    sweep["parameters"] = {"seed": {"values": list(range(num_runs))}}
    file = folder / "sweep.yaml"
    file.write_text(yaml.safe_dump(sweep, sort_keys=False))
    wandb = [sys.executable, "-m", "wandb"]
    with WandbStub() as stub:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**stub.environment, "WANDB_DIR": str(folder), "PATH": path}
        run(*wandb, "sweep", str(file), environment=environment)
        (name,) = stub.sweeps
        run(*wandb, "agent", "--forward-signals", f"{ENTITY}/{PROJECT}/{name}", environment=environment)


def by_slurm(settings: list[str], num_runs: int, folder: Path) -> None:
    """By hydra/launcher=slurm, as many at a time as there are cores."""
    from tests.slurm.cluster import slurm_cluster

    launcher = [f"array_parallelism={cpu_count()}", "cpus_per_task=1", "poll_seconds=1"]
    words = ["hydra/launcher=slurm", *(f"hydra.launcher.{word}" for word in launcher)]
    with slurm_cluster(folder) as cluster:
        by_launcher(*words, environment=cluster.environment)(settings, num_runs, folder)


def seconds(name: str, way: Way, num_runs: int) -> float:
    """How long a way takes for all runs, once it has been seen that it made them."""
    with tempfile.TemporaryDirectory(prefix="sweep") as folder:
        started = time.perf_counter()
        way([*TINY, f"paths.runs={folder}/runs"], num_runs, Path(folder))
        taken = time.perf_counter() - started
        made = len(list(Path(folder).glob("runs/digits/*/seed_*/result.json")))
        if made != num_runs:
            raise RuntimeError(f"{name} made {made} of {num_runs} runs")
        return taken


def ways() -> dict[str, tuple[Way, int]]:
    """The ways there are here, and how many runs each makes at a time."""
    cores = cpu_count()
    found: dict[str, tuple[Way, int]] = {
        SHELL: (by_shell, 1),
        "--multirun, in one process": (by_launcher(), 1),
        "hydra/launcher=local": (by_launcher("hydra/launcher=local", "hydra.launcher.cpu_slots=1"), 1),
        "W&B agent": (by_agent, 1),
        f"hydra/launcher=local, {cores} at a time": (by_launcher("hydra/launcher=local"), cores),
    }
    if shutil.which("slurmctld") and os.geteuid() == 0:
        found[f"hydra/launcher=slurm, {cores} at a time"] = (by_slurm, cores)
    return found


def overheads(num_runs: int) -> str:
    """The table of all ways."""
    found = ways()
    taken = {name: seconds(name, way, num_runs) for name, (way, _) in found.items()}
    shell = taken[SHELL] / num_runs
    rows = []
    for name, (_, at_once) in found.items():
        each = taken[name] / num_runs
        more = f"{each - shell:+.2f}" if at_once == 1 else ""
        rows.append([name, at_once, f"{taken[name]:.0f}", f"{each:.2f}", more, f"{shell / each:.2f}"])
    headers = ["by", "at a time", "s in all", "s a run", "s a run more", "times as fast as the shell loop"]
    return table(rows, headers)


def starts(count: int) -> str:
    """How long commands take to start."""
    with tempfile.TemporaryDirectory(prefix="start") as folder:
        words = [*TINY, f"paths.runs={folder}"]
        commands: dict[str, Sequence[str]] = {
            "python -c 'import torch'": [sys.executable, "-c", "import torch"],
            "python -c 'import lightning'": [sys.executable, "-c", "import lightning"],
            "python src/train.py --help": [*TRAIN, "--help"],
            "python src/train.py, to its first step": [
                sys.executable,
                "-c",
                FIRST_STEP,
                TRAIN[1],
                *words,
                "resume=never",
            ],
        }
        times = {name: [timed(partial(run, *command)) for _ in range(count)] for name, command in commands.items()}
    rows = [[name, f"{statistics.median(each):.2f}", f"{min(each):.2f}"] for name, each in times.items()]
    return table(rows, ["command", "s, median", "s, least"])


def timed(call: Callable[[], None]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def main() -> None:
    parser = arguments_parser(__doc__, rounds=5)
    parser.add_argument("--runs", type=int, default=32)
    arguments = parser.parse_args()
    sys.path.append(str(PROJECT_ROOT))  # of the tests' stub and cluster
    parts = {
        "# Sweeps": lambda: setting(packages=("hydra-core", "wandb", "submitit")),
        "## To start": lambda: starts(arguments.rounds),
        f"## {arguments.runs} runs": lambda: overheads(arguments.runs),
    }
    report(parts, arguments.save)


if __name__ == "__main__":
    main()
