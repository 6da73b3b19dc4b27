"""What Lightning runs, on the images of `make_tree`."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger

from tests.conftest import MakeTree
from vggsuite import devices
from vggsuite.config import DataConfig, Distribution, Layout, RecipeConfig, TrainConfig
from vggsuite.data.datasets import TrainingViews
from vggsuite.data.layouts import class_folders
from vggsuite.data.module import ImageData
from vggsuite.data.preprocessing import Preprocessing
from vggsuite.devices import chosen_workers
from vggsuite.errors import UserError
from vggsuite.models.vgg import VGG
from vggsuite.training.callbacks import EpochLines, Losses, Stopwatch
from vggsuite.training.module import Classification
from vggsuite.training.run import make_trainer
from vggsuite.training.trainer_settings import check_trainer

MEAN = [128.0, 128.0, 128.0]


def recipe(**changes: Any) -> RecipeConfig:
    settings: dict[str, Any] = {"epochs": 2, "batch_size": 4, "lr": 0.01, "patience": 1, "min_gain": 0.01}
    return RecipeConfig(**(settings | {"distribution": Distribution.glorot} | changes))


def tiny_net() -> VGG:
    torch.manual_seed(0)  # other weights may diverge
    return VGG(11, num_classes=3, width=1 / 16, crop=32, num_pools=3)


def fit(root: Path, recipe: RecipeConfig, **trainer: Any) -> tuple[L.Trainer, ImageData, Stopwatch]:
    config = DataConfig("folder", Layout.folder, str(root), 32, mean=MEAN, held_out=0.2, num_workers=0)
    data = ImageData(class_folders(root, 0.34), config, batch_size=recipe.batch_size, seed=0)
    watch = Stopwatch()
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    made = L.Trainer(
        **quiet,  # type: ignore[arg-type]
        accelerator="cpu",
        max_epochs=recipe.epochs,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        callbacks=[watch, Losses(), EpochLines("tiny", watch, "val/top1_error")],
        **trainer,
    )
    made.fit(Classification(tiny_net(), Preprocessing(MEAN), recipe), data)
    return made, data, watch


def test_every_epoch_draws_its_own_order_and_views(make_tree: MakeTree, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[int, int]] = []
    original = TrainingViews.fill

    def noted(self: TrainingViews, pixels: torch.Tensor, positions: list[tuple[int, int]]) -> Any:
        drawn.extend(positions)
        return original(self, pixels, positions)

    monkeypatch.setattr(TrainingViews, "fill", noted)
    fit(make_tree(), recipe(epochs=3))
    by_epoch = [[index for epoch, index in drawn if epoch == wanted] for wanted in range(3)]
    assert [len(indices) for indices in by_epoch] == [8, 8, 8]  # of 9 images, in batches of 4
    assert by_epoch[0] != by_epoch[1] != by_epoch[2]


def test_accumulated_pieces_are_one_step_on_the_global_batch(make_tree: MakeTree) -> None:
    trainer, data, watch = fit(make_tree(), recipe(), accumulate_grad_batches=2)
    assert trainer.global_step == 2 * 2
    assert [len(batch[0]) for batch in data.train_dataloader()] == [2, 2, 2, 2]
    assert watch.num_images == 16
    assert watch.images_per_second > 0


def test_one_line_an_epoch(make_tree: MakeTree, capsys: pytest.CaptureFixture[str]) -> None:
    fit(make_tree(), recipe())
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("tiny")]
    assert len(lines) == 2
    assert "epoch 2/2  loss" in lines[1]
    assert "val top-1 error" in lines[1]


def test_the_learning_rate_falls_when_the_error_stops_falling_and_three_times_at_most() -> None:
    module = Classification(tiny_net(), Preprocessing(MEAN), recipe(lr=0.01, patience=1, min_gain=0.01))
    configured: Any = module.configure_optimizers()
    rule, optimizer = configured["lr_scheduler"]["scheduler"], configured["optimizer"]
    assert configured["lr_scheduler"]["monitor"] == "val/top1_error"
    rates = []
    # a gain, one of less than a point (twice in a row: a drop), a gain, then nothing any more
    for error in (50.0, 49.5, 49.2, 40.0, *[40.0] * 12):
        rule.step(error)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates[:4] == [0.01, 0.01, pytest.approx(1e-3), pytest.approx(1e-3)]
    assert rates[-1] == pytest.approx(1e-5)
    assert len({round(rate, 9) for rate in rates}) == 4


def test_the_optimiser_is_the_papers() -> None:
    configured: Any = Classification(tiny_net(), Preprocessing(MEAN), recipe()).configure_optimizers()
    settings = configured["optimizer"].defaults
    assert isinstance(configured["optimizer"], torch.optim.SGD)
    assert (settings["momentum"], settings["weight_decay"], settings["nesterov"]) == (0.9, 5e-4, False)
    assert settings["fused"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"devices": "auto"}, "trainer.devices=auto is no count"),
        ({"accumulate_grad_batches": 0}, "trainer.accumulate_grad_batches=0 is no count"),
        ({"devices": 10_000}, "asks for more than the"),
        ({"accumulate_grad_batches": 3}, "recipe.batch_size=4 is the global batch .* a multiple of 3"),
        ({"accelerator": "mps"}, "allowed: auto, cpu, gpu"),
        ({"max_epochs": 3}, "use instead: recipe.epochs"),
        ({"devics": 2}, "trainer.devics is no argument"),
        ({"max_steps": 3}, "use instead: recipe.epochs"),
        ({"log_every_n_steps": 0}, "trainer.log_every_n_steps=0 is no count; allowed: 1 or more"),
    ],
)
def test_what_a_machine_cannot_give_is_refused(changes: dict[str, Any], told: str) -> None:
    trainer = {"accelerator": "cpu", "devices": 1, "num_nodes": 1, "accumulate_grad_batches": 1, "strategy": "auto"}
    with pytest.raises(UserError, match=told):
        check_trainer(trainer | changes, batch_size=recipe().batch_size, multirun=False)


def train_as_a_run_does(root: Path, folder: Path, *callbacks: L.Callback, epochs: int = 1, **trainer: Any) -> None:
    """Training by a run's own Trainer."""
    config = DataConfig("folder", Layout.folder, str(root), 32, mean=MEAN, held_out=0.2, num_workers=0)
    settings = TrainConfig(
        recipe=recipe(epochs=epochs),
        trainer={"accelerator": "cpu", "devices": 1} | trainer,
        experiment="tiny",
        variant="",
    )
    made = make_trainer(settings, folder, [CSVLogger(folder, name="", version="")], Stopwatch())
    made.callbacks.extend(callbacks)  # type: ignore[attr-defined]
    data = ImageData(class_folders(root, 0.34), config, batch_size=4, seed=0)
    made.fit(Classification(tiny_net(), Preprocessing(MEAN), settings.recipe), data)


class Questions(L.Callback):
    """Notes what 100 steps ask of the device: each would be a wait on a GPU."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.asked: list[str] = []

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step == 0:
            for name in ("item", "__bool__", "__float__", "__int__", "tolist", "cpu"):
                self.monkeypatch.setattr(torch.Tensor, name, self.noted(name))

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step == 100:
            self.monkeypatch.undo()

    def noted(self, name: str) -> Callable[..., Any]:
        original = getattr(torch.Tensor, name)

        def ask(tensor: torch.Tensor, *arguments: Any) -> Any:
            self.asked.append(name)
            return original(tensor, *arguments)

        return ask


def test_100_steps_ask_the_device_for_5_figures_at_most(
    make_tree: MakeTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = Questions(monkeypatch)
    train_as_a_run_does(make_tree(images=260), tmp_path / "run", questions)
    assert 1 <= len(questions.asked) <= 5, questions.asked


@pytest.mark.parametrize("pieces", [1, 2])
def test_the_logged_losses_are_the_means_of_the_steps(
    pieces: int, make_tree: MakeTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses: list[float] = []
    original = Classification.training_step

    def noted(self: Classification, *arguments: Any) -> torch.Tensor:
        loss = original(self, *arguments)
        losses.append(loss.item())
        return loss

    monkeypatch.setattr(Classification, "training_step", noted)
    train_as_a_run_does(make_tree(images=80), tmp_path / "run", epochs=5, accumulate_grad_batches=pieces)
    with (tmp_path / "run/metrics.csv").open() as file:
        logged = list(csv.DictReader(file))
    recent = {int(row["step"]): float(row["train/recent_loss"]) for row in logged if row["train/recent_loss"]}
    epochs = [float(row["train/loss"]) for row in logged if row["train/loss"]]
    assert list(recent) == [49, 99, 149]  # of five epochs of 31 steps
    assert list(recent.values()) == pytest.approx(np.reshape(losses[: 150 * pieces], (3, -1)).mean(axis=1), rel=1e-5)
    assert epochs == pytest.approx(np.reshape(losses, (5, -1)).mean(axis=1), rel=1e-5)


def test_the_learning_rate_of_every_epoch_is_logged_to_the_last_digit(make_tree: MakeTree, tmp_path: Path) -> None:
    train_as_a_run_does(make_tree(), tmp_path / "run", epochs=3)
    with (tmp_path / "run/metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["train/lr"]]
    assert [(row["epoch"], row["train/lr"]) for row in rows] == [("0", "0.01"), ("1", "0.01"), ("2", "0.01")]


@pytest.mark.parametrize("depth", [11, 13, 16, 19])
def test_checkpointed_activations_change_no_gradient(depth: int) -> None:
    net = VGG(depth, num_classes=3, width=1 / 16, crop=32, num_pools=3, dropout=0)
    images = torch.rand(2, 3, 32, 32)
    gradients = []
    for net.checkpoint_activations in (False, True):
        net.zero_grad()
        net(images).square().sum().backward()
        gradients.append([parameter.grad.clone() for parameter in net.parameters() if parameter.grad is not None])
    assert len(gradients[0]) == len(list(net.parameters()))
    assert all(map(torch.equal, *gradients))


def test_checkpointed_activations_are_not_kept() -> None:
    """What the backward pass finds stored: the maps between blocks alone."""
    net, images, stored = VGG(19, num_classes=3, width=1 / 16, crop=32, num_pools=3), torch.rand(2, 3, 32, 32), []
    for net.checkpoint_activations in (False, True):
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor, sizes=sizes: (sizes.append(tensor.numel()), tensor)[1],  # type: ignore[misc]
            lambda tensor: tensor,
        ):
            net(images)
        stored.append(sum(sizes))
    assert stored[1] < 0.7 * stored[0]


def test_a_run_tells_how_long_it_waited_for_which_images() -> None:
    watch = Stopwatch()
    watch.seconds, watch.num_images, watch.seconds_waited = 10.0, 1200, 3.8
    watch.num_loaded, watch.num_by_pillow = 1000, 21
    lines = EpochLines("tiny", watch, "val/top1_error")
    assert (watch.images_per_second, watch.share_waited) == (120, 0.38)
    assert lines.remarks() == ", 38% of the time waiting for them, 2% of them read by Pillow"
    lines.advice = ": add workers (data.num_workers=8)"
    told = ", 38% of the time waiting for them: add workers (data.num_workers=8), 2% of them read by Pillow"
    assert lines.remarks() == told
    assert EpochLines("tiny", Stopwatch(), "val/top1_error").remarks() == ""


@pytest.mark.parametrize(
    ("asked", "accelerator", "threads", "workers"), [(3, "cpu", 1, 3), (0, "gpu", 4, 0), (None, "cpu", 1, 0)]
)
def test_the_number_of_workers(asked: int | None, accelerator: str, threads: int, workers: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    assert chosen_workers(asked, {"accelerator": accelerator, "devices": 2}) == workers
    torch.set_num_threads(before)


def test_a_gpu_has_its_share_of_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cpu_count", lambda: 16)
    assert [chosen_workers(None, {"accelerator": "gpu", "devices": n}) for n in (1, 2, 16)] == [15, 7, 1]
