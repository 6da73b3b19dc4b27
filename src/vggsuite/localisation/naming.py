"""How box regressors are named, and what their config files compute: Hydra's resolvers."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from vggsuite.localisation.config import Finetune
from vggsuite.naming import slug, variant_of
from vggsuite.results.run_folder import CONFIG_FILE, saved_config

NAMED = ("init.run=", "regression=", "finetune=", "scale=")  # by which a box regressor of no experiment is named
FREEZE = {Finetune.all: "none", Finetune.fc: "conv"}  # of `recipe`


def localiser_name(experiment: str | None, run: str | None, regression: str, finetune: str, scale: Any) -> str:
    """The chosen experiment, or where none was chosen a name that tells the net that a box regressor begins as, and how
    it is trained: "localise/table3-d_384-pcr-all"."""
    parts = Path(run or "no_run").parts
    net = "-".join(parts[-3:-1] if re.fullmatch(r"seed_\d+", parts[-1]) else parts[-1:])
    at_scale = "" if scale is None else f"-{slug(scale)}"
    return experiment or f"localise/{slug(net)}-{regression}-{finetune}{at_scale}"


def localiser_variant(overrides: Sequence[str], experiment: str | None) -> str:
    """`variant_of` what was typed, but for what `localiser_name` tells, or the variant of the classification run."""
    told = (*(() if experiment else NAMED), "from_overrides=")
    return variant_of([word for word in overrides if not word.startswith(told)], experiment)


def data_of(run: str | None, otherwise: str) -> str:
    """The data set of the run in a folder; `otherwise` where there is none."""
    file = Path(run) / CONFIG_FILE if run else None
    if file is None or not file.is_file():
        return otherwise
    return str(OmegaConf.select(saved_config(file.parent), "data.name", default=otherwise))


RESOLVERS: dict[str, Callable[..., Any]] = {
    "localiser_name": localiser_name,
    "localiser_variant": localiser_variant,
    "data_of": data_of,
    "freeze_of": lambda finetune: FREEZE[Finetune(finetune)],
}
