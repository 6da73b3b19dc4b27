"""What the settings of an evaluation come to, before torch is imported: a run's own config, and the protocol."""

from collections.abc import Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf

from vggsuite.checks import data_ranges, model_ranges, require_ranges
from vggsuite.composing import to_config
from vggsuite.config import DataConfig, EvaluateConfig, ModelConfig
from vggsuite.data.scale import parse_scale, parse_test_scales
from vggsuite.errors import UserError
from vggsuite.files import naming_damaged
from vggsuite.models.factors import WITH_CEIL_MODE, check_model
from vggsuite.protocol import Average, Method, Precision, Protocol, default_flip
from vggsuite.results.record import Evaluation, current_evaluation, evaluation_folder, read_record
from vggsuite.results.run_folder import CONFIG_FILE, require_finished, saved_config, weights_of

# Settings of `data` that say where images are and how they are read; the others are of how the net was trained.
PLACE = ("name", "layout", "root", "val_fraction", "num_workers", "decoder", "expected", "skip")

# What `trainer` says of training alone, as conf/trainer/ has it; an evaluation knows no such thing.
OF_TRAINING = {
    "num_nodes": (1,),
    "strategy": ("auto", "ddp", "fsdp"),
    "accumulate_grad_batches": (1,),
    "sync_batchnorm": (True, False),
}


Config = TypeVar("Config", bound=EvaluateConfig)


def settle(cfg: DictConfig, typed: Sequence[str], schema: type[Config]) -> Config:
    """The config of an evaluation, or of what is drawn of one, of this `schema`. With `run`, net and data are those of
    the run's own saved config; what was `typed` of where images are is laid over it.

    Raises:
        UserError: for what does not go together, and where the run has not finished.
    """
    if (cfg.run is None) == (cfg.weights is None):
        raise UserError(
            f"run={cfg.run} and weights={cfg.weights}: one of them is evaluated; type run=<folder of a finished run>, "
            "or weights=<file or torchvision's name>."
        )
    if cfg.run is not None:
        require_finished(Path(cfg.run), "run")
        adopt_run(cfg, typed, Path(cfg.run))
    elif any(word.startswith(("data.mean=", "data.std=")) for word in typed):
        raise UserError(
            "data.mean and data.std have no part in published weights; type preprocessing=paper, torchvision, "
            "oxford or inception."
        )
    elif OmegaConf.is_missing(cfg.model, "depth"):
        raise UserError(f"weights={cfg.weights} says nothing of the net they are of; type model=vgg_d, or another net.")
    config = to_config(cfg, schema)
    check(config)
    return config


def adopt_run(cfg: DictConfig, typed: Sequence[str], folder: Path, settable: Sequence[str] = PLACE) -> None:
    """Put the net and the data of the run in `folder` into `cfg`, but for the settings of data that were typed and are
    `settable`.

    Raises:
        UserError: for other settings of either that were typed, and where the run's config cannot be read.
    """
    with naming_damaged(folder / CONFIG_FILE, "repeat the run (perhaps it is of another version of the suite)"):
        saved = saved_config(folder)
        data, model = (part_of(saved, name, kind) for name, kind in (("data", DataConfig), ("model", ModelConfig)))
    keys = [word.partition("=")[0].lstrip("+~") for word in typed]
    for key in keys:
        group, _, rest = key.partition(".")
        if (
            group == "model"
            or key == "preprocessing"
            or (group == "data" and rest and rest.split(".")[0] not in settable)
        ):
            raise UserError(
                f"{key} is a run's own and cannot be set beside it; leave it out (allowed: "
                f"{', '.join(f'data.{name}' for name in settable)})."
            )
    replaced = list(PLACE) if "data" in keys and cfg.data.name != data.name else []
    for name in [*replaced, *(key.removeprefix("data.") for key in keys if key.startswith("data."))]:
        OmegaConf.update(data, name, OmegaConf.select(cfg.data, name), merge=False)
    cfg.data, cfg.model = data, model


def part_of(saved: DictConfig, name: str, kind: type[Any]) -> DictConfig:
    """The part of a run's saved config that is of this `kind`, with nothing missing.

    Raises:
        OmegaConfBaseException: where it is not.
    """
    part = OmegaConf.merge(OmegaConf.structured(kind), OmegaConf.select(saved, name, throw_on_missing=True))
    OmegaConf.to_container(part, throw_on_missing=True)
    assert isinstance(part, DictConfig)
    return part


def check(config: EvaluateConfig) -> None:
    """Check ranges and what goes together.

    Raises:
        UserError: naming the value, what is allowed, and the override to type.
    """
    require_ranges(
        config,
        [
            *model_ranges(config.model),
            *data_ranges(config.data),
            ("batch_size", "1 or more", config.batch_size >= 1),
            ("shard_size", "1 or more", config.shard_size >= 1),
        ],
    )
    check_model(config.model)
    if config.ceil_mode and config.model.family not in WITH_CEIL_MODE:
        raise UserError(
            f"ceil_mode=true changes nothing of model.family={config.model.family}, which says itself how its pools "
            f"round; allowed with model.family={' or '.join(WITH_CEIL_MODE)}."
        )
    check_forward(config.trainer, config.precision)
    for name in ("run", "weights", "heatmap", "data.root"):
        if attrgetter(name)(config) == "":
            raise UserError(f"{name}= is empty; type {name}=<a path>, or leave it out.")
    if config.protocol not in (Method.dense, Method.both):
        for name, default in (("average", Average.scores), ("ceil_mode", False)):
            if getattr(config, name) != default:
                raise UserError(
                    f"{name}={getattr(config, name)} changes nothing with protocol={config.protocol}, which has no map "
                    "of scores; allowed with protocol=dense and protocol=both."
                )


def check_heatmap(config: EvaluateConfig, *, asked: bool, word: str) -> None:
    """Check the settings of a heat map, whichever command draws it.

    Args:
        config: the settings.
        asked: whether there is to be one.
        word: which asks for one.

    Raises:
        UserError: for a class without a heat map, and for a protocol that has no map of scores.
    """
    if config.heatmap_class and not asked:
        raise UserError(f"heatmap_class={config.heatmap_class} is for a heat map; type {word} too.")
    if asked and config.protocol != Method.dense:
        raise UserError(f"{word} needs a map of scores, which protocol={config.protocol} has not; type protocol=dense.")


def check_forward(trainer: Mapping[str, Any], precision: Precision) -> None:
    """Check what forward passes are asked to be made by.

    Raises:
        UserError: for settings of training, and where the precision would be left to the machine.
    """
    for key, value in trainer.items():
        if key not in ("accelerator", "devices") and value not in OF_TRAINING.get(key, ()):
            raise UserError(
                f"trainer.{key}={value} is for training; an evaluation takes trainer.accelerator and trainer.devices, "
                "of one machine."
            )
    if precision == Precision.auto:
        raise UserError("precision=auto would leave a figure to the machine; allowed: precision=fp32, precision=bf16.")


def protocol_of(config: EvaluateConfig) -> Protocol:
    """The protocol that `config` asks for.

    Raises:
        UserError: for scales that the net cannot be tested at.
    """
    train = parse_scale(config.data.scale, config.data.crop)
    flip = default_flip(config.protocol, trained=config.data.flip) if config.flip is None else config.flip
    return Protocol(
        config.protocol,
        tuple(parse_test_scales(config.scales, train, config.data.crop)),
        flip=flip,
        average=config.average,
        ceil_mode=config.ceil_mode,
        precision=config.precision,
    )


def finished(config: EvaluateConfig, protocol: Protocol, typed: Sequence[str]) -> Evaluation | None:
    """The record of a finished evaluation of a run on its own images, where it can be told
    without a look at the images: neither is it to be repeated, nor was anything said of where they are.
    """
    if config.run is None or config.rerun or any(word.startswith("data.") for word in typed):
        return None
    folder = Path(config.run)
    run = read_record(folder)
    if config.data.name != run.data["name"]:
        return None
    weights = weights_of(run.name, folder, run.environment["started"])
    images = {"fingerprint": run.data["fingerprint"], "decoder": str(config.data.decoder)}
    return current_evaluation(evaluation_folder(folder, protocol), weights, images)
