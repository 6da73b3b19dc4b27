"""Which factors make a net of each family, and which do not go together. Needs no torch, so that a config is checked at
once."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from enum import StrEnum
from typing import Any

from vggsuite.config import Activation, Family, Head, ModelConfig, Padding
from vggsuite.errors import UserError
from vggsuite.models.table1 import KERNELS, block_kernels

# Weight layers of a ResNet -> the blocks of each of its layers: four for ImageNet, three for images of 32 pixels
# (He et al. 2015, table 1 and section 4.2).
RESNET_BLOCKS: dict[int, tuple[int, ...]] = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    20: (3, 3, 3),
    32: (5, 5, 5),
    44: (7, 7, 7),
    56: (9, 9, 9),
    110: (18, 18, 18),
}
BOTTLENECKS = (50, 101, 152)  # depths whose blocks have three convolutions, not two

COMMON = ("depth", "width", "num_pools", "padding")
OWN = {
    Family.vgg: ("lrn", "conv1x1", "kernel", "batch_norm", "activation", "shortcuts", "head", "dropout"),
    Family.alexnet: ("lrn", "towers", "activation", "dropout"),
    Family.googlenet: ("lrn", "kernel", "batch_norm", "auxiliary", "dropout"),
    Family.resnet: ("shortcuts",),
}
# What factors that a family has not are, where that is not their default.
FIXED: dict[Family, dict[str, Any]] = {
    Family.vgg: {},
    Family.alexnet: {},
    Family.googlenet: {"head": Head.global_average_pool},
    Family.resnet: {"head": Head.global_average_pool, "batch_norm": True, "dropout": 0.0},
}
# Factors that are words.
WORDS: dict[str, type[StrEnum]] = {"family": Family, "head": Head, "activation": Activation, "padding": Padding}
DEPTHS = {
    Family.vgg: tuple(KERNELS),
    Family.alexnet: (8,),
    Family.googlenet: (22,),
    Family.resnet: tuple(RESNET_BLOCKS),
}
WITH_CEIL_MODE = (Family.vgg, Family.alexnet)  # the others say themselves which way a map's side is rounded


def arguments_of(model: ModelConfig) -> dict[str, Any]:
    """The factors that a net of the model's family is built of."""
    values = asdict(model)
    return {name: values[name] for name in (*COMMON, *OWN[model.family])}


def check_model(model: ModelConfig) -> None:
    """Check that there is such a net.

    Raises:
        UserError: for a depth that its family has not, a factor that is none of its own, and for two that exclude each
            other.
    """
    family, depth = model.family, model.depth
    if depth not in DEPTHS[family]:
        raise UserError(
            f"model.depth={depth} is no net of model.family={family}; allowed: {', '.join(map(str, DEPTHS[family]))}."
        )
    expected = asdict(ModelConfig(depth=depth)) | {"family": family} | FIXED[family]
    for name, value in asdict(model).items():
        if name not in (*COMMON, *OWN[family]) and value != expected[name]:
            own = ", ".join(f"model.{factor}" for factor in (*COMMON, *OWN[family]))
            raise UserError(
                f"model.{name}={text(value)} has no part in model.family={family}, where it is {text(expected[name])}; "
                f"allowed: {own}."
            )
    match family:
        case Family.vgg:
            block_kernels(depth, conv1x1=model.conv1x1, kernel=model.kernel)
        case Family.googlenet if model.kernel not in (3, 5):
            raise UserError(f"model.kernel={model.kernel} has no place in GoogLeNet; allowed: 3 or 5.")
        case Family.resnet if not model.shortcuts and depth in BOTTLENECKS:
            allowed = ", ".join(str(each) for each in RESNET_BLOCKS if each not in BOTTLENECKS)
            raise UserError(
                f"model.shortcuts=false has no place in model.depth={depth}, which nobody has trained so; allowed with "
                f"it: model.depth={allowed}."
            )


def model_of(recorded: Mapping[str, Any]) -> ModelConfig:
    """The model that a record tells, which may be older than some factors and knows more than factors."""
    values = {name: value for name, value in recorded.items() if name in ModelConfig.__dataclass_fields__}
    for name in WORDS.keys() & values.keys():
        values[name] = WORDS[name](values[name])
    return ModelConfig(**values)


def name_of(model: ModelConfig) -> str:
    """What the field calls a net, as "D", "A-LRN", "GoogLeNet" or "plain-34", and the factors in which it differs from
    the net of that name, as "AlexNet, towers 1"; dropout and what all families have aside."""
    name, usual = NAMED[model.family](model)
    expected, values = asdict(ModelConfig()) | usual, asdict(model)
    own = [factor for factor in OWN[model.family] if factor != "dropout"]
    return ", ".join([name, *(f"{each} {text(values[each])}" for each in own if values[each] != expected[each])])


def vgg_named(model: ModelConfig) -> tuple[str, dict[str, Any]]:
    """The name in Table 1, or one by depth, and the factors that it means."""
    if model.depth == 11 and model.lrn:
        return "A-LRN", {"lrn": True}
    if model.depth == 16 and model.conv1x1:
        return "C", {"conv1x1": True}
    return {11: "A", 13: "B", 16: "D", 19: "E"}.get(model.depth, f"VGG-{model.depth}"), {}


def googlenet_named(model: ModelConfig) -> tuple[str, dict[str, Any]]:
    """The net of 2014, or torchvision's, and the factors that this means."""
    as_it_was = {"lrn": True, "kernel": 5, "auxiliary": 0.3}
    if model.lrn and not model.batch_norm:
        return "GoogLeNet (2014)", as_it_was
    return "GoogLeNet", {"batch_norm": True, "auxiliary": 0.3}


def resnet_named(model: ModelConfig) -> tuple[str, dict[str, Any]]:
    """ResNet or plain net by its depth."""
    return f"{'ResNet' if model.shortcuts else 'plain'}-{model.depth}", {"shortcuts": model.shortcuts}


NAMED: dict[Family, Callable[[ModelConfig], tuple[str, dict[str, Any]]]] = {
    Family.vgg: vgg_named,
    Family.alexnet: lambda model: ("AlexNet", {"lrn": True, "towers": 2}),
    Family.googlenet: googlenet_named,
    Family.resnet: resnet_named,
}


def text(value: Any) -> str:
    """A value as it is typed."""
    return str(value).lower() if isinstance(value, bool) else str(value)
