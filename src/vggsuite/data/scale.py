"""The training scale S: the smallest side to which an image is isotropically rescaled before cropping (section 3.1)."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

from vggsuite.errors import UserError

# The paper's scales, as shares of its crop side of 224 pixels, so that they mean the same for any crop.
WORDS = {"single": (256, 256), "single_384": (384, 384), "multi": (256, 512)}
PAPER_CROP = 224
MAX_CROPS = 16  # a larger S shows a net a sliver of an image, and dense evaluation of it would fill the memory


class Scale(NamedTuple):
    """S in pixels, drawn uniformly from `low` to `high`, both included; equal for a fixed S."""

    low: int
    high: int

    @property
    def middle(self) -> int:
        """The single test scale Q that goes with S: S itself, or 0.5 (Smin + Smax) of a jittered one (section 4.1)."""
        return (self.low + self.high) // 2

    def several(self, crop: int) -> list[int]:
        """The three test scales that go with S (section 4.2): S - 32, S and S + 32 of a fixed one, 32 being a seventh
        of the paper's crop; Smin, 0.5 (Smin + Smax) and Smax of a jittered one."""
        if self.low < self.high:
            return [self.low, self.middle, self.high]
        step = round(crop / 7)
        return [self.low - step, self.low, self.low + step]


def parse_scale(value: Any, crop: int) -> Scale:
    """The pixels meant by a word of `WORDS`, by a number (a fixed S) or by a pair of numbers (a jittered S).

    Raises:
        UserError: for anything else, and for an S below the crop's side.
    """
    if isinstance(value, str):
        if value not in WORDS:
            refuse(value, "is no training scale")
        low, high = (math.floor(crop * side / PAPER_CROP + 0.5) for side in WORDS[value])
    elif is_integer(value):
        low = high = int(value)
    elif isinstance(value, Sequence) and len(value) == 2 and all(map(is_integer, value)):
        low, high = map(int, value)
    else:
        refuse(value, "is no training scale")
    if low > high:
        refuse(value, "runs backwards")
    if low < crop:
        refuse(value, f"is smaller than the crop of {crop} pixels")
    if high > MAX_CROPS * crop:
        refuse(value, f"is more than {MAX_CROPS} times the crop of {crop} pixels")
    return Scale(low, high)


def parse_test_scales(value: Any, train: Scale, crop: int) -> list[int]:
    """Every Q in pixels meant by "single" (the one that goes with S, Table 3), "multi" (the three that do, Table 4), a
    number or a list of numbers.

    Raises:
        UserError: for anything else, for a Q twice, and for a Q that the net cannot see or that fills the memory.
    """
    match value:
        case "single":
            scales = [train.middle]
        case "multi":
            scales = train.several(crop)
        case _:
            numbers = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
            if not numbers or not all(map(is_integer, numbers)):
                refuse_test_scales(value, "is no list of test scales", crop)
            scales = list(map(int, numbers))
    if min(scales) < crop:
        refuse_test_scales(value, f"has Q = {min(scales)}, below the net's smallest input of {crop} pixels", crop)
    if max(scales) > MAX_CROPS * crop:
        refuse_test_scales(value, f"has Q = {max(scales)}, more than {MAX_CROPS} crops of {crop} pixels", crop)
    if len(set(scales)) < len(scales):
        refuse_test_scales(value, "has one Q twice", crop)
    return sorted(scales)


def refuse_test_scales(value: Any, why: str, crop: int) -> NoReturn:
    raise UserError(
        f"scales={value} {why}; allowed: single, multi, or numbers of pixels from {crop} on "
        f"(scales=[{crop},{crop + round(crop / 7)}])."
    )


def is_integer(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()


def refuse(value: Any, why: str) -> NoReturn:
    raise UserError(
        f"data.scale={value} {why}; allowed: {', '.join(WORDS)}, a number of pixels not below data.crop "
        "(data.scale=384), or such a range (data.scale=[256,512])."
    )
