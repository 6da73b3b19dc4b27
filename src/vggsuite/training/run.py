"""One training run, from its config to its record."""

import hashlib
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from filelock import FileLock, Timeout
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor

from vggsuite.config import Layers, Selection, TrainConfig
from vggsuite.data.module import ImageData, find_images
from vggsuite.data.preprocessing import Preprocessing
from vggsuite.errors import UserError
from vggsuite.evaluation.dense import predict
from vggsuite.evaluation.metrics import rank_of_label
from vggsuite.models.initialisation import copy_all, copy_from_net_a, draw_weights
from vggsuite.models.vgg import VGG
from vggsuite.results.record import PREDICTIONS_FILE, RECORD_FILE, read_record, write_record
from vggsuite.results.run_folder import CHECKPOINT, is_finished, leaves, save_config
from vggsuite.training.callbacks import EpochLines, Stopwatch, progress_bar
from vggsuite.training.devices import PRECISIONS, check_devices, chosen_precision, is_first_process, uses_gpu
from vggsuite.training.finished_run import load_net, load_weights, require_parent
from vggsuite.training.loggers import loggers, quieten_lightning
from vggsuite.training.module import Classification
from vggsuite.training.recording import make_record


def train(config: TrainConfig, folder: Path, *, multirun: bool = False) -> None:
    """Train the net that `config` describes, evaluate it densely, and leave its record in `folder`.

    Nothing is written before all that can be checked has been. A finished run of the same settings is left as it is.

    Args:
        config: validated.
        folder: of this run alone.
        multirun: whether other runs follow in this process.

    Raises:
        UserError: for what the user can mend.
    """
    started = datetime.now(UTC)
    quieten_lightning()
    check_devices(config, multirun=multirun)
    if uses_gpu(config.trainer):
        torch.cuda.reset_peak_memory_stats()
    L.seed_everything(config.seed, workers=True, verbose=False)
    images = find_images(config.data)
    data = ImageData(
        images,
        config.data,
        batch_size=config.recipe.batch_size,
        seed=config.seed,
        select_on_test=config.recipe.selection == Selection.paper,
    )
    net = VGG(**asdict(config.model), num_classes=len(images.classes), crop=config.data.crop)
    origin = initialise(net, config)

    with exclusive(folder):
        if not config.rerun and is_finished(config, folder):  # by another process, meanwhile
            return
        start_afresh(config, folder)
        with loggers(config.logger, folder, leaves(asdict(config))) as where:
            fitted = fit(net, data, config, folder, where)
            if not is_first_process():
                return
            ranks = evaluate(net, data, config, folder)
            record = make_record(config, data, net, origin=origin, fitted=fitted, ranks=ranks, started=started)
            write_record(record, folder)
    print(f"{record.name}  top-1 error {record.metrics['top1_error']:.2f}%  {folder / RECORD_FILE}", flush=True)


def initialise(net: VGG, config: TrainConfig) -> dict[str, Any]:
    """Draw the weights, then copy what `config.init` says from its finished run; return what the record tells of it."""
    origin = {"distribution": str(config.init.distribution), "std": config.init.std, "layers": str(config.init.layers)}
    draw_weights(net, config.init.distribution, std=config.init.std)
    if config.init.layers == Layers.none:
        return origin
    parent = require_parent(config)
    if config.init.layers == Layers.net_a:
        copy_from_net_a(net, load_net(parent))
    else:
        copy_all(net, load_weights(parent))
    with (parent / CHECKPOINT).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    record = read_record(parent)
    return origin | {"run": record.name, "started": record.environment["started"], "sha256": digest}


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the run's folder against other processes; the lock goes when the process does, however it ends.

    Raises:
        UserError: where another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not is_first_process():  # a further device of a run whose first process holds the folder
        yield
        return
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout as error:
        raise UserError(
            f"{folder} is being written by another process; wait for it, or train with another seed."
        ) from error


def start_afresh(config: TrainConfig, folder: Path) -> None:
    """Remove what an interrupted run, or one to be repeated, left behind, and save the config."""
    if not is_first_process():
        return
    for name in (RECORD_FILE, PREDICTIONS_FILE, "metrics.csv"):
        (folder / name).unlink(missing_ok=True)
    for subfolder in (CHECKPOINT.parent, Path("tensorboard")):
        shutil.rmtree(folder / subfolder, ignore_errors=True)
    save_config(config, folder)


def fit(net: VGG, data: ImageData, config: TrainConfig, folder: Path, where: list[Logger]) -> dict[str, Any]:
    """Train `net`, leave it with the weights of its best epoch, and say what was measured."""
    recipe = config.recipe
    if recipe.channels_last:
        net.to(memory_format=torch.channels_last)
    if recipe.compile:
        net.compile()
    precision = chosen_precision(config)
    stopwatch, bar = Stopwatch(), progress_bar()
    best = ModelCheckpoint(
        folder / CHECKPOINT.parent,
        filename=CHECKPOINT.stem,
        monitor="val/top1_error",
        save_weights_only=True,
        enable_version_counter=False,
    )
    trainer = L.Trainer(
        **config.trainer | {"accelerator": "gpu" if uses_gpu(config.trainer) else "cpu"},
        max_epochs=recipe.epochs,
        precision=PRECISIONS[precision],
        callbacks=[
            best,
            stopwatch,
            EpochLines(f"{config.experiment}{config.variant} seed {config.seed}", stopwatch),
            *bar,
        ],
        enable_progress_bar=bool(bar),
        logger=where,
        default_root_dir=folder,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )
    try:
        trainer.fit(Classification(net, Preprocessing(config.data.mean), recipe), data)
    except SIGTERMException as ended:  # Lightning's own exit code is 0, that of a finished run
        raise SystemExit(128 + signal.SIGTERM) from ended
    net.load_state_dict(load_weights(folder))
    assert best.best_model_score is not None
    return {
        "precision": str(precision),
        "devices": trainer.world_size,
        "best_epoch": best_epoch(folder),
        "best_top1_error": best.best_model_score.item(),
        "epochs": trainer.current_epoch,
        "final_lr": trainer.optimizers[0].param_groups[0]["lr"],
        "images_per_second": round(stopwatch.images_per_second, 1),
    }


def best_epoch(folder: Path) -> int:
    """The epoch, from 1, after which the best checkpoint was written."""
    return int(torch.load(folder / CHECKPOINT, map_location="cpu", weights_only=True)["epoch"]) + 1


def evaluate(net: VGG, data: ImageData, config: TrainConfig, folder: Path) -> Tensor:
    """Evaluate the net densely on the test images; save each image's label, posteriors and rank of the right class
    in `predictions.npz`, and return the ranks [N]."""
    device = torch.device("cuda" if uses_gpu(config.trainer) else "cpu")
    posteriors = predict(
        net.to(device),
        Preprocessing(config.data.mean).to(device),
        data.whole_images(data.test_scale(config.test.scale), config.test.batch_size),
        num_images=len(data.test),
        num_classes=len(data.images.classes),
        device=device,
        flip=config.data.flip,
        average=config.test.average,
    )
    labels = torch.tensor(data.test.labels)
    ranks = rank_of_label(posteriors, labels)
    temporary = folder / f".{PREDICTIONS_FILE}.tmp.npz"
    np.savez(temporary, labels=labels.numpy(), rank=ranks.numpy(), posteriors=posteriors.numpy())
    os.replace(temporary, folder / PREDICTIONS_FILE)
    return ranks
