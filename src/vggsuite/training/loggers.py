"""Where a run's metrics go: always to metrics.csv in its folder, and to one more place on request."""

import sys
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from lightning.pytorch.loggers import CSVLogger, Logger

from vggsuite.errors import UserError


def build_loggers(chosen: dict[str, Any], folder: Path, settings: dict[str, Any]) -> list[Logger]:
    """The csv logger, and the one that `chosen` describes (empty for none), told the run's settings.

    Raises:
        UserError: where W&B is chosen and there is no key for it.
    """
    csv = CSVLogger(folder, name="", version="")
    if not chosen:
        return [csv]
    logger: Logger = instantiate(chosen, _convert_="all")
    if "Wandb" in chosen["_target_"]:
        require_wandb_key(logger)
    logger.log_hyperparams(settings)
    return [csv, logger]


def require_wandb_key(logger: Logger) -> None:
    """Start the W&B run, which asks for the key."""
    import wandb

    try:
        logger.experiment  # noqa: B018
    except wandb.errors.UsageError as error:
        raise UserError(
            f"logger=wandb could not start ({str(error).splitlines()[0]}); type `wandb login` once, or log to this "
            "machine with logger.offline=true."
        ) from error


def close_loggers(*, failed: bool) -> None:
    """End the W&B run, if there is one, so that the next run of this process gets one of its own."""
    if "wandb" in sys.modules:
        sys.modules["wandb"].finish(exit_code=int(failed))
