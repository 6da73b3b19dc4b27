"""The record of a run that just ended, from its parts."""

from dataclasses import asdict
from typing import Any

from vggsuite.config import TrainConfig
from vggsuite.data.module import ImageData
from vggsuite.devices import chosen_precision, uses_gpu
from vggsuite.models.vgg import VGG
from vggsuite.naming import repeat_command
from vggsuite.results.environment import environment
from vggsuite.results.record import Evaluation, Record
from vggsuite.training.resuming import History


def make_record(
    config: TrainConfig,
    data: ImageData,
    net: VGG,
    *,
    history: History,
    fitted: dict[str, Any],
    test: Evaluation,
) -> Record:
    """Everything there is to say of the run that just ended.

    Args:
        history: of its parts.
        fitted: what was measured while it trained.
        test: the evaluation that ended it.
    """
    gpu = uses_gpu(config.trainer)
    return Record(
        experiment=config.experiment,
        variant=config.variant,
        seed=config.seed,
        command=repeat_command("train.py", config.overrides),
        model=asdict(config.model) | {"parameters": sum(p.numel() for p in net.parameters())},
        train_scale=list(data.scale),
        test=test.protocol,
        data=describe(data),
        recipe=asdict(config.recipe) | {"precision": str(chosen_precision(config.recipe.precision, gpu=gpu))},
        init=history.origin,
        metrics=test.metrics,
        selection={"by": str(config.recipe.selection), **fitted["selection"]},
        cost=fitted["cost"] | {"wall_seconds": round(history.wall_seconds, 1)},
        environment=environment(history.started, gpu=gpu),
    )


def describe(data: ImageData) -> dict[str, Any]:
    """The data set: what it is, and how many images had which part in the run."""
    return {
        "name": data.config.name,
        "fingerprint": data.images.fingerprint(),
        "train_fingerprint": data.images.train_fingerprint(),
        "crop": data.config.crop,
        "decoder": str(data.config.decoder),
        "re_encoded": data.images.re_encoded,
        "mean": data.config.mean,
        "std": data.config.std,
        "num_classes": len(data.images.classes),
        "num_train": len(data.train),
        "num_val": len(data.val),
        "num_test": len(data.images.val),
    }
