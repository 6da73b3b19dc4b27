"""The schema of the command that draws figures."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from vggsuite.config import EvaluateConfig


class Kind(StrEnum):
    """What is drawn: the first layer's filters; the feature maps of an image, layer by layer; its class-score map; an
    evaluation's confusion matrix, and its most confident mistakes; what training sees of an image at several S; and the
    learning rate beside the error that it follows."""

    filters = "filters"
    feature_maps = "feature_maps"
    heatmap = "heatmap"
    confusion = "confusion"
    mistakes = "mistakes"
    views = "views"
    learning_rate = "learning_rate"


@dataclass
class DrawConfig(EvaluateConfig):
    """The root of `conf/draw.yaml`. `image` is a file, the name of a test image, or its number; `number` is how many
    maps of a layer, mistakes, or views of an S are drawn."""

    figure: Kind = Kind.filters
    image: Any = 0
    number: int | None = None
    output: str | None = None
