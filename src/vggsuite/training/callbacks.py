"""What a run shows and measures while it trains."""

import time
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from vggsuite.data.loader import ViewLoader
from vggsuite.training.metrics_file import MetricsFile
from vggsuite.training.processes import of_all_processes, of_this_process

MUCH = 0.1  # of the time, spent waiting for images


class Stopwatch(Callback):
    """Measures training alone, without validation, over all parts of an interrupted run.

    Attributes:
        seconds: of all epochs.
        num_images: on all devices.
        seconds_waited: of them, how long the first device's process waited for images. (A GPU has work left meanwhile;
            where this is much, it has none.)
        num_loaded: images that this process loaded.
        num_by_pillow: of those, for how many Pillow was needed though another decoder was asked for.
    """

    SAVED = ("seconds", "num_images", "seconds_waited", "num_loaded", "num_by_pillow")

    def __init__(self) -> None:
        self.seconds, self.num_images = 0.0, 0
        self.seconds_waited, self.num_loaded, self.num_by_pillow = 0.0, 0, 0
        self.started = 0.0
        self.loader: ViewLoader | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        loader = trainer.train_dataloader
        self.loader = loader if isinstance(loader, ViewLoader) else None
        self.started = time.perf_counter()  # an epoch that goes on does not start

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.started = time.perf_counter()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.num_images += len(batch[0]) * trainer.world_size

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.lap()

    def lap(self) -> None:
        """Take down what there was since the last lap."""
        now = time.perf_counter()
        self.seconds, self.started = self.seconds + now - self.started, now
        if self.loader:
            waited, loaded, by_pillow = self.loader.take_counts()
            self.seconds_waited += waited
            self.num_loaded += loaded
            self.num_by_pillow += by_pillow

    def state_dict(self) -> dict[str, Any]:
        self.lap()
        return {name: getattr(self, name) for name in self.SAVED}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        vars(self).update(state_dict)

    @property
    def images_per_second(self) -> float:
        return self.num_images / self.seconds if self.seconds else 0.0

    @property
    def share_waited(self) -> float:
        return self.seconds_waited / self.seconds if self.seconds else 0.0

    @property
    def share_by_pillow(self) -> float:
        return self.num_by_pillow / self.num_loaded if self.num_loaded else 0.0


class Losses(Callback):
    """Logs the mean loss of every epoch, `train/loss`, and the learning rate in it, `train/lr`; and every
    `log_every_n_steps` steps the mean loss of the steps since, `train/recent_loss`, of those
    losses that are numbers. Other steps log nothing: it would cost Lightning a millisecond each, and a GPU a wait."""

    def __init__(self) -> None:
        self.losses: list[Tensor] = []  # of the epoch
        self.recent: list[Tensor] = []  # since the last that was logged, which may be an epoch ago

    def state_dict(self) -> dict[str, Any]:
        kept = {name: torch.stack(losses).tolist() if losses else [] for name, losses in self.kept().items()}
        return {"by_process": of_all_processes(kept)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name, losses in self.kept().items():
            losses[:] = [torch.tensor(loss) for loss in of_this_process(state_dict["by_process"])[name]]

    def kept(self) -> dict[str, list[Tensor]]:
        return {"losses": self.losses, "recent": self.recent}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for losses in self.kept().values():  # of an earlier part of the run
            losses[:] = [loss.to(pl_module.device) for loss in losses]

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.losses.clear()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        loss = outputs["loss"] * trainer.accumulate_grad_batches  # Lightning has divided it
        self.losses.append(loss)
        self.recent.append(loss)
        if len(self.recent) == trainer.log_every_n_steps * trainer.accumulate_grad_batches:  # type: ignore[attr-defined]
            mean = trainer.strategy.reduce(finite_mean(self.recent), reduce_op="mean")
            metrics = {"train/recent_loss": float(mean), "epoch": trainer.current_epoch}
            for logger in trainer.loggers:  # now: Lightning would after this step's state may have been saved
                logger.log_metrics(metrics, step=trainer.global_step - 1)
            self.recent.clear()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        pl_module.log("train/loss", finite_mean(self.losses), sync_dist=True)
        rate = {"train/lr": trainer.optimizers[0].param_groups[0]["lr"], "epoch": trainer.current_epoch}
        for logger in trainer.loggers:  # not by Lightning, which would make a float32 of it
            logger.log_metrics(rate, step=trainer.global_step - 1)


def finite_mean(losses: list[Tensor]) -> Tensor:
    """The mean of those losses that are numbers."""
    values = torch.stack(losses)
    return values[values.isfinite()].mean()


class EpochLines(Callback):
    """One line an epoch, for logs and terminals alike.

    Args:
        name: of the run.
        stopwatch: of its training.
        watched: the logged error, in percent, that a line tells.
        advice: what to do where the device waits for images for long.
    """

    def __init__(self, name: str, stopwatch: Stopwatch, watched: str, advice: str = "") -> None:
        self.name, self.stopwatch, self.watched, self.advice = name, stopwatch, watched, advice
        self.told = watched.replace("/", " ").replace("top1", "top-1").replace("_", " ")  # "val top-1 error"

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        metrics = trainer.callback_metrics
        lr = trainer.optimizers[0].param_groups[0]["lr"]
        if not trainer.is_global_zero:
            return
        speed = {
            "train/images_per_second": self.stopwatch.images_per_second,
            "train/share_waiting_for_images": self.stopwatch.share_waited,
        }
        for logger in trainer.loggers:
            if not isinstance(logger, MetricsFile):  # whose rows are the same however fast a run was
                logger.log_metrics(speed, step=trainer.global_step - 1)
        print(
            f"{self.name}  epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  loss {metrics['train/loss']:.3f}  "
            f"{self.told} {metrics[self.watched]:.2f}%  lr {lr:.2g}  "
            f"{self.stopwatch.images_per_second:.0f} images/s{self.remarks()}",
            flush=True,
        )

    def remarks(self) -> str:
        """What is worth knowing of the images' way to the net, if anything is."""
        watch = self.stopwatch
        waited = f", {watch.share_waited:.0%} of the time waiting for them" if watch.share_waited >= 0.005 else ""
        waited += self.advice if watch.share_waited >= MUCH else ""
        pillow = f", {watch.share_by_pillow:.0%} of them read by Pillow" if watch.share_by_pillow > 0 else ""
        return waited + pillow
