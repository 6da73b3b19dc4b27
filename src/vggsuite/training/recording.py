"""The record of a run that just ended, from its parts."""

from dataclasses import asdict
from typing import Any

import torch

from vggsuite.data.module import ImageData
from vggsuite.data.skipping import told_of
from vggsuite.devices import chosen_precision, uses_gpu
from vggsuite.models.build import build_net
from vggsuite.models.net import multiply_adds
from vggsuite.results.environment import environment
from vggsuite.training.objective import Run


def record_fields(run: Run, fitted: dict[str, Any], *, command: str) -> dict[str, Any]:
    """Everything there is to say of a run that just ended, but for its test.

    Args:
        run: the run.
        fitted: what was measured while it trained.
        command: what repeats it.
    """
    config, gpu = run.config, uses_gpu(run.config.trainer)
    return {
        "experiment": config.experiment,
        "variant": config.variant,
        "seed": config.seed,
        "command": command,
        "model": asdict(config.model) | sizes(run),
        "train_scale": list(run.data.scale),
        "data": describe(run.data),
        "recipe": asdict(config.recipe) | {"precision": str(chosen_precision(config.recipe.precision, gpu=gpu))},
        "init": run.history.origin,
        "selection": {"by": str(config.recipe.selection), **fitted["selection"]},
        "cost": fitted["cost"] | {"wall_seconds": round(run.history.wall_seconds, 1)},
        "environment": environment(run.history.started, gpu=gpu),
    }


def sizes(run: Run) -> dict[str, int]:
    """The number of parameters of a run's net, and of multiply-adds that it takes for a crop."""
    crop = run.config.data.crop
    with torch.device("meta"):
        net = build_net(run.config.model, num_classes=run.net.last.out_features, crop=crop).eval()
    return {"parameters": net.num_parameters(), "multiply_adds": multiply_adds(net, crop)}


def describe(data: ImageData) -> dict[str, Any]:
    """The data set: what it is, and how many images had which part in the run."""
    return {
        "name": data.config.name,
        "fingerprint": data.images.fingerprint(),
        "train_fingerprint": data.images.train_fingerprint(),
        "crop": data.config.crop,
        "decoder": str(data.config.decoder),
        "re_encoded": data.images.re_encoded,
        "skipped": told_of(data.images.left_out),
        "mean": data.config.mean,
        "std": data.config.std,
        "num_classes": len(data.images.classes),
        "num_train": len(data.train),
        "num_val": len(data.val),
        "num_test": len(data.images.val),
    }
