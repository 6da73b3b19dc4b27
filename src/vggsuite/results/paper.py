"""The figures that the paper printed, from `paper.yaml`."""

from functools import cache
from importlib.resources import files
from typing import Any

import yaml


@cache
def paper() -> dict[str, Any]:
    """Every number of the paper by table."""
    return yaml.safe_load(files("vggsuite.results").joinpath("paper.yaml").read_text())
