"""Faults that users have, while a run is under way: each is told in a sentence, and loses nothing."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import active_children
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

from tests.conftest import TINY, MakeTree, assert_refused, run_command
from tests.test_configs import composed
from vggsuite.checks import validate
from vggsuite.config import TrainConfig
from vggsuite.errors import UserError
from vggsuite.faults import telling_faults
from vggsuite.files import replacing
from vggsuite.finished_run import load_checkpoint
from vggsuite.results.record import RECORD_FILE, read_record
from vggsuite.training import run
from vggsuite.training.classifying import Classifying
from vggsuite.training.finite_steps import IMAGES_FILE, MOST_IN_A_ROW
from vggsuite.training.module import Classification
from vggsuite.training.resuming import LAST
from vggsuite.training.run import train

WORDS = ("recipe.epochs=2", "save_minutes=1e-6", "recipe.batch_size=4")


@pytest.fixture
def images(make_tree: MakeTree) -> Path:
    return make_tree(images=12)


@pytest.fixture
def config(images: Path, hydra_for_tests: None) -> TrainConfig:
    return composed(*TINY, *WORDS, f"data.root={images}")


@pytest.fixture
def at_batch(monkeypatch: pytest.MonkeyPatch) -> dict[int, Any]:
    """What is done to the loss of a training batch, by its number from 1."""
    deeds: dict[int, Any] = {}
    original, count = Classification.training_step, 0

    def counted(self: Classification, *batch: Any) -> Tensor:
        nonlocal count
        count += 1
        loss = original(self, *batch)
        return deeds[count](loss) if count in deeds else loss

    monkeypatch.setattr(Classification, "training_step", counted)
    return deeds


def infinite(loss: Tensor) -> Tensor:
    return loss * torch.inf


def of_infinite_gradient(loss: Tensor) -> Tensor:
    return loss.detach() + (loss - loss.detach()) * 1e38


def sees(*, before: Any) -> Any:
    """What a loss is done to: nothing, but something else happens meanwhile."""

    def act(loss: Tensor) -> Tensor:
        before()
        return loss

    return act


@pytest.mark.parametrize("spoiled", [infinite, of_infinite_gradient])
def test_a_step_that_is_no_number_ends_the_run_with_its_images(
    spoiled: Any, config: TrainConfig, at_batch: dict[int, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at_batch[7] = spoiled
    with pytest.raises(UserError) as error:
        train(config, tmp_path)
    names = (tmp_path / IMAGES_FILE).read_text().splitlines()
    assert str(error.value) == (
        f"training diverged: the loss or gradient of step 7 (epoch 2) is not finite, of images {', '.join(names[:3])} "
        f"and 1 more, in {tmp_path / IMAGES_FILE}; the last saved state, of before, is {tmp_path / LAST}; type a "
        "recipe.lr below 0.01, or leave such steps out with recipe.skip_non_finite=true."
    )
    assert "once that is mended" not in capsys.readouterr().err  # it would come again
    weights = torch.load(tmp_path / LAST, weights_only=True)["state_dict"]
    assert all(value.isfinite().all() for value in weights.values())
    skipping = replace(config, recipe=replace(config.recipe, skip_non_finite=True))
    train(skipping, tmp_path)  # goes on where the other stopped: not another run
    assert read_record(tmp_path).cost["skipped_steps"] == 0


@pytest.mark.parametrize("spoiled", [infinite, of_infinite_gradient])
def test_a_step_that_is_no_number_is_left_out_on_request(
    spoiled: Any, config: TrainConfig, at_batch: dict[int, Any], tmp_path: Path
) -> None:
    at_batch[2] = spoiled
    train(replace(config, recipe=replace(config.recipe, skip_non_finite=True)), tmp_path)
    assert read_record(tmp_path).cost["skipped_steps"] == 1
    assert all(value.isfinite().all() for value in load_checkpoint(tmp_path).weights.values())
    losses = [row.split(",") for row in (tmp_path / "metrics.csv").read_text().splitlines()]
    column = losses[0].index("train/loss")
    assert all(float(row[column]) < 10 for row in losses[1:] if row[column])


def test_steps_are_not_left_out_without_end(config: TrainConfig, at_batch: dict[int, Any], tmp_path: Path) -> None:
    at_batch.update(dict.fromkeys(range(3, 100), infinite))
    with pytest.raises(UserError, match=rf"^{MOST_IN_A_ROW} steps in a row .* step 13 .*; type a recipe.lr below"):
        train(replace(config, recipe=replace(config.recipe, epochs=30, skip_non_finite=True)), tmp_path)


def test_running_averages_and_steps_left_out_do_not_go_together(config: TrainConfig) -> None:
    model = replace(config.model, batch_norm=True)
    with pytest.raises(UserError, match=r"recipe.skip_non_finite=true .* model.batch_norm=true"):
        validate(replace(config, model=model, recipe=replace(config.recipe, skip_non_finite=True)))


def test_images_that_disappear_and_come_back(
    config: TrainConfig,
    at_batch: dict[int, Any],
    tmp_path: Path,
    images: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    away = images.with_name("away")
    at_batch[4] = sees(before=lambda: images.rename(away))
    with pytest.raises(UserError, match=re.escape(f"{images} is there no more")):
        train(config, tmp_path)
    assert f"{tmp_path} stopped; once that is mended, it goes on after step 3" in capsys.readouterr().err
    away.rename(images)
    train(config, tmp_path)
    train(config, tmp_path.with_name("undisturbed"))
    ended, undisturbed = (load_checkpoint(folder).weights for folder in (tmp_path, tmp_path.with_name("undisturbed")))
    assert all(torch.equal(ended[name], undisturbed[name]) for name in ended)


def test_an_image_that_is_cut_off_after_the_run_began(
    config: TrainConfig, at_batch: dict[int, Any], tmp_path: Path, images: Path
) -> None:
    victim = sorted(images.glob("cat/*"))[0]
    at_batch[2] = sees(before=lambda: os.truncate(victim, victim.stat().st_size // 2))
    with pytest.raises(UserError, match=rf"{re.escape(str(victim))} cannot be read as an image \(.*truncated"):
        train(config, tmp_path)


def test_a_reader_that_the_kernel_kills(config: TrainConfig, at_batch: dict[int, Any], tmp_path: Path) -> None:
    def kill_reader() -> None:
        os.kill(next(child.pid for child in active_children() if child.pid), signal.SIGKILL)

    at_batch[2] = sees(before=kill_reader)
    with (
        pytest.raises(UserError, match=r"a process that reads images was killed, .*data.num_workers=1"),
        telling_faults(),
    ):
        train(replace(config, data=replace(config.data, num_workers=1)), tmp_path)


def test_a_clock_that_goes_backwards(
    config: TrainConfig, at_batch: dict[int, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(config, tmp_path / "undisturbed")
    now = time.time()
    for number in range(16, 30):
        hours = 3600 * number
        at_batch[number] = sees(before=lambda hours=hours: monkeypatch.setattr(time, "time", lambda: now - hours))
    train(config, tmp_path / "run")
    assert read_record(tmp_path / "run").cost["wall_seconds"] > 0
    texts = {(tmp_path / name / "metrics.csv").read_text() for name in ("run", "undisturbed")}
    assert len(texts) == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 4 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("only those who may mount have a small disk to fill")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_keeps_what_was_saved(small_disk: Path, config: TrainConfig, at_batch: dict[int, Any]) -> None:
    filling = small_disk / "others"

    def fill() -> None:
        with suppress(OSError), filling.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1000))
        os.truncate(filling, filling.stat().st_size - 40_000)  # room for the smaller files

    at_batch[4] = sees(before=fill)
    told = r"checkpoints/\w+.ckpt cannot be written \(No space left on device\); free some space"
    with pytest.raises(UserError, match=told), telling_faults():
        train(config, small_disk / "run")
    filling.unlink()
    train(config, small_disk / "run")
    train(config, small_disk.parent / "undisturbed")
    ended, undisturbed = (
        load_checkpoint(folder).weights for folder in (small_disk / "run", small_disk.parent / "undisturbed")
    )
    assert all(torch.equal(ended[name], undisturbed[name]) for name in ended)


@pytest.mark.slow
def test_a_disk_that_cannot_be_written(small_disk: Path, images: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    words = [*TINY, f"data.root={images}", f"paths.runs={small_disk / 'runs'}"]
    assert_refused(run_command("train.py", *words), f"{small_disk / 'runs'} cannot be opened (Read-only file system)")


def test_what_is_written_whole_or_not_at_all_names_its_file(small_disk: Path) -> None:
    file = small_disk / "a"
    file.write_text("old")
    told = rf"^{re.escape(str(file))} cannot be written \(No space left"
    with pytest.raises(UserError, match=told), telling_faults(), replacing(file) as stream:
        stream.write(bytes(5_000_000))
    assert file.read_text() == "old"
    assert [*small_disk.iterdir()] == [file]


class Refusing(BaseHTTPRequestHandler):
    """A server that takes no key."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(401)
        self.end_headers()
        self.wfile.write(b'{"errors": [{"message": "user is not logged in"}]}')

    def log_message(self, format: str, *args: Any) -> None:
        """Be silent."""


@pytest.mark.slow
def test_a_run_goes_on_without_wandb_and_says_so(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        address, folder = f"http://127.0.0.1:{server.server_port}", tmp_path / "run"
        places = {"WANDB_CONFIG_DIR": str(tmp_path), "WANDB_BASE_URL": address, "WANDB_API_KEY": "0123456789" * 4}
        words = [*TINY, f"data.root={images}", f"hydra.run.dir={folder}", "logger=wandb", "logger.log_model=true"]
        for name, value in places.items():
            monkeypatch.setenv(name, value)
        result = run_command("train.py", *words)
        server.shutdown()
    assert result.returncode == 0, result.stderr
    assert f"Failed to authenticate with {address}: user is not logged in. The run goes on" in result.stderr
    assert f"logs to this machine; send that later with: wandb sync {folder}/wandb/offline-run-*" in result.stderr
    assert read_record(folder).metrics
    assert len([*folder.glob("wandb/offline-run-*/*.wandb")]) == 1
    written = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    assert places["WANDB_API_KEY"].encode() not in written + (result.stdout + result.stderr).encode()


def test_pictures_that_cannot_be_drawn_cost_a_finished_run_nothing_else(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Path] = []

    def fail(*_: Any) -> None:
        raise RuntimeError("no font")

    monkeypatch.setattr(Classifying, "pictures", fail)
    monkeypatch.setattr(run, "log_record", lambda where, record, file, **_: given.append(file))
    place = {"save_dir": str(tmp_path), "name": "", "version": "tensorboard"}
    logger = {"_target_": "lightning.pytorch.loggers.TensorBoardLogger"} | place
    with pytest.raises(RuntimeError, match="no font"):
        train(replace(config, logger=logger), tmp_path)
    assert given == [tmp_path / RECORD_FILE]
    found = EventAccumulator(str(tmp_path / "tensorboard")).Reload().Tags()
    assert {"train/loss", "test/top1_error"} <= set(found["scalars"])
    assert found["tensors"] == ["test/table/text_summary"]
