"""Records of runs and evaluations that never were, for tests of tables."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vggsuite.protocol import Method, Protocol
from vggsuite.results.predictions import PREDICTIONS_FILE
from vggsuite.results.record import (
    OF_TRAINING_IMAGES,
    Evaluation,
    Record,
    evaluation_folder,
    write_evaluation,
    write_record,
)

MakeRun = Callable[..., Path]
MakeEvaluation = Callable[..., Path]
STATE = {"git_commit": "0123456789abcdef", "git_dirty": False, "started": "2026-01-01T00:00:00+00:00"}
IMAGES = {"name": "digits", "fingerprint": "0123456789abcdef", "num_classes": 10}
DENSE = Protocol(Method.dense, (37,), flip=False)


def make_record(experiment: str, **changes: Any) -> Record:
    content: dict[str, Any] = {
        "experiment": experiment,
        "variant": "",
        "seed": 0,
        "command": f"python src/train.py experiment={experiment}",
        "model": {"depth": 11, "parameters": 3_740_000},
        "train_scale": [37, 37],
        "test": asdict(DENSE),
        "data": IMAGES | {"train_fingerprint": "89abcdef", "num_test": 200, "crop": 32},
        "recipe": {},
        "init": {},
        "metrics": metrics(range(20)),
        "selection": {},
        "cost": {"wall_seconds": 75.0},
        "environment": STATE,
    }
    return Record(**(content | changes))


def write_run(runs: Path, experiment: str, wrong: range = range(20), **changes: Any) -> Path:
    """Write the folder, below `runs`, of a run of which the images of indices `wrong`, out of 200, were classified
    wrongly."""
    record = make_record(experiment, **({"metrics": metrics(wrong)} | changes))
    folder = runs / record.name
    folder.mkdir(parents=True)
    write_record(record, folder)
    data = {key: record.data.get(key, 10) for key in IMAGES}
    write_made_evaluation(folder, DENSE, wrong, command=record.command, data=data)
    return folder


def write_learnt(runs: Path, experiment: str, wrong: range, learnt: range, **changes: Any) -> Path:
    """As `write_run`, with an evaluation of the images that the run was trained on."""
    folder = write_run(runs, experiment, wrong, metrics=metrics(wrong) | {"train": metrics(learnt)}, **changes)
    write_made_evaluation(folder, DENSE, learnt, suffix=OF_TRAINING_IMAGES)
    return folder


def write_made_evaluation(
    folder: Path, protocol: Protocol | None, wrong: range, suffix: str = "", **changes: Any
) -> Path:
    """Write an evaluation of the run in `folder`, or, without a protocol, the fusion in `folder`."""
    place = evaluation_folder(folder, protocol, suffix) if protocol else folder
    place.mkdir(parents=True)
    name = str(place).partition("runs/")[2]
    content: dict[str, Any] = {
        "name": name,
        "of": [{"run": str(folder).partition("runs/")[2], "started": STATE["started"], "sha256": "0"}],
        "protocol": asdict(protocol) if protocol else {"method": "dense"},
        "members": [],
        "command": f"python src/evaluate.py {name}",
        "data": IMAGES,
        "metrics": metrics(wrong),
        "published": [],
        "cost": {},
        "environment": STATE,
    }
    ranks = np.zeros(200, int)
    ranks[wrong] = 1
    np.savez(place / PREDICTIONS_FILE, ranks=ranks)
    write_evaluation(Evaluation(**(content | changes)), place)
    return place


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """`write_run` below tmp_path/runs."""
    return partial(write_run, tmp_path / "runs")


@pytest.fixture
def make_evaluation() -> MakeEvaluation:
    """`write_made_evaluation`."""
    return write_made_evaluation


def metrics(wrong: range) -> dict[str, Any]:
    top1, top5 = len(wrong) / 2, len(wrong) / 20
    return {
        "top1_error": top1,
        "top1_interval": [top1 - 1, top1 + 2],
        "top5_error": top5,
        "top5_interval": [max(0, top5 - 1), top5 + 1],
        "num_images": 200,
        "confidence": 0.95,
    }
