"""The schema of the command that describes nets."""

from dataclasses import dataclass, field
from typing import Any

from vggsuite.config import DataConfig, ModelConfig, PathsConfig, RecipeConfig


@dataclass
class DescribeConfig:
    """The root of `conf/describe.yaml`. `against` is another model of conf/model/, or of `stack` another one, of
    convolutions of these kernel sizes from `channels` to as many (section 2.3)."""

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    recipe: RecipeConfig = field(default_factory=RecipeConfig)
    against: Any = None
    stack: list[int] | None = None
    channels: int = 64
    num_classes: int | None = None
    memory: str | None = None
    headroom: float = 0.1
    output: str | None = None
    paths: PathsConfig = field(default_factory=PathsConfig)
