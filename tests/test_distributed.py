"""Runs of several processes, here on the CPU: they compute what one process does, and stop and go on together."""

import csv
import json
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.conftest import ROOT, TINY, MakeTree, call_command, run_command
from vggsuite.errors import UserError
from vggsuite.finished_run import load_checkpoint
from vggsuite.training.trainer_settings import check_processes

pytestmark = pytest.mark.slow

DDP = ("trainer.devices=2", "trainer.strategy=ddp")
EXACT = ("recipe.precision=fp32", "model.dropout=0", "model.width=0.1", "recipe.batch_size=256", "recipe.epochs=3")


def weights_of(folder: Path) -> Tensor:
    return torch.cat([value.flatten() for value in load_checkpoint(folder).weights.values()])


def errors_of(folder: Path) -> list[float]:
    """The error on the held-out images after each epoch."""
    with (folder / "metrics.csv").open(newline="") as file:
        return [float(row["val/top1_error"]) for row in csv.DictReader(file) if row["val/top1_error"]]


def run_on_two_nodes(*words: str) -> None:
    """One process on each of two nodes, started by torchrun; both nodes are this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1"]
    torchrun += ["--master-addr=127.0.0.1", f"--master-port={port}"]
    command = [str(ROOT / "src/train.py"), *words, "trainer.strategy=ddp", "trainer.num_nodes=2"]
    with ExitStack() as stack:
        nodes = [stack.enter_context(subprocess.Popen([*torchrun, f"--node-rank={rank}", *command])) for rank in (0, 1)]
        assert [node.wait(timeout=120) for node in nodes] == [0, 0]


def test_devices_nodes_and_accumulation_do_not_change_a_run(make_tree: MakeTree, tmp_path: Path) -> None:
    """The same global batches leave the same weights, to rounding; each held-out image counts once, of an odd number
    of them."""
    settings = [*TINY, f"data.root={make_tree(images=203)}", *EXACT, "data.held_out=0.306"]
    ways = {"one": [], "pieces": ["trainer.accumulate_grad_batches=4"], "two": [*DDP], "other": ["seed=1"]}
    for way, extra in ways.items():
        command = run_command if way == "two" else call_command
        result = command("train.py", *settings, *extra, f"hydra.run.dir={tmp_path / way}")
        assert result.returncode == 0, result.stderr
    run_on_two_nodes(*settings, f"hydra.run.dir={tmp_path / 'nodes'}")
    weights = {way: weights_of(tmp_path / way) for way in (*ways, "nodes")}
    moved = (weights["one"] - weights["other"]).abs().max()
    for way, devices in (("pieces", 1), ("two", 2), ("nodes", 2)):
        record = json.loads((tmp_path / way / "result.json").read_text())
        assert record["cost"]["devices"] == devices
        assert record["data"]["num_val"] % 2 == 1
        assert (weights["one"] - weights[way]).abs().max() <= 1e-4 * moved, way
        assert errors_of(tmp_path / way) == pytest.approx(errors_of(tmp_path / "one"), abs=1e-4)


def test_two_processes_stop_together_and_go_on(make_tree: MakeTree, tmp_path: Path) -> None:
    settings = [*TINY, *DDP, f"data.root={make_tree(images=60)}", "recipe.epochs=6", "recipe.patience=100"]
    assert run_command("train.py", *settings, f"hydra.run.dir={tmp_path / 'whole'}").returncode == 0
    words = [*settings, f"hydra.run.dir={tmp_path / 'parts'}"]
    process = subprocess.Popen([sys.executable, str(ROOT / "src/train.py"), *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while "epoch 2/" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143
    assert not (tmp_path / "parts/result.json").exists()
    result = run_command("train.py", *words)
    assert "goes on after step" in result.stdout, result.stderr
    assert torch.equal(weights_of(tmp_path / "whole"), weights_of(tmp_path / "parts"))
    assert (tmp_path / "whole/metrics.csv").read_text() == (tmp_path / "parts/metrics.csv").read_text()


TORCHRUN = {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"}
SRUN = {"SLURM_NTASKS": "8", "SLURM_NNODES": "2", "SLURM_JOB_NAME": "train"}


@pytest.mark.parametrize(
    ("variables", "changes", "told"),
    [
        (TORCHRUN, {}, r"torchrun started 4 process\(es\) on each of 2 node\(s\)"),
        (TORCHRUN, {"devices": 4}, "type --nnodes=1 --nproc-per-node=4, or trainer.num_nodes=2 trainer.devices=4"),
        (SRUN, {"devices": 8}, "type srun --nodes=1 --ntasks-per-node=8, or trainer.num_nodes=2 trainer.devices=4"),
        ({}, {"strategy": "fsdp"}, "trainer.strategy=fsdp needs GPUs, and this run is on the CPU"),
        ({}, {"sync_batchnorm": True}, "trainer.sync_batchnorm=true needs GPUs"),
    ],
)
def test_processes_that_do_not_fit_are_told(
    variables: dict[str, str], changes: dict[str, object], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    trainer = {"accelerator": "cpu", "devices": 1, "num_nodes": 1, "strategy": "ddp"}
    with pytest.raises(UserError, match=told):
        check_processes(trainer | changes)
    if variables:
        check_processes(trainer | {"devices": 4, "num_nodes": 2})
