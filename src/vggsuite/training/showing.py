"""What loggers that show more than curves, TensorBoard and W&B, are given beside them, under the same names."""

from collections.abc import Mapping, Sequence
from typing import Any

import lightning as L
import numpy as np
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from tabulate import tabulate
from torchvision.utils import make_grid

from vggsuite.results.record import Record
from vggsuite.results.tables import scale_text
from vggsuite.training.processes import is_first_process

MOST_VIEWS = 32


def shown_by(where: Sequence[Logger]) -> list[TensorBoardLogger | WandbLogger]:
    """The loggers that show pictures and tables."""
    return [logger for logger in where if isinstance(logger, TensorBoardLogger | WandbLogger)]


def log_pictures(where: Sequence[Logger], pictures: Mapping[str, np.ndarray], step: int) -> None:
    """Give pictures, uint8 [height, width, 3] by name, to the loggers that show them."""
    for logger in shown_by(where):
        for name, pixels in pictures.items():
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image(name, pixels, step, dataformats="HWC")
            else:
                logger.log_image(name, [pixels], step=step)


def log_test(where: Sequence[Logger], record: Record, step: int) -> None:
    """Give the errors of a finished run, `test/...`, and its row of a table, `test/table`, to the loggers that show
    such; W&B has the errors in its summary, by `log_record`."""
    row = row_of(record)
    for logger in shown_by(where):
        if isinstance(logger, TensorBoardLogger):
            logger.log_metrics({f"test/{name}": value for name, value in errors_of(record).items()}, step=step)
            logger.experiment.add_text("test/table", tabulate([row], headers="keys", tablefmt="github"), step)
        else:
            logger.log_table("test/table", columns=list(row), data=[list(row.values())], step=step)


def errors_of(record: Record) -> dict[str, float]:
    """The errors, in percent; those on the images trained on, where they are known, as `training_...`."""
    sides = {"": record.metrics, "training_": record.metrics.get("train", {})}
    return {
        f"{side}{name}": value
        for side, metrics in sides.items()
        for name, value in metrics.items()
        if name.endswith("_error")
    }


def row_of(record: Record) -> dict[str, Any]:
    """A run as a row of a table: what it is, its errors with their intervals, and what it cost."""
    intervals = {
        f"{name} {end}": value
        for name, ends in record.metrics.items()
        if name.endswith("_interval")
        for end, value in zip(("low", "high"), ends, strict=True)
    }
    return {
        "experiment": record.experiment,
        "seed": record.seed,
        "S": scale_text(record.train_scale),
        **errors_of(record),
        **intervals,
        "parameters": record.model["parameters"],
        "minutes": round(record.cost["wall_seconds"] / 60, 2),
    }


class FirstViews(Callback):
    """Shows what training sees: the first batch's views, before the colours are shifted, as `train/views`."""

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == 0 and batch_idx == 0 and is_first_process() and shown_by(trainer.loggers):
            grid = make_grid(batch[0][:MOST_VIEWS].cpu(), padding=1)
            log_pictures(trainer.loggers, {"train/views": grid.permute(1, 2, 0).numpy()}, step=0)
