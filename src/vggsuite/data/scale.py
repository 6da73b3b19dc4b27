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


def is_integer(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()


def refuse(value: Any, why: str) -> NoReturn:
    raise UserError(
        f"data.scale={value} {why}; allowed: {', '.join(WORDS)}, a number of pixels not below data.crop "
        "(data.scale=384), or such a range (data.scale=[256,512])."
    )
