"""What the settings of a transfer come to, before torch is imported."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vggsuite import checks
from vggsuite.checks import data_ranges, require_ranges
from vggsuite.config import MULTI_LABEL, Features, Mode, Region, TransferConfig
from vggsuite.data.scale import MAX_CROPS, PAPER_CROP, is_integer
from vggsuite.errors import UserError
from vggsuite.protocol import Precision

# The nets of Table 1, by their factors.
FACTORS: dict[str, dict[str, Any]] = {
    "a": {"depth": 11},
    "a_lrn": {"depth": 11, "lrn": True},
    "b": {"depth": 13},
    "c": {"depth": 16, "conv1x1": True},
    "d": {"depth": 16},
    "e": {"depth": 19},
}
JITTERED = ("c", "d", "e")  # those of which Table 3 has a run with scale jitter; its features are used
SCALES = {"three": (256, 384, 512), "five": (256, 384, 512, 640, 768)}  # of 224 crops


# Settings, with those below them, that change nothing in a mode, or of raw pixels.
IDLE = {
    "mode=svm": ("freeze", "recipe"),
    "mode=finetune": ("scales", "combine", "relu", "flip", "c_grid", "precision"),
    "features=pixels": ("scales", "combine", "relu", "flip", "precision"),
}


def refuse_idle(config: TransferConfig, typed: Sequence[str]) -> None:
    """Refuse what was typed and would change nothing.

    Raises:
        UserError: naming it.
    """
    for state in (f"mode={config.mode}", f"features={config.features}"):
        checks.refuse_idle(typed, dict.fromkeys(IDLE.get(state, ()), f"with {state}; leave one of them out"))


def check(config: TransferConfig) -> None:
    """Check ranges and what goes together.

    Raises:
        UserError: naming the value, what is allowed, and the override to type.
    """
    splits = config.data.splits
    require_ranges(
        config,
        [
            *data_ranges(config.data),
            ("batch_size", "1 or more", config.batch_size >= 1),
            ("shard_size", "1 or more", config.shard_size >= 1),
            (
                "c_grid",
                "numbers above 0 ([0.1,1,10])",
                bool(config.c_grid) and all(0 < c < math.inf for c in config.c_grid),
            ),
            ("regions", "[image], [box] or [image,box]", 0 < len(set(config.regions)) == len(config.regions)),
            ("seed", "0 or more", config.seed >= 0),
        ],
    )
    check_nets(config)
    if config.precision == Precision.auto:
        raise UserError("precision=auto would leave a figure to the machine; allowed: precision=fp32, precision=bf16.")
    if splits.number > 1 and splits.train_per_class is None and splits.keep_per_class is None:
        raise UserError(
            f"data.splits.number={splits.number} would be one split so many times; type how many images of each class "
            "are drawn (data.splits.train_per_class=30), or data.splits.number=1."
        )
    if config.mode == Mode.finetune:
        check_fine_tuning(config)


def check_nets(config: TransferConfig) -> None:
    """Check that some nets are named, in one way."""
    named = [name for name in ("run", "weights", "nets") if getattr(config, name)]
    if not named or (len(named) > 1 and named != ["weights", "nets"]):
        raise UserError(
            f"run={config.run}, weights={config.weights} and nets={config.nets}: one of them says whose features; type "
            "nets=[d,e], run=<folder of a finished run>, or weights=<file or torchvision's name>."
        )
    for net in config.nets:
        if net not in FACTORS or config.nets.count(net) > 1:
            raise UserError(f"nets={config.nets} has {net}; allowed, each once: {', '.join(FACTORS)} (nets=[d,e]).")
    if named == ["weights"] and not config.model.depth:
        raise UserError(f"weights={config.weights} says nothing of the net they are of; type model=vgg_d, or nets=[d].")


def check_fine_tuning(config: TransferConfig) -> None:
    """Check what mode=finetune cannot do."""
    if config.features != Features.trained:
        raise UserError(f"features={config.features} has nothing to fine-tune; allowed with mode=finetune: trained.")
    if len(config.nets) > 1:
        raise UserError(f"nets={config.nets} are several; mode=finetune takes one (nets=[{config.nets[0]}]).")
    if config.data.layout in MULTI_LABEL:
        raise UserError(
            f"data={config.data.name} has images of several classes, or boxes, which the soft-max cannot learn; "
            "allowed with mode=finetune: data with one class an image, else mode=svm."
        )
    if config.regions != [Region.image]:
        raise UserError(f"regions=[{','.join(config.regions)}] has box; allowed with mode=finetune: regions=[image].")


def source_run(config: TransferConfig, net: str) -> Path:
    """The folder of the run of Table 3 whose features are those of `net`."""
    name = f"{net}_multi" if net in JITTERED else net
    return Path(config.paths.runs) / config.source / f"table3/{name}{config.variant}" / f"seed_{config.seed}"


def descriptor_scales(value: Any, crop: int) -> list[int]:
    """Every Q in pixels meant by "three" or "five" (those of appendix B, as shares of its crop), a number, or a list of
    numbers.

    Raises:
        UserError: for anything else, for a Q twice, and for one that the net cannot see or that fills the memory.
    """
    if value in SCALES if isinstance(value, str) else False:
        return [round(crop * side / PAPER_CROP) for side in SCALES[value]]
    numbers = value if isinstance(value, list) else [value]
    fine = bool(numbers) and all(is_integer(number) and crop <= number <= MAX_CROPS * crop for number in numbers)
    if not fine or len(set(numbers)) < len(numbers):
        raise UserError(
            f"scales={value} is not the scales of descriptors; allowed: three, five, or different numbers of pixels "
            f"from {crop} to {MAX_CROPS * crop} (scales=[{crop},{crop + round(crop / 7)}])."
        )
    return sorted(map(int, numbers))
