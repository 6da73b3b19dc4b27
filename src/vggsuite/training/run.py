"""One training run, from its config to its record."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import Logger

from vggsuite.config import Layers, Resume, TrainConfig
from vggsuite.data.preprocessing import Preprocessing
from vggsuite.devices import chosen_precision, chosen_workers, uses_gpu
from vggsuite.errors import UserError
from vggsuite.files import exclusive, remove_leftovers
from vggsuite.finished_run import load_checkpoint, load_net, require_parent
from vggsuite.models.build import build_net
from vggsuite.models.initialisation import copy_all, copy_from_net_a, draw_weights, frozen_layers
from vggsuite.models.net import ConvNet
from vggsuite.models.weights import Weights, load_weights, taking_rgb
from vggsuite.naming import REPEAT
from vggsuite.results.environment import peak_memory
from vggsuite.results.record import EVALUATIONS, read_record, write_record
from vggsuite.results.run_folder import CHECKPOINT, METRICS_FILE, is_finished, leaves, save_config, weights_of
from vggsuite.training.callbacks import EpochLines, Losses, Stopwatch
from vggsuite.training.classifying import Classifying
from vggsuite.training.finite_steps import IMAGES_FILE, FiniteSteps, NotFiniteError
from vggsuite.training.loggers import WANDB_ID_FILE, failing_sweep, log_record, loggers, quieten_lightning
from vggsuite.training.module import Classification
from vggsuite.training.objective import Objective, Run
from vggsuite.training.processes import is_first_process
from vggsuite.training.progress import progress_bar
from vggsuite.training.resuming import (
    BEFORE,
    LAST,
    BestWeights,
    History,
    RandomStates,
    StateKeeper,
    WholeFiles,
    division,
    saved_state,
)
from vggsuite.training.showing import FirstViews, log_pictures, log_test, shown_by
from vggsuite.training.trainer_settings import PRECISIONS, check_trainer


def train(config: TrainConfig, folder: Path, *, objective: Objective | None = None, multirun: bool = False) -> None:
    """Train the net that `config` describes, test it, and leave its record in `folder`.

    Nothing is written before all that can be checked has been. A finished run of the same settings is left as it is, an
    interrupted one goes on from its last saved state.

    Args:
        config: validated.
        folder: of this run alone.
        objective: what the net is trained for; None for classification.
        multirun: whether other runs follow in this process.

    Raises:
        UserError: for what the user can mend.
    """
    quieten_lightning()
    objective = objective or Classifying(config)
    check_trainer(config.trainer, batch_size=config.recipe.batch_size, multirun=multirun)
    with failing_sweep(config.logger):
        run = prepare(config, folder, objective)
    with exclusive(folder) if is_first_process() else nullcontext():
        if not config.rerun and is_finished(config, folder, objective.record_file):  # by another process, meanwhile
            return
        if is_first_process() and saved_state(config, folder) != run.state:
            raise UserError(
                f"{folder} was written by another process meanwhile; repeat the command, to go on from there."
            )
        carry_out(run, objective)


def prepare(config: TrainConfig, folder: Path, objective: Objective) -> Run:
    """Find what the run needs, and initialise its net, unless it goes on."""
    started = datetime.now(UTC)
    if uses_gpu(config.trainer):
        torch.cuda.reset_peak_memory_stats()
    L.seed_everything(config.seed, workers=True, verbose=False)
    data = objective.make_data()
    net = make_net(config, objective.num_outputs(data))
    images = data.images.train_fingerprint()
    state = saved_state(config, folder)
    if state and state.history.images != images:
        raise UserError(
            f"{folder} holds a run that was interrupted and whose training images are not those that are found now in "
            f"data.root={config.data.root}; restore them, or begin afresh with resume=never."
        )
    history = state.history if state else begin(net, config, folder, started, images)
    return Run(config, folder, data, net, history, state)


def carry_out(run: Run, objective: Objective) -> None:
    """Train, test, and write the record."""
    config, folder, state = run.config, run.folder, run.state
    if is_first_process():
        remove_leftovers(folder / CHECKPOINT.parent)
        if state:
            torn = f", the state before the last, whose file {state.torn} is torn" if state.torn else ""
            print(f"{folder} goes on after step {state.num_steps}{torn}", flush=True)
            if state.torn:
                state.torn.unlink()  # or it would be kept in the place of the one that is whole
        else:
            start_afresh(config, run.data.images.classes, folder, objective.record_file)
    num_steps = state.num_steps if state else 0
    with loggers(config.logger, folder, leaves(asdict(config)), num_steps=num_steps) as where:
        with telling_saved(config, folder):
            fitted = fit(run, objective, where)
        if not is_first_process():
            return
        net = make_net(config, objective.num_outputs(run.data))  # the one trained may be compiled, or scattered
        net.load_state_dict(load_checkpoint(folder).weights)
        record = objective.make_record(run, net, fitted)
        write_record(record, folder, objective.record_file)
        for state_file in (LAST, BEFORE):
            (folder / state_file).unlink(missing_ok=True)
        wanted = bool(config.logger.get("log_model"))
        log_record(where, record, folder / objective.record_file, with_checkpoint=wanted)
        if shown_by(where):
            log_test(where, record, fitted["num_steps"])
            log_pictures(where, objective.pictures(run, net, record), fitted["num_steps"])  # last: they may not be made
    print(f"{record.name}  {objective.summary(record)}  {folder / objective.record_file}", flush=True)


@contextmanager
def telling_saved(config: TrainConfig, folder: Path) -> Iterator[None]:
    """Say, after an error that ends a run, from where the same command goes on."""
    try:
        yield
    except Exception as error:
        if is_first_process() and not isinstance(error, NotFiniteError):  # which would come again
            with suppress(UserError):  # `error` is the one to be told
                if state := saved_state(replace(config, rerun=False, resume=Resume.auto), folder):
                    told = f"stopped; once that is mended, it goes on after step {state.num_steps}"
                    print(f"{folder} {told}", file=sys.stderr)
        raise


def begin(net: ConvNet, config: TrainConfig, folder: Path, started: datetime, images: str) -> History:
    """Initialise the net of a run that begins, on images of this fingerprint; where it may have to wait for another
    run, in its own folder, so that those that wait for it know."""
    wait = config.init.wait and config.init.layers != Layers.none and is_first_process()
    with exclusive(folder) if wait else nullcontext():
        return History(started, initialise(net, config), division(config.trainer), images)


def make_net(config: TrainConfig, num_outputs: int) -> ConvNet:
    """The net that `config` describes, its weights not yet drawn."""
    return build_net(config.model, num_classes=num_outputs, crop=config.data.crop)


def initialise(net: ConvNet, config: TrainConfig) -> dict[str, Any]:
    """Draw the weights, then copy what `config.init` says from its finished run; return what the record tells of it."""
    origin = {"distribution": str(config.init.distribution), "std": config.init.std, "layers": str(config.init.layers)}
    draw_weights(net, config.init.distribution, std=config.init.std)
    if config.init.layers == Layers.none:
        return origin
    if config.init.weights is not None:
        weights = load_published(net, config)
        copy_all(net, weights.state, but_last=True)
        return origin | {"weights": weights.name, "sha256": weights.sha256()}
    parent = require_parent(config)
    if config.init.layers == Layers.net_a:
        copy_from_net_a(net, load_net(parent))
    else:
        copy_all(net, load_checkpoint(parent).weights, but_last=config.init.layers == Layers.all_but_last)
    record = read_record(parent)
    return origin | weights_of(record.name, parent, record.environment["started"])


def load_published(net: ConvNet, config: TrainConfig) -> Weights:
    """The published weights that `config` names, of pixels in the order R, G, B.

    Raises:
        UserError: where there are none, and where they are of pixels that were preprocessed in another way.
    """
    weights = taking_rgb(load_weights(str(config.init.weights), net, config.init.preprocessing), net)
    for name in ("mean", "std"):
        ours, theirs = getattr(config.data, name), weights.preprocessing.get(name)
        if (ours is None) != (theirs is None) or not np.allclose(ours or 0, theirs or 0, atol=0.01):
            told = f"[{','.join(f'{value:.3f}' for value in theirs)}]" if theirs else "null"
            raise UserError(
                f"data.{name}={ours} is not that of init.weights={config.init.weights}; type data.{name}={told}."
            )
    return weights


def start_afresh(config: TrainConfig, classes: Sequence[str], folder: Path, record_file: str) -> None:
    """Remove what an interrupted run, or one to be repeated, left behind, and save the config."""
    for name in (LAST, BEFORE, record_file, METRICS_FILE, WANDB_ID_FILE, IMAGES_FILE):  # states first: no run goes on
        (folder / name).unlink(missing_ok=True)
    for evaluation in (folder / EVALUATIONS).glob("*"):
        with exclusive(evaluation):  # unless a process is at it
            shutil.rmtree(evaluation)
    for subfolder in (
        CHECKPOINT.parent,
        EVALUATIONS,
        "localisations",
        "pictures",
        "figures",
        "heatmaps",
        "tensorboard",
        REPEAT,
    ):
        shutil.rmtree(folder / subfolder, ignore_errors=True)
    save_config(config, classes, folder)


def fit(run: Run, objective: Objective, where: list[Logger]) -> dict[str, Any]:
    """Train the net, leave the weights of its best epoch in the run's folder, and say what was measured."""
    config, folder, data, net, recipe = run.config, run.folder, run.data, run.net, run.config.recipe
    if recipe.channels_last:
        net.to(memory_format=torch.channels_last)
    net.checkpoint_activations = recipe.checkpoint_activations
    net.freeze(frozen_layers(net, recipe.freeze))
    preprocessing = Preprocessing(config.data.mean, config.data.std)
    if recipe.compile:
        net.compile()
        preprocessing.compile()
    stopwatch, finite = Stopwatch(), FiniteSteps(folder, saved=folder / LAST, skip=recipe.skip_non_finite)
    keeper = StateKeeper(folder / LAST, minutes=config.save_minutes, history=run.history, check=finite.look)
    trainer = make_trainer(config, folder, where, stopwatch, finite, keeper, watched=objective.watched)
    trainer.fit(objective.make_module(net, preprocessing), data, ckpt_path=run.state.file if run.state else None)
    selection = trainer.checkpoint_callback
    assert isinstance(selection, ModelCheckpoint)
    assert selection.best_model_score is not None
    return {
        "num_steps": trainer.global_step,
        "selection": {
            "best_epoch": load_checkpoint(folder).epoch,
            objective.watched.removeprefix("val/"): selection.best_model_score.item(),
        },
        "cost": {
            "epochs": trainer.current_epoch,
            "images_per_second": round(stopwatch.images_per_second, 1),
            "share_waiting_for_images": round(stopwatch.share_waited, 4),
            "share_read_by_pillow": round(stopwatch.share_by_pillow, 4),
            "skipped_steps": finite.num_skipped,
            "num_workers": data.num_workers,
            "devices": trainer.world_size,
            "final_lr": trainer.optimizers[0].param_groups[0]["lr"],
        }
        | peak_memory(uses_gpu(config.trainer)),
    }


def make_trainer(
    config: TrainConfig,
    folder: Path,
    where: list[Logger],
    stopwatch: Stopwatch,
    *callbacks: Callback,
    watched: str = Classification.watched,
) -> L.Trainer:
    """The Trainer of a run, which keeps the weights of the best epoch, that of the lowest `watched`, in `folder`."""
    best = BestWeights(folder / CHECKPOINT, watched=watched)
    gpu = uses_gpu(config.trainer)
    name = f"{config.experiment}{config.variant} seed {config.seed}"
    more = 2 * chosen_workers(config.data.num_workers, config.trainer) or 1
    lines = EpochLines(name, stopwatch, watched, advice=f": add workers (data.num_workers={more})" if gpu else "")
    return L.Trainer(
        **{"benchmark": not config.trainer.get("deterministic")}  # of cuDNN's algorithms, by their speed
        | config.trainer
        | {"accelerator": "gpu" if gpu else "cpu"},
        max_epochs=config.recipe.epochs,
        precision=PRECISIONS[chosen_precision(config.recipe.precision, gpu=gpu)],
        callbacks=[
            best,
            stopwatch,
            *callbacks,
            Losses(),
            lines,
            RandomStates(),
            FirstViews(),
            *progress_bar(stopwatch),
        ],
        plugins=[WholeFiles()],
        enable_progress_bar=False,  # Lightning's own
        logger=where,
        default_root_dir=folder,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )
