"""What a person sees of a run: the bar, and what loggers are given."""

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.results.conftest import make_record, metrics
from vggsuite.training.callbacks import Stopwatch
from vggsuite.training.loggers import loggers
from vggsuite.training.progress import ProgressBar, progress_bar
from vggsuite.training.showing import log_test, row_of


def trainer(**changes: Any) -> Any:
    group = {"lr": 0.005}
    told: dict[str, Any] = {"num_training_batches": 10, "max_epochs": 4, "current_epoch": 0, "is_global_zero": True}
    told |= {"optimizers": [SimpleNamespace(param_groups=[group])], "fit_loop": fit_loop(0)}
    return SimpleNamespace(**told | changes)


def fit_loop(batches: int) -> Any:
    """Lightning's, after so many batches of the epoch."""
    progress = SimpleNamespace(current=SimpleNamespace(ready=batches))
    return SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=progress))


def test_the_bar_tells_what_is_left_and_what_it_waits_for() -> None:
    screen = io.StringIO()
    watch = Stopwatch()
    watch.started = 0.0
    bar = ProgressBar(watch, Console(file=screen, force_terminal=True, width=120))
    bar.on_train_start(trainer(), None)  # type: ignore[arg-type]
    watch.lap = lambda: None  # type: ignore[method-assign]
    watch.seconds, watch.num_images, watch.seconds_waited = 10.0, 1200, 3.8
    bar.on_train_batch_end(trainer(current_epoch=2), None, None, None, 4)  # type: ignore[arg-type]
    (task,) = bar.progress.tasks
    assert (task.completed, task.total) == (25, 40)
    assert task.fields == {"epoch": "3/4", "told": "120 images/s  lr 0.005  38% waiting", "earlier": 0.0}
    bar.on_train_end(trainer(), None)  # type: ignore[arg-type]
    assert bar.progress.finished
    assert "120 images/s" in screen.getvalue()


def test_a_run_that_goes_on_begins_where_it_was() -> None:
    screen, watch = io.StringIO(), Stopwatch()
    watch.seconds = 3600.0
    bar = ProgressBar(watch, Console(file=screen, force_terminal=True, width=120))
    bar.on_train_start(trainer(current_epoch=3, fit_loop=fit_loop(4)), None)  # type: ignore[arg-type]
    bar.on_exception(trainer(), None, KeyboardInterrupt())  # type: ignore[arg-type]
    assert bar.progress.tasks[0].completed == 34
    assert bar.progress.tasks[0].speed is None  # nothing is known of what is left
    assert "1:00:0" in screen.getvalue()
    assert not bar.progress.live.is_started


def test_one_process_of_several_has_a_bar() -> None:
    bar = ProgressBar(Stopwatch(), Console(file=io.StringIO()))
    bar.on_train_start(trainer(is_global_zero=False), None)  # type: ignore[arg-type]
    bar.on_train_batch_end(trainer(is_global_zero=False), None, None, None, 4)  # type: ignore[arg-type]
    bar.on_train_end(trainer(is_global_zero=False), None)  # type: ignore[arg-type]
    assert bar.progress.tasks == []


def test_a_log_file_has_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    for terminal, bars in ((True, 1), (False, 0)):
        monkeypatch.setattr("sys.stderr", SimpleNamespace(isatty=lambda terminal=terminal: terminal))
        assert len(progress_bar(Stopwatch())) == bars


def test_a_run_is_a_row_with_its_intervals() -> None:
    row = row_of(make_record("table3/a", metrics=metrics(range(20))))
    assert row["experiment"] == "table3/a"
    assert row["S"] == "37"
    assert (row["top1_error"], row["top1_interval low"], row["top1_interval high"]) == (10.0, 9.0, 12.0)
    assert (row["parameters"], row["minutes"]) == (3_740_000, 1.25)


def test_the_file_of_tensorboard_is_complete_when_a_run_ends(tmp_path: Path) -> None:
    """Whether or not the run has pictures: the thread that writes it ends with the process, written or not."""
    place = {"save_dir": str(tmp_path), "name": "", "version": "tensorboard"}
    chosen = {"_target_": "lightning.pytorch.loggers.TensorBoardLogger"} | place
    with loggers(chosen, tmp_path, {}) as where:
        log_test(where, make_record("table3/a"), 7)
    assert isinstance(where[-1], TensorBoardLogger)
    assert where[-1].experiment.all_writers is None  # closed
    found = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in found.Scalars("test/top1_error")] == [7]
