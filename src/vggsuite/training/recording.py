"""The record of a run that just ended, from its parts."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from torch import Tensor

from vggsuite.config import TrainConfig
from vggsuite.data.module import ImageData
from vggsuite.evaluation.metrics import top_k_error
from vggsuite.models.vgg import VGG
from vggsuite.results.environment import environment, peak_memory, repeat_command
from vggsuite.results.record import Record
from vggsuite.training.devices import uses_gpu


def make_record(
    config: TrainConfig,
    data: ImageData,
    net: VGG,
    *,
    origin: dict[str, Any],
    fitted: dict[str, Any],
    ranks: Tensor,
    started: datetime,
) -> Record:
    """Everything there is to say of the run that just ended.

    Args:
        origin: where its weights came from.
        fitted: what was measured while it trained.
        ranks: of the right class of every test image, as `rank_of_label` gives them.
        started: when.
    """
    gpu = uses_gpu(config.trainer)
    return Record(
        experiment=config.experiment,
        variant=config.variant,
        seed=config.seed,
        command=repeat_command(config.overrides),
        model=asdict(config.model) | {"parameters": sum(p.numel() for p in net.parameters())},
        train_scale=list(data.scale),
        test={
            "protocol": "dense",
            "scales": [data.test_scale(config.test.scale)],
            "flip": config.data.flip,
            "average": str(config.test.average),
        },
        data=describe(data),
        recipe=asdict(config.recipe) | {"precision": fitted["precision"]},
        init=origin,
        metrics=errors(ranks),
        selection={
            "by": str(config.recipe.selection),
            "best_epoch": fitted["best_epoch"],
            "top1_error": fitted["best_top1_error"],
        },
        cost={key: fitted[key] for key in ("epochs", "images_per_second", "devices", "final_lr")}
        | {"wall_seconds": round((datetime.now(UTC) - started).total_seconds(), 1)}
        | peak_memory(gpu),
        environment=environment(gpu) | {"started": started.isoformat(timespec="seconds")},
    )


def describe(data: ImageData) -> dict[str, Any]:
    """The data set: what it is, and how many images had which part in the run."""
    return {
        "name": data.config.name,
        "fingerprint": data.images.fingerprint(),
        "crop": data.config.crop,
        "mean": data.config.mean,
        "num_classes": len(data.images.classes),
        "num_train": len(data.train),
        "num_val": len(data.val),
        "num_test": len(data.test),
    }


def errors(ranks: Tensor) -> dict[str, float]:
    """Top-1 and top-5 error in percent, and the number of images behind them."""
    return {"top1_error": top_k_error(ranks, 1), "top5_error": top_k_error(ranks, 5), "num_images": len(ranks)}
