"""What a run shows and measures while it trains."""

import sys
import time
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, TQDMProgressBar

from vggsuite.errors import UserError


class Stopwatch(Callback):
    """Measures training alone, without validation: `seconds` and `images` over all epochs."""

    def __init__(self) -> None:
        self.seconds, self.images = 0.0, 0
        self.started = 0.0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.started = time.perf_counter()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.images += len(batch[0]) * trainer.world_size

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.seconds += time.perf_counter() - self.started

    @property
    def images_per_second(self) -> float:
        return self.images / self.seconds if self.seconds else 0.0


class EpochLines(Callback):
    """One line an epoch, for logs and terminals alike; ends a run whose loss is no number any more."""

    def __init__(self, name: str, stopwatch: Stopwatch) -> None:
        self.name, self.stopwatch = name, stopwatch

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        metrics = trainer.callback_metrics
        lr = trainer.optimizers[0].param_groups[0]["lr"]
        if not metrics["train/loss"].isfinite():
            raise UserError(
                f"training diverged in epoch {trainer.current_epoch + 1}, its loss is {metrics['train/loss']}; type a "
                f"recipe.lr below {lr:.2g}."
            )
        if not trainer.is_global_zero:
            return
        print(
            f"{self.name}  epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  loss {metrics['train/loss']:.3f}  "
            f"val top-1 error {metrics['val/top1_error']:.2f}%  lr {lr:.2g}  "
            f"{self.stopwatch.images_per_second:.0f} images/s",
            flush=True,
        )


def progress_bar() -> list[Callback]:
    """A progress bar where a person looks on, none in a log file."""
    return [TQDMProgressBar(refresh_rate=10)] if sys.stderr.isatty() else []
