"""How a run is named, and which settings tell it from others of its experiment."""

import re
import shlex
from collections.abc import Sequence
from hashlib import sha256
from pathlib import PurePath
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser

# Settings that say how or where a run is made and not what it computes, with those below them.
HOW_NOT_WHAT = (
    *(
        "paths",
        "logger",
        "resume",
        "save_minutes",
        "repeat",
        "init.wait",
        "rerun",
        "overrides",
        "local",
        "hydra",
        "data.root",
        "data.num_workers",
        "test.batch_size",
        "batch_size",
        "shard_size",
        "boxes.root",
        "boxes.faulty",
        "from_overrides",
    ),
    *("trainer.accelerator", "trainer.devices", "trainer.num_nodes", "trainer.strategy"),
    *("trainer.accumulate_grad_batches", "recipe.checkpoint_activations"),
    "recipe.skip_non_finite",  # a run that needs it would have ended else; its record tells
)
# Settings that a run's folder is named by already; `trainer` chooses devices.
IN_NAME = ("experiment", "model", "data", "data.name", "data.scale", "seed", "trainer")
REPEAT = "repeat"  # the folder, in a run's own, where it is repeated
LONGEST_VARIANT = 100  # characters; file systems allow 255 for a whole name


def variant_overrides(overrides: Sequence[str], experiment: str | None) -> list[str]:
    """The command-line overrides that distinguish a run from others of its experiment, sorted, values as Hydra reads
    them (`1e-2` is 0.01), but a short name for the path of a report (`data.skip`).

    The net and the scale are in its name already, unless they override what an experiment says.
    """
    kept = []
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key = override.get_key_element()
        name = key.lstrip("~+")
        named = name in IN_NAME and not (experiment and name in ("model", "data.scale"))
        if not named and not is_how(name):
            value = override.get_value_element_as_str()
            kept.append(f"{key}={name_of_report(value) if name == 'data.skip' else value}")
    return sorted(kept)


def name_of_report(place: str) -> str:
    """A short name for the report at `place`: its file's, and what tells it from others that are called so."""
    path = place.strip("'\"")
    return place if place == "null" else f"{PurePath(path).stem}-{sha256(path.encode()).hexdigest()[:6]}"


def is_how(key: str) -> bool:
    """Whether a setting is one of `HOW_NOT_WHAT` or below one."""
    return any(key == how or key.startswith(f"{how}.") for how in HOW_NOT_WHAT)


def variant_of(overrides: Sequence[str], experiment: str | None) -> str:
    """The part of a run folder's name that tells its `variant_overrides`: "" or "+key-value+key-value"."""
    kept = (override.lstrip("~+").replace("=", "-", 1) for override in variant_overrides(overrides, experiment))
    variant = "".join(f"+{slug(override)}" for override in kept)
    if len(variant) > LONGEST_VARIANT:
        return f"+{sha256(variant.encode()).hexdigest()[:16]}"
    return variant


def variant_of_text(overrides: str) -> str:
    """`variant_of` the words that were typed beside an experiment, as one text."""
    return variant_of(shlex.split(overrides), "table3")


def slug(value: Any) -> str:
    """`value` in the characters that a folder's name may have: letters, digits, `_`, `-` and `.`."""
    return re.sub(r"[^\w.-]+", "-", str(value)).strip("-")


def experiment_name(experiment: str | None, model: str, scale: Any) -> str:
    """The chosen experiment, or where none was chosen the net and the training scale: `vgg_d-multi`."""
    return experiment or f"{model}-{slug(scale)}"


def run_name(data: str, experiment: str, variant: str, seed: int) -> str:
    """A run's folder below `runs/`."""
    return f"{data}/{experiment}{variant}/seed_{seed}"


def repeat_command(script: str, overrides: Sequence[str]) -> str:
    """The command line that runs an entry point with these overrides, to be typed in the project's folder."""
    return shlex.join(["python", f"src/{script}", *overrides])


def quoted(text: str) -> str:
    """`text` as one value on Hydra's command line."""
    escaped = text.replace("'", "\\'")
    return f"'{escaped}'"


def literal(value: Any) -> str:
    """`value` as Hydra's command line has it."""
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case int() | float():
            return repr(value)
        case list():
            return f"[{','.join(map(literal, value))}]"
    return quoted(str(value))
