"""The training scale in words and pixels."""

from typing import Any

import pytest

from vggsuite.data.scale import Scale, parse_scale
from vggsuite.errors import UserError


@pytest.mark.parametrize(
    ("value", "crop", "expected"),
    [
        ("single", 224, (256, 256)),
        ("single_384", 224, (384, 384)),
        ("multi", 224, (256, 512)),
        ("single", 32, (37, 37)),
        ("multi", 32, (37, 73)),
        (300, 224, (300, 300)),
        ([256, 512], 224, (256, 512)),
        ([40, 40.0], 32, (40, 40)),
    ],
)
def test_words_numbers_and_pairs(value: Any, crop: int, expected: tuple[int, int]) -> None:
    assert parse_scale(value, crop) == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("mutli", "is no training scale"),
        (-256, "is smaller than the crop"),
        (223, "is smaller than the crop"),
        (1e9, "is more than 16 times the crop"),
        ([512, 256], "runs backwards"),
        ([100, 256], "is smaller than the crop"),
        ([256], "is no training scale"),
        ([256, 384, 512], "is no training scale"),
        (256.5, "is no training scale"),
        (float("nan"), "is no training scale"),
        (True, "is no training scale"),
        (None, "is no training scale"),
        (["a", "b"], "is no training scale"),
    ],
)
def test_anything_else_is_refused_with_what_is_allowed(value: Any, reason: str) -> None:
    with pytest.raises(UserError, match=reason) as error:
        parse_scale(value, 224)
    assert "data.scale=[256,512]" in str(error.value)


def test_the_test_scale_that_goes_with_it() -> None:
    assert Scale(256, 512).middle == 384
    assert Scale(384, 384).middle == 384
