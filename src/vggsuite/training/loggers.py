"""Where a run's metrics go: always to metrics.csv in its folder, and to one more place on request."""

import logging
import sys
import warnings
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger

from vggsuite.errors import UserError

# Of Lightning's, said in each run and never to the user's use: the run's folder is made before, few workers or batches
# are meant, and a deprecation inside Lightning.
POINTLESS_WARNINGS = (
    "Experiment logs directory .* exists",
    ".*does not have many workers",
    "The number of training batches",
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
)


def quieten_lightning() -> None:
    """Leave a run's output to its own lines and to what is worth a warning."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in POINTLESS_WARNINGS:
        warnings.filterwarnings("ignore", message)


def build_loggers(chosen: dict[str, Any], folder: Path, settings: dict[str, Any]) -> list[Logger]:
    """The csv logger, and the one that `chosen` describes (empty for none), told the run's settings.

    Raises:
        UserError: where W&B is chosen and there is no key for it.
    """
    csv = CSVLogger(folder, name="", version="")
    if not chosen:
        return [csv]
    logger: Logger = instantiate(chosen, _convert_="all")
    if isinstance(logger, WandbLogger):
        start_wandb(logger)
    logger.log_hyperparams(settings)
    return [csv, logger]


def start_wandb(logger: WandbLogger) -> None:
    """Start the W&B run.

    Raises:
        UserError: where it cannot start, for want of a key above all.
    """
    import wandb

    try:
        _ = logger.experiment
    except wandb.errors.UsageError as error:
        raise UserError(
            f"logger=wandb could not start ({str(error).splitlines()[0]}); type `wandb login` once, or log to this "
            "machine with logger.offline=true."
        ) from error


def close_loggers(*, failed: bool) -> None:
    """End the W&B run, if there is one, so that the next run of this process gets one of its own."""
    if "wandb" in sys.modules:
        sys.modules["wandb"].finish(exit_code=int(failed))
