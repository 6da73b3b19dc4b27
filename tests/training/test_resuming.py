"""A run that is stopped and goes on ends as one that was not."""

import io
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor

from tests.conftest import TINY, MakeTree
from tests.test_configs import composed
from vggsuite.config import Resume, TrainConfig
from vggsuite.errors import UserError
from vggsuite.finished_run import load_checkpoint
from vggsuite.results.record import read_record
from vggsuite.signals import handling
from vggsuite.training import run
from vggsuite.training.callbacks import Stopwatch
from vggsuite.training.interrupting import interruptible
from vggsuite.training.module import Classification
from vggsuite.training.progress import ProgressBar
from vggsuite.training.resuming import BEFORE, LAST, StateKeeper, is_whole, saved_state
from vggsuite.training.run import train


@pytest.fixture
def config(make_tree: MakeTree, hydra_for_tests: None) -> TrainConfig:
    words = (f"data.root={make_tree(images=12)}", "recipe.epochs=3", "trainer.accumulate_grad_batches=2")
    return composed(*TINY, *words, "+trainer.log_every_n_steps=3")


@pytest.fixture
def stop_at(monkeypatch: pytest.MonkeyPatch) -> dict[int, signal.Signals]:
    """Signals, by the number of the training batch, of all in a test, in which they are sent."""
    signals: dict[int, signal.Signals] = {}
    original, count = Classification.training_step, 0

    def counted(self: Classification, *batch: Any) -> Tensor:
        nonlocal count
        count += 1
        if count in signals:
            os.kill(os.getpid(), signals[count])
        return original(self, *batch)

    monkeypatch.setattr(Classification, "training_step", counted)
    return signals


def run_until_stopped(config: TrainConfig, folder: Path) -> int:
    with pytest.raises(SystemExit) as stopped, interruptible():
        train(config, folder)
    assert not (folder / "result.json").exists()
    return int(str(stopped.value.code))


@pytest.mark.parametrize("number", [1, 3, 8, 9, 11, 24])  # of 8 pieces an epoch: its first, its last, the very last
def test_a_run_that_goes_on_ends_as_one_that_was_never_stopped(
    number: int, config: TrainConfig, stop_at: dict[int, signal.Signals], tmp_path: Path
) -> None:
    train(config, tmp_path / "whole")
    stop_at[24 + number] = signal.SIGTERM
    assert run_until_stopped(config, tmp_path / "parts") == 143
    train(config, tmp_path / "parts")
    whole, parts = (load_checkpoint(tmp_path / name) for name in ("whole", "parts"))
    assert whole.epoch == parts.epoch
    assert all(torch.equal(whole.weights[name], parts.weights[name]) for name in whole.weights)
    assert (tmp_path / "whole/metrics.csv").read_text() == (tmp_path / "parts/metrics.csv").read_text()
    costs = [read_record(tmp_path / name).cost for name in ("whole", "parts")]
    assert costs[0]["epochs"] == costs[1]["epochs"] == 3
    assert not (tmp_path / "parts" / LAST).exists()


def test_a_torn_state_and_other_devices_are_told(
    config: TrainConfig, stop_at: dict[int, signal.Signals], tmp_path: Path
) -> None:
    stop_at[3] = signal.SIGINT
    assert run_until_stopped(config, tmp_path) == 130
    other = replace(config, trainer=config.trainer | {"accumulate_grad_batches": 1})
    with pytest.raises(UserError, match=r"interrupted on 1 device\(s\) with batches in 2 piece\(s\)"):
        train(other, tmp_path)
    (tmp_path / LAST).write_bytes((tmp_path / LAST).read_bytes()[:1000])
    with pytest.raises(UserError, match=r"is damaged \(.*\); begin the run afresh with resume=never"):
        train(config, tmp_path)
    train(replace(config, resume=Resume.never), tmp_path)
    assert (tmp_path / "result.json").is_file()


def test_where_the_last_state_is_torn_the_run_goes_on_from_the_one_before_it(
    config: TrainConfig, stop_at: dict[int, signal.Signals], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(config, tmp_path / "whole")
    stop_at[24 + 19] = signal.SIGTERM
    folder = tmp_path / "parts"
    run_until_stopped(config, folder)
    content = bytearray((folder / LAST).read_bytes())
    content[len(content) // 2] ^= 1  # of as many bytes as before
    (folder / LAST).write_bytes(content)
    train(config, folder)
    assert (
        f"goes on after step 9, the state before the last, whose file {folder / LAST} is torn"
        in capsys.readouterr().out
    )
    whole, parts = (load_checkpoint(tmp_path / name) for name in ("whole", "parts"))
    assert all(torch.equal(whole.weights[name], parts.weights[name]) for name in whole.weights)
    assert (tmp_path / "whole/metrics.csv").read_text() == (folder / "metrics.csv").read_text()
    assert [file.name for file in (folder / "checkpoints").iterdir()] == ["best.ckpt"]


def test_a_torn_state_does_not_take_the_place_of_one_that_is_whole(
    config: TrainConfig, stop_at: dict[int, signal.Signals], tmp_path: Path
) -> None:
    stop_at[19] = signal.SIGTERM
    run_until_stopped(config, tmp_path)
    whole = (tmp_path / BEFORE).read_bytes()
    os.truncate(tmp_path / LAST, 1000)
    stop_at[20 + 1] = signal.SIGTERM
    run_until_stopped(config, tmp_path)  # from the ninth step on, to the tenth
    assert (tmp_path / BEFORE).read_bytes() == whole
    assert is_whole(tmp_path / LAST)


def test_a_run_whose_folder_was_moved_knows_its_best_epoch(
    config: TrainConfig, stop_at: dict[int, signal.Signals], tmp_path: Path
) -> None:
    never_better = replace(config, recipe=replace(config.recipe, lr=1e-12))  # so that the first epoch is the best
    stop_at[20] = signal.SIGTERM
    run_until_stopped(never_better, tmp_path / "there")
    (tmp_path / "there").rename(tmp_path / "here")
    train(never_better, tmp_path / "here")
    assert read_record(tmp_path / "here").selection["best_epoch"] == 1


def test_a_state_without_its_metrics_is_refused(
    config: TrainConfig, stop_at: dict[int, signal.Signals], tmp_path: Path
) -> None:
    stop_at[12] = signal.SIGTERM
    run_until_stopped(config, tmp_path)
    (tmp_path / "metrics.csv").unlink()
    with pytest.raises(UserError, match=r"metrics.csv cannot be read .*begin the run afresh with resume=never"):
        train(config, tmp_path)


def test_a_run_does_not_go_on_with_other_images(
    config: TrainConfig, stop_at: dict[int, signal.Signals], tmp_path: Path
) -> None:
    stop_at[12] = signal.SIGTERM
    run_until_stopped(config, tmp_path / "run")
    cats = Path(config.data.root) / "cat"
    (cats / "cat_000.png").rename(cats / "cat_100.png")
    with pytest.raises(UserError, match=r"training images are not those that are found now .*resume=never"):
        train(config, tmp_path / "run")


def test_the_handler_that_slurms_jobs_are_queued_again_by_is_called(
    config: TrainConfig, stop_at: dict[int, signal.Signals], tmp_path: Path
) -> None:
    called: list[int] = []
    stop_at[2] = signal.SIGUSR2
    with handling([signal.SIGUSR2], lambda signum, frame: called.append(signum)):
        assert run_until_stopped(config, tmp_path) == 128 + signal.SIGUSR2
    assert called == [signal.SIGUSR2]


def test_a_job_that_is_queued_again_goes_on_though_it_was_to_begin_afresh(
    config: TrainConfig, stop_at: dict[int, signal.Signals], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    afresh = replace(config, resume=Resume.never, rerun=True)
    stop_at[12] = signal.SIGTERM
    run_until_stopped(afresh, tmp_path)
    assert saved_state(afresh, tmp_path) is None
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    state = saved_state(afresh, tmp_path)
    assert state is not None
    assert state.num_steps == 6


def test_a_second_signal_ends_a_run_at_once(tmp_path: Path) -> None:
    keeper = StateKeeper(tmp_path / "last.ckpt", minutes=1, history=None, check=print)  # type: ignore[arg-type]
    keeper.note(signal.SIGTERM, None)
    with pytest.raises(SystemExit) as ended:
        keeper.note(signal.SIGTERM, None)
    assert ended.value.code == 143


def test_the_bar_of_a_run_that_goes_on_begins_at_its_batch(
    config: TrainConfig, stop_at: dict[int, signal.Signals], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[tuple[float, bool]] = []

    class Noted(ProgressBar):
        def on_train_start(self, *arguments: Any) -> None:
            super().on_train_start(*arguments)
            (task,) = self.progress.tasks
            begun.append((task.completed, task.fields["earlier"] > 0))

    def noted(stopwatch: Stopwatch) -> list[ProgressBar]:
        return [Noted(stopwatch, Console(file=io.StringIO()))]

    monkeypatch.setattr(run, "progress_bar", noted)
    stop_at[8 + 3] = signal.SIGTERM  # of 8 pieces an epoch, of which a step takes 2
    run_until_stopped(config, tmp_path)
    train(config, tmp_path)
    assert begun == [(0, False), (8 + 4, True)]
