"""The checks of a config that its types cannot make: ranges, and what goes together."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

from vggsuite.config import DataConfig, Layers, ModelConfig, TrainConfig
from vggsuite.data.config import CheckDataConfig, PackConfig
from vggsuite.data.scale import parse_scale
from vggsuite.errors import UserError
from vggsuite.models.factors import OWN, check_model
from vggsuite.results.run_folder import leaves

COUNTED = {"classes", "train", "val", "images"}  # of a data set
SECRET = re.compile(r"api_?key|token|secret|password|headers", re.IGNORECASE)  # a logger's setting that is one
AGAINST_AVERAGES = {  # settings that do not go with running averages
    "recipe.checkpoint_activations": "would count every batch twice in the running averages of",
    "recipe.skip_non_finite": "leaves out a step, but not what it did to the running averages of",
}
NAME = re.compile(r"\w[\w.-]*")  # of a data set, which names a folder


def validate(config: TrainConfig) -> None:
    """Check ranges and what goes together, before anything is built or written.

    Raises:
        UserError: naming the value, what is allowed, and the override to type.
    """
    require_ranges(config, ranges(config))
    check_model(config.model)
    parse_scale(config.data.scale, config.data.crop)
    test_scale = config.test.scale
    if test_scale is not None and test_scale < config.data.crop:
        raise UserError(
            f"test.scale={test_scale} is smaller than the crop; allowed: {config.data.crop} pixels or more."
        )
    refuse_against_averages(config)
    if config.model.batch_norm and config.recipe.batch_size == 1:
        raise UserError(
            "recipe.batch_size=1 leaves batch normalisation one image to take a mean of; allowed with "
            "model.batch_norm=true: 2 or more."
        )
    refuse_keys(config.logger)
    unknown = set(config.data.expected) - COUNTED
    if unknown:
        raise UserError(f"data.expected.{unknown.pop()} is not counted; allowed: {', '.join(sorted(COUNTED))}.")
    copied = config.init.layers in (Layers.all, Layers.all_but_last)
    if not copied and (config.recipe.freeze != "none" or config.recipe.lr_copied is not None):
        raise UserError(
            f"recipe.freeze={config.recipe.freeze} and recipe.lr_copied={config.recipe.lr_copied} are for layers that "
            "were copied; type init=finished_run or init=weights, or recipe.freeze=none recipe.lr_copied=null."
        )
    if config.init.weights is not None and (config.init.run or config.init.layers != Layers.all_but_last):
        raise UserError(
            f"init.weights={config.init.weights} gives all layers but the last; leave init.run out, and type "
            "init.layers=all_but_last."
        )
    if config.init.layers != Layers.none and not (config.init.run or config.init.weights):
        raise UserError(
            f"init.layers={config.init.layers} needs a finished run to copy from; type init.run=<its folder>."
        )


def refuse_against_averages(config: Any) -> None:
    """Refuse what does not go with the running averages of batch normalisation, in a config that has a `recipe` and a
    `model`."""
    for setting, harm in AGAINST_AVERAGES.items():
        if attrgetter(setting)(config) and config.model.batch_norm:
            allowed = "either of them" if "batch_norm" in OWN[config.model.family] else f"{setting}=false"
            raise UserError(f"{setting}=true {harm} model.batch_norm=true; allowed: {allowed}.")


def refuse_keys(logger: dict[str, Any]) -> None:
    """Refuse what would write a key, or another secret, into the run's config and record."""
    for key in leaves(logger):
        if SECRET.search(key):
            raise UserError(
                f"logger.{key} would be written into the run's config and record; leave it out, and type `wandb login` "
                "or set WANDB_API_KEY."
            )


Range = tuple[str, str, bool]  # the path of a bounded setting, what is allowed, and whether its value is


def require_ranges(config: Any, bounded: Iterable[Range]) -> None:
    """Raise a UserError for the first of `bounded`, settings of `config`, whose value is not allowed."""
    for path, allowed, fine in bounded:
        if not fine:
            value = attrgetter(path)(config)
            raise UserError(f"{path}={value} is out of range; allowed: {allowed}.")


def refuse_idle(typed: Sequence[str], idle: Mapping[str, str]) -> None:
    """Raise a UserError for the first word that was `typed` of a setting, or of one below it, that would change
    nothing; `idle` has such settings, and of each the end of the sentence: with what, and what is allowed."""
    for word in typed:
        key = word.lstrip("+~").partition("=")[0]
        for setting, told in idle.items():
            if key == setting or key.startswith((f"{setting}.", f"{setting}/", f"{setting}@")):
                raise UserError(f"{word} changes nothing {told}.")


def model_ranges(model: ModelConfig) -> list[Range]:
    """The bounded settings of `model`."""
    return [
        ("model.width", "a number above 0", model.width > 0),
        ("model.dropout", "a probability, 0 <= p < 1", 0 <= model.dropout < 1),
        ("model.num_pools", "1 to 5", 1 <= model.num_pools <= 5),
        ("model.towers", "1 or 2", model.towers in (1, 2)),
        ("model.auxiliary", "a weight, 0 (no auxiliary classifiers) or more", 0 <= model.auxiliary < math.inf),
    ]


def data_ranges(data: DataConfig) -> list[Range]:
    """The bounded settings of `data`."""
    splits = data.splits
    return [
        ("data.name", "letters, digits, _, - and dots, first a letter or digit", NAME.fullmatch(data.name) is not None),
        ("data.crop", "1 or more pixels", data.crop >= 1),
        ("data.mean", "[R,G,B], each from 0 to 255", len(data.mean) == 3 and all(0 <= m <= 255 for m in data.mean)),
        (
            "data.std",
            "[R,G,B], each above 0, or null",
            data.std is None or (len(data.std) == 3 and all(value > 0 for value in data.std)),
        ),
        ("data.colour_std", "0 (no colour shift) or more", data.colour_std >= 0),
        ("data.held_out", "a share of the training images, 0 < share < 1", 0 < data.held_out < 1),
        ("data.skip", "the path of a report of check_data.py, or null", data.skip != ""),
        ("data.num_workers", "0 or more, or null", data.num_workers is None or data.num_workers >= 0),
        ("data.shuffle_window", "1 or more images", data.shuffle_window >= 1),
        ("data.splits.number", "1 or more", splits.number >= 1),
        ("data.splits.chosen", "0 or more, below data.splits.number", 0 <= splits.chosen < splits.number),
        ("data.splits.seed", "0 or more", splits.seed >= 0),
        (
            "data.splits.test_per_class",
            "1 or more, or null",
            splits.test_per_class is None or splits.test_per_class >= 1,
        ),
        *(
            (f"data.splits.{name}", "2 or more, one of them to choose by, or null", count is None or count >= 2)
            for name, count in (("train_per_class", splits.train_per_class), ("keep_per_class", splits.keep_per_class))
        ),
    ]


def pack_ranges(config: PackConfig) -> list[Range]:
    """The bounded settings of a packing."""
    return [
        ("images_per_shard", "1 or more", config.images_per_shard >= 1),
        ("smallest_side", "1 or more pixels, or null", config.smallest_side is None or config.smallest_side >= 1),
        ("quality", "1 to 100", 1 <= config.quality <= 100),
        ("num_threads", "1 or more, or null", config.num_threads is None or config.num_threads >= 1),
    ]


def check_data_ranges(config: CheckDataConfig) -> list[Range]:
    """The bounded settings of a check."""
    return [
        ("num_workers", "0 or more, or null", config.num_workers is None or config.num_workers >= 0),
        ("smallest", "1 or more pixels", config.smallest >= 1),
        ("data.skip", "null, as every image is checked", config.data.skip is None),
        ("output", "the path of a JSON file", Path(config.output).suffix == ".json"),
    ]


def ranges(config: TrainConfig) -> list[Range]:
    """The bounded settings of a training."""
    recipe = config.recipe
    return [
        *model_ranges(config.model),
        *data_ranges(config.data),
        ("init.std", "a number above 0", config.init.std > 0),
        ("init.wait", "0 minutes or more", config.init.wait >= 0),
        ("save_minutes", "a number of minutes above 0", config.save_minutes > 0),
        ("recipe.epochs", "1 or more", recipe.epochs >= 1),
        ("recipe.batch_size", "1 or more", recipe.batch_size >= 1),
        ("recipe.lr", "a number above 0", 0 < recipe.lr < math.inf),
        ("recipe.lr_copied", "a number above 0, or null", recipe.lr_copied is None or 0 < recipe.lr_copied < math.inf),
        ("recipe.momentum", "0 <= momentum < 1", 0 <= recipe.momentum < 1),
        ("recipe.weight_decay", "0 or more", recipe.weight_decay >= 0),
        ("recipe.num_drops", "0 or more", recipe.num_drops >= 0),
        ("recipe.patience", "0 or more epochs", recipe.patience >= 0),
        ("recipe.min_gain", "a share of the images, 0 <= gain < 1", 0 <= recipe.min_gain < 1),
        ("test.batch_size", "1 or more", config.test.batch_size >= 1),
        ("seed", "0 or more", config.seed >= 0),
    ]
