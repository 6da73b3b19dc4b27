"""Where a run's metrics go: always to metrics.csv in its folder, and to one more place on request."""

import logging
import os
import secrets
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger

from vggsuite.cli import SWEEP
from vggsuite.config import TrainConfig, uses_wandb
from vggsuite.errors import UserError, first_line
from vggsuite.files import write_atomically
from vggsuite.naming import slug
from vggsuite.results.record import RECORD_FILE, Record, read_record
from vggsuite.results.run_folder import CHECKPOINT, METRICS_FILE, leaves
from vggsuite.training.interrupting import Interrupted
from vggsuite.training.metrics_file import MetricsFile
from vggsuite.training.processes import is_first_process
from vggsuite.training.showing import errors_of

WANDB_ID_FILE = "wandb_id"

# Of Lightning's, said in each run and never to the user's use: few workers or batches are meant, SLURM need not be used
# where it is, the folder is made before, and a deprecation inside Lightning.
POINTLESS_WARNINGS = (
    ".*does not have many workers",
    "The number of training batches",
    "The `srun` command is available on your system but is not used",
    "Checkpoint directory .* exists and is not empty",
    r"Found \d+ module\(s\) in eval mode",  # a frozen batch normalisation
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
)


def quieten_lightning() -> None:
    """Leave a run's output to its own lines and to what is worth a warning."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in POINTLESS_WARNINGS:
        warnings.filterwarnings("ignore", message)


@contextmanager
def loggers(
    chosen: dict[str, Any], folder: Path, settings: dict[str, Any], *, num_steps: int = 0
) -> Iterator[list[Logger]]:
    """The logger of metrics.csv, and the one that `chosen` describes (empty for none), told the run's settings. When
    the context ends, TensorBoard's file is complete, and so is W&B's run: as failed after an error, as preempted after
    an interruption. The next run of this process gets one of its own.

    Args:
        chosen: what to instantiate.
        folder: of the run.
        settings: under dotted keys.
        num_steps: after which an interrupted run goes on; what it logged until then is kept.

    Raises:
        UserError: where W&B is chosen and cannot start.
    """
    where: list[Logger] = [MetricsFile(folder / METRICS_FILE, num_steps=num_steps)]
    if chosen and is_first_process():
        where.append(other_logger(chosen, folder, settings, num_steps))
    exit_code = 1
    try:
        yield where
        exit_code = 0
    except Interrupted as stopped:
        exit_code = 128 + stopped.signum
        if isinstance(where[-1], WandbLogger):
            where[-1].experiment.mark_preempting()
        raise
    finally:
        if isinstance(where[-1], WandbLogger):
            where[-1].experiment.finish(exit_code=exit_code)
        elif isinstance(where[-1], TensorBoardLogger):  # Lightning did once training had ended, before the test
            where[-1].experiment.close()


def other_logger(chosen: dict[str, Any], folder: Path, settings: dict[str, Any], num_steps: int) -> Logger:
    """The logger that `chosen` describes, told the run's settings."""
    if uses_wandb(chosen):
        return wandb_logger(chosen, folder, settings)
    logger: Logger = instantiate(chosen, purge_step=num_steps or None, _convert_="all")
    logger.log_hyperparams(settings)
    return logger


def wandb_logger(chosen: dict[str, Any], folder: Path, settings: dict[str, Any]) -> WandbLogger:
    """The logger of the run's own W&B run, which an interrupted run goes on with; a sweep's agent has chosen it. The
    settings that a sweep has chosen are its own, and stay as they are.

    Raises:
        UserError: where W&B cannot start, for want of a key above all.
    """
    import wandb

    identity = {} if SWEEP in os.environ else {"id": wandb_id(folder), "resume": "allow"}
    chosen = chosen | {"log_model": False}  # `log_record` sees to that
    try:
        try:
            logger: WandbLogger = instantiate(as_reachable(chosen, folder), **identity, _convert_="all")
            swept = set(logger.experiment.config.keys())
        except wandb.errors.CommError as error:
            logger = instantiate(offline(chosen, error, folder), **identity, _convert_="all")
            swept = set(logger.experiment.config.keys())
    except (wandb.errors.UsageError, ValueError) as error:  # no key; an environment variable of W&B's out of range
        told = " ".join(str(error).split())
        raise UserError(
            f"logger=wandb could not start ({told}); type `wandb login` once, or log to this machine with "
            "logger.offline=true."
        ) from error
    logger.log_hyperparams({name: value for name, value in settings.items() if name not in swept})
    return logger


def as_reachable(chosen: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The settings `chosen` for W&B, or those that log to this machine where its server does not answer or does not
    take the key, which is said: a run that has waited for its turn for days is not to end by that."""
    import wandb

    if chosen.get("offline") or os.environ.get("WANDB_MODE", "online") != "online":
        return chosen
    try:
        wandb.login(prompt=False)
    except wandb.errors.AuthenticationError as error:
        return offline(chosen, error, folder)
    return chosen


def offline(chosen: dict[str, Any], error: Exception, folder: Path) -> dict[str, Any]:
    """The settings `chosen`, of a logger to this machine; why is said."""
    told = "The run goes on, and logs to this machine; send that later with"
    print(f"{first_line(error)}. {told}: wandb sync {folder}/wandb/offline-run-*", file=sys.stderr, flush=True)
    return chosen | {"mode": "offline"}


def wandb_id(folder: Path) -> str:
    """The id of the W&B run of `folder`: drawn once, kept there."""
    file = folder / WANDB_ID_FILE
    if not file.is_file():
        write_atomically(file, secrets.token_hex(4))
    return file.read_text()


def log_record(where: Sequence[Logger], record: Record, file: Path, *, with_checkpoint: bool) -> None:
    """Give W&B, where it is among the loggers, the errors of a finished run, its record, which is `file`, and the best
    checkpoint where that is wanted. Where its server has gone, that is said; the run is finished all the same."""
    for logger in where:
        if isinstance(logger, WandbLogger):
            import wandb

            run = logger.experiment
            run.summary.update({f"test/{name}": value for name, value in errors_of(record).items()})
            artifacts = {slug(record.name): ("record", file)}
            if with_checkpoint:
                artifacts[f"model-{run.id}"] = ("model", file.parent / CHECKPOINT)
            try:
                for name, (kind, content) in artifacts.items():
                    artifact = wandb.Artifact(name, type=kind)
                    artifact.add_file(str(content))
                    run.log_artifact(artifact)
            except wandb.errors.Error as error:
                told = (
                    f"{first_line(error)}. W&B lacks the run's {' and '.join(kind for kind, _ in artifacts.values())}"
                )
                print(f"{told}; send what was logged with: wandb sync {run.settings.sync_dir}", file=sys.stderr)


def report_finished(config: TrainConfig, folder: Path) -> None:
    """Tell the W&B sweep that asks for a run which has finished before what came of it."""
    if uses_wandb(config.logger):
        logger = wandb_logger(config.logger, folder, leaves(asdict(config)))
        record = read_record(folder)
        logger.experiment.summary["val/top1_error"] = record.selection["top1_error"]
        log_record([logger], record, folder / RECORD_FILE, with_checkpoint=config.logger["log_model"])
        logger.experiment.finish()


@contextmanager
def failing_sweep(chosen: dict[str, Any]) -> Iterator[None]:
    """Let a W&B sweep know of an error that ends its run before the run's logger has started."""
    try:
        yield
    except Exception:
        if SWEEP in os.environ and uses_wandb(chosen) and is_first_process():
            import wandb

            if wandb.run is None:
                with suppress(wandb.errors.Error):  # the user's error is the one to be told
                    wandb.init().finish(exit_code=1)
        raise
