"""What a person sees of a run while it trains."""

import sys
import time
from datetime import timedelta
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from vggsuite.training.callbacks import Stopwatch

SECONDS = 0.5  # between two looks at the stopwatch


class TimeGone(ProgressColumn):
    """The time that the parts of a run have taken: the earlier ones in training alone."""

    def render(self, task: Task) -> Text:
        of_this_part = task.finished_time or task.elapsed or 0.0
        return Text(str(timedelta(seconds=int(task.fields["earlier"] + of_this_part))), style="progress.elapsed")


class ProgressBar(Callback):
    """One bar for the whole run: the epoch, the time that has gone and that is left, images a second, the learning
    rate, and the share of the time that is spent waiting for images. What is left is judged by this part of an
    interrupted run alone.

    Args:
        stopwatch: of the run.
        console: where to.
    """

    def __init__(self, stopwatch: Stopwatch, console: Console) -> None:
        self.stopwatch = stopwatch
        self.progress = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeGone(),
            TextColumn("left"),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[told]}"),
            console=console,
            redirect_stdout=sys.stdout.isatty(),  # else lines that go to a file would end up here
        )
        self.task: TaskID | None = None
        self.looked = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.is_global_zero:  # the others share the terminal
            return
        steps = int(trainer.num_training_batches) * (trainer.max_epochs or 0)
        begun = trainer.fit_loop.epoch_loop.batch_progress.current.ready  # of an epoch that goes on
        self.task = self.progress.add_task(
            "", total=steps, completed=self.done(trainer, begun), epoch="", told="", earlier=self.stopwatch.seconds
        )
        self.progress.start()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.task is None or time.monotonic() - self.looked < SECONDS:
            return
        self.looked = time.monotonic()
        self.stopwatch.lap()
        self.progress.update(
            self.task,
            completed=self.done(trainer, batch_idx + 1),
            epoch=f"{trainer.current_epoch + 1}/{trainer.max_epochs}",
            told=self.told(trainer),
        )

    def done(self, trainer: L.Trainer, batches: int) -> int:
        """How many batches of the run have been learnt from, `batches` of them in this epoch."""
        return trainer.current_epoch * int(trainer.num_training_batches) + batches

    def told(self, trainer: L.Trainer) -> str:
        """What else there is to say."""
        lr = trainer.optimizers[0].param_groups[0]["lr"]
        waiting = f"  {self.stopwatch.share_waited:.0%} waiting" if self.stopwatch.share_waited >= 0.005 else ""
        return f"{self.stopwatch.images_per_second:.0f} images/s  lr {lr:.2g}{waiting}"

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.task is not None:
            self.progress.update(self.task, completed=self.progress.tasks[0].total)
        self.progress.stop()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self.progress.stop()


def progress_bar(stopwatch: Stopwatch) -> list[Callback]:
    """A progress bar where a person looks on, none in a log file."""
    return [ProgressBar(stopwatch, Console(stderr=True))] if sys.stderr.isatty() else []
