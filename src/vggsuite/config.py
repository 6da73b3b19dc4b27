"""The typed schema of `conf/train.yaml`, its resolvers, and the checks that go across fields.

Types and words are checked by Hydra while it composes, before any job of a sweep starts; `validate` checks ranges and
what goes together.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import MISSING, DictConfig, OmegaConf

from vggsuite.data.scale import parse_scale
from vggsuite.errors import UserError
from vggsuite.models.table1 import block_kernels

PROJECT_ROOT = Path(__file__).resolve().parents[2]

Layout = StrEnum("Layout", ["digits", "folder", "imagenet"])
Distribution = StrEnum("Distribution", ["normal", "glorot", "kaiming"])
Layers = StrEnum("Layers", ["none", "net_a", "all"])
Padding = StrEnum("Padding", ["zeros", "replicate"])
Selection = StrEnum("Selection", ["held_out", "paper"])
Average = StrEnum("Average", ["scores", "posteriors"])
Precision = StrEnum("Precision", {"auto": "auto", "fp32": "fp32", "bf16": "bf16"})


@dataclass
class ModelConfig:
    """The factors of a net; see `vggsuite.models.vgg.VGG`."""

    depth: int = MISSING
    lrn: bool = False
    conv1x1: bool = False
    width: float = 1.0
    batch_norm: bool = False
    dropout: float = 0.5
    num_pools: int = 5
    padding: Padding = Padding.zeros


@dataclass
class DataConfig:
    """Where the images are and how training sees them."""

    name: str = MISSING
    layout: Layout = MISSING
    root: str = MISSING
    crop: int = 224
    scale: Any = "single"
    mean: list[float] = MISSING
    flip: bool = True
    colour_std: float = 0.1
    held_out: float = MISSING
    val_fraction: float = 0.0
    num_workers: int = MISSING
    expected: dict[str, int] = field(default_factory=dict)


@dataclass
class InitConfig:
    """How weights start: drawn at random, then some or all layers copied from the finished run `run`."""

    distribution: Distribution = MISSING
    std: float = 0.01
    layers: Layers = Layers.none
    run: str | None = None


@dataclass
class FineTuneConfig:
    """What the recipe changes for a run that starts from a finished one (S = 384, multi)."""

    lr: float = MISSING
    epochs: int = MISSING


@dataclass
class RecipeConfig:
    """The training recipe (section 3.1)."""

    epochs: int = MISSING
    batch_size: int = MISSING
    lr: float = MISSING
    momentum: float = 0.9
    weight_decay: float = 5e-4
    num_drops: int = 3
    patience: int = MISSING
    min_gain: float = MISSING
    distribution: Distribution = MISSING
    selection: Selection = Selection.held_out
    precision: Precision = Precision.auto
    channels_last: bool = True
    compile: bool = False
    fine_tune: FineTuneConfig = field(default_factory=FineTuneConfig)


@dataclass
class TestConfig:
    """The dense evaluation that ends a run: Q = `scale`, or what goes with S where it is null (section 4.1)."""

    scale: int | None = None
    average: Average = Average.scores
    batch_size: int = 32


@dataclass
class PathsConfig:
    """The only place with paths."""

    root: str = MISSING
    datasets: str = MISSING
    runs: str = MISSING


@dataclass
class TrainConfig:
    """The root of `conf/train.yaml`."""

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    recipe: RecipeConfig = field(default_factory=RecipeConfig)
    init: InitConfig = field(default_factory=InitConfig)
    test: TestConfig = field(default_factory=TestConfig)
    trainer: dict[str, Any] = field(default_factory=dict)
    logger: dict[str, Any] = field(default_factory=dict)
    paths: PathsConfig = field(default_factory=PathsConfig)
    seed: int = 0
    experiment: str = MISSING
    variant: str = MISSING
    overrides: list[str] = MISSING
    rerun: bool = False


@dataclass
class TableConfig:
    """The root of `conf/table.yaml`."""

    table: int = 3
    data: DataConfig = field(default_factory=DataConfig)
    overrides: str = ""
    confidence: float = 0.95
    paths: PathsConfig = field(default_factory=PathsConfig)
    output: str = MISSING


# Settings that say how or where a run is made and not what it computes, with those below them.
HOW_NOT_WHAT = (
    *("paths", "logger", "rerun", "overrides", "local", "hydra", "data.root", "data.num_workers", "test.batch_size"),
    *("trainer.accelerator", "trainer.devices", "trainer.num_nodes", "trainer.strategy"),
    "trainer.accumulate_grad_batches",
)
# Settings that a run's folder is named by already; `trainer` chooses devices.
IN_NAME = ("experiment", "model", "data", "data.name", "data.scale", "seed", "trainer")
LONGEST_VARIANT = 100  # characters; file systems allow 255 for a whole name


def variant_overrides(overrides: Sequence[str], experiment: str | None) -> list[str]:
    """The command-line overrides that distinguish a run from others of its experiment, sorted, values as Hydra reads
    them (`1e-2` is 0.01).

    The net and the scale are in its name already, unless they override what an experiment says.
    """
    kept = []
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key = override.get_key_element()
        name = key.lstrip("~+")
        named = name in IN_NAME and not (experiment and name in ("model", "data.scale"))
        if not named and not is_how(name):
            kept.append(f"{key}={override.get_value_element_as_str()}")
    return sorted(kept)


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


def slug(value: Any) -> str:
    """`value` in the characters that a folder's name may have: letters, digits, `_`, `-` and `.`."""
    return re.sub(r"[^\w.-]+", "-", str(value)).strip("-")


def experiment_name(experiment: str | None, model: str, scale: Any) -> str:
    """The chosen experiment, or where none was chosen the net and the training scale: `vgg_d-multi`."""
    return experiment or f"{model}-{slug(scale)}"


def register() -> None:
    """Make the schemas and the resolvers known to Hydra. May be called again."""
    OmegaConf.register_new_resolver("project_root", lambda: str(PROJECT_ROOT), replace=True)
    OmegaConf.register_new_resolver("variant_of", variant_of, replace=True)
    OmegaConf.register_new_resolver("experiment_name", experiment_name, replace=True)
    store = ConfigStore.instance()
    store.store("train_schema", TrainConfig)
    store.store("table_schema", TableConfig)


Config = TypeVar("Config")


def to_config(cfg: DictConfig, schema: type[Config]) -> Config:
    """`cfg`, resolved, as an instance of the dataclass `schema`.

    Raises:
        UserError: for a key added with `+` that the schema does not have.
    """
    config = OmegaConf.to_object(cfg)
    assert isinstance(config, schema)
    refuse_unknown(config)
    return config


def refuse_unknown(config: Any, path: str = "") -> None:
    known = {f.name for f in fields(config)}
    for key, value in vars(config).items():
        if key not in known:
            raise UserError(
                f"+{path}{key} is no setting of this command; allowed below {path or 'it'}: {', '.join(sorted(known))}."
            )
        if is_dataclass(value):
            refuse_unknown(value, f"{path}{key}.")


def validate(config: TrainConfig) -> None:
    """Check ranges and what goes together, before anything is built or written.

    Raises:
        UserError: naming the value, what is allowed, and the override to type.
    """
    for path, allowed, fine in ranges(config):
        if not fine:
            *groups, key = path.split(".")
            section = config
            for group in groups:
                section = getattr(section, group)
            raise UserError(f"{path}={getattr(section, key)} is out of range; allowed: {allowed}.")
    block_kernels(config.model.depth, conv1x1=config.model.conv1x1)
    parse_scale(config.data.scale, config.data.crop)
    test_scale = config.test.scale
    if test_scale is not None and test_scale < config.data.crop:
        raise UserError(
            f"test.scale={test_scale} is smaller than the crop; allowed: {config.data.crop} pixels or more."
        )
    unknown = set(config.data.expected) - {"classes", "train", "val"}
    if unknown:
        raise UserError(f"data.expected.{unknown.pop()} is not counted; allowed: classes, train, val.")
    if config.init.layers != Layers.none and not config.init.run:
        raise UserError(
            f"init.layers={config.init.layers} needs a finished run to copy from; type init.run=<its folder>."
        )


def ranges(config: TrainConfig) -> list[tuple[str, str, bool]]:
    """The path of every bounded setting, what is allowed, and whether its value is."""
    model, data, recipe, test = config.model, config.data, config.recipe, config.test
    return [
        ("model.width", "a number above 0", model.width > 0),
        ("model.dropout", "a probability, 0 <= p < 1", 0 <= model.dropout < 1),
        ("model.num_pools", "1 to 5", 1 <= model.num_pools <= 5),
        ("data.crop", "1 or more pixels", data.crop >= 1),
        ("data.mean", "[R,G,B], each from 0 to 255", len(data.mean) == 3 and all(0 <= m <= 255 for m in data.mean)),
        ("data.colour_std", "0 (no colour shift) or more", data.colour_std >= 0),
        ("data.held_out", "a share of the training images, 0 < share < 1", 0 < data.held_out < 1),
        ("data.num_workers", "0 or more", data.num_workers >= 0),
        ("init.std", "a number above 0", config.init.std > 0),
        ("recipe.epochs", "1 or more", recipe.epochs >= 1),
        ("recipe.batch_size", "1 or more", recipe.batch_size >= 1),
        ("recipe.lr", "a number above 0", recipe.lr > 0),
        ("recipe.momentum", "0 <= momentum < 1", 0 <= recipe.momentum < 1),
        ("recipe.weight_decay", "0 or more", recipe.weight_decay >= 0),
        ("recipe.num_drops", "0 or more", recipe.num_drops >= 0),
        ("recipe.patience", "0 or more epochs", recipe.patience >= 0),
        ("recipe.min_gain", "a share of the images, 0 <= gain < 1", 0 <= recipe.min_gain < 1),
        ("data.name", "letters, digits, _, - and dots", re.fullmatch(r"[\w.-]+", data.name) is not None),
        ("test.batch_size", "1 or more", test.batch_size >= 1),
        ("seed", "0 or more", config.seed >= 0),
    ]  # fmt: skip
