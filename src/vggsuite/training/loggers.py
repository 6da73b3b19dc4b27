"""Where a run's metrics go: always to metrics.csv in its folder, and to one more place on request."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def loggers(chosen: dict[str, Any], folder: Path, settings: dict[str, Any]) -> Iterator[list[Logger]]:
    """The csv logger, and the one that `chosen` describes (empty for none), told the run's settings; W&B's run ends
    with the context, as failed after an error, so that the next run of this process gets one of its own.

    Raises:
        UserError: where W&B is chosen and there is no key for it.
    """
    where: list[Logger] = [CSVLogger(folder, name="", version="")]
    failed = True
    try:
        if chosen:
            where.append(instantiate(chosen, _convert_="all"))
            if isinstance(where[-1], WandbLogger):
                start_wandb(where[-1])
            where[-1].log_hyperparams(settings)
        yield where
        failed = False
    finally:
        if "wandb" in sys.modules:
            sys.modules["wandb"].finish(exit_code=int(failed))


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
