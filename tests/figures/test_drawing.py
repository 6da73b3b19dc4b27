"""Which image a name is of, and which settings a figure knows."""

from typing import Any

import pytest

from vggsuite.errors import UserError
from vggsuite.evaluation.settings import check_heatmap
from vggsuite.figures.config import DrawConfig, Kind
from vggsuite.figures.drawing import DRAWINGS, SETTINGS, check
from vggsuite.figures.of_images import indices_of
from vggsuite.protocol import Method

NAMES = ["cat/1.png", "dog/1.png", "dog/2.png", "dog/2.jpg", "1.png", "dog/big/2.png"]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("cat/1.png", [0]),
        ("cat/1", [0]),
        ("1.png", [4]),  # a whole path
        ("1", [0, 1, 4]),
        ("2.jpg", [3]),
        ("2.png", [2, 5]),
        ("dog/2", [2, 3]),
        ("big/2", [5]),
        ("at/1.png", []),
        ("/data/cat/1.png", []),
        ("", []),
    ],
)
def test_a_name_is_the_end_of_a_path(asked: str, found: list[int]) -> None:
    assert indices_of(asked, NAMES) == found


def config(figure: Kind, **changes: Any) -> DrawConfig:
    return DrawConfig(figure=figure, **{"run": "runs/tiny", "variant": ""} | changes)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("figure", Kind)
def test_a_setting_is_known_or_refused(figure: Kind, setting: str) -> None:
    if setting in DRAWINGS[figure].settings:
        check(config(figure), [f"{setting}=1"])
    else:
        with pytest.raises(UserError, match=f"^{setting}=1 changes nothing with figure={figure}; (allowed with|leave)"):
            check(config(figure), ["output=x", f"{setting}=1"])


def test_what_a_figure_knows_is_a_setting() -> None:
    assert {*DRAWINGS} == {*Kind}
    assert all({*drawing.settings} <= {*SETTINGS} for drawing in DRAWINGS.values())


def test_the_net_of_published_weights_is_told_by_its_data() -> None:
    check(config(Kind.filters, run=None, weights="DEFAULT"), ["data=imagenet", "data.crop=32"])
    with pytest.raises(UserError, match=r"^data\.root=x changes nothing with figure=filters"):
        check(config(Kind.filters), ["data.root=x"])


@pytest.mark.parametrize("word", ["figure=heatmap", "heatmap=<an image>"])
def test_a_heat_map_needs_a_map_of_scores_and_a_class_needs_a_heat_map(word: str) -> None:
    with pytest.raises(UserError, match=f"^{word} needs a map of scores, which protocol=both has not"):
        check_heatmap(config(Kind.heatmap, protocol=Method.both), asked=True, word=word)
    with pytest.raises(UserError, match=f"^heatmap_class=cat is for a heat map; type {word} too"):
        check_heatmap(config(Kind.heatmap, heatmap_class="cat"), asked=False, word=word)
