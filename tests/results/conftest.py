"""Records of runs that never were, for tests of tables."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vggsuite.results.record import PREDICTIONS_FILE, Record, write_record

MakeRun = Callable[..., Path]


def make_record(experiment: str, **changes: Any) -> Record:
    content: dict[str, Any] = {
        "experiment": experiment,
        "variant": "",
        "seed": 0,
        "command": f"python src/train.py experiment={experiment}",
        "model": {"depth": 11, "parameters": 3_740_000},
        "train_scale": [37, 37],
        "test": {"protocol": "dense", "scales": [37], "flip": False, "average": "scores"},
        "data": {"name": "digits", "fingerprint": "0123456789abcdef", "num_classes": 10, "num_test": 200, "crop": 32},
        "recipe": {},
        "init": {},
        "metrics": {"top1_error": 10.0, "top5_error": 1.0, "num_images": 200},
        "selection": {},
        "cost": {"wall_seconds": 75.0},
        "environment": {"git_commit": "0123456789abcdef", "git_dirty": False, "started": "2026-01-01T00:00:00+00:00"},
    }
    return Record(**(content | changes))


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Write the folder of a run of which the images of indices `wrong`, out of 200, were classified wrongly."""

    def make(experiment: str, wrong: range = range(20), **changes: Any) -> Path:
        record = make_record(experiment, **({"metrics": metrics(wrong)} | changes))
        folder = tmp_path / "runs" / record.data["name"] / f"{experiment}{record.variant}" / f"seed_{record.seed}"
        folder.mkdir(parents=True)
        rank = np.zeros(200, int)
        rank[wrong] = 1
        np.savez(folder / PREDICTIONS_FILE, rank=rank)
        write_record(record, folder)
        return folder

    return make


def metrics(wrong: range) -> dict[str, float]:
    return {"top1_error": len(wrong) / 2, "top5_error": len(wrong) / 20, "num_images": 200}
