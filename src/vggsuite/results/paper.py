"""The figures that the paper printed, from `paper.yaml`, and others of nets of the family, from `family.yaml`."""

from functools import cache
from importlib.resources import files
from typing import Any

import yaml


@cache
def paper() -> dict[str, Any]:
    """Every number of the paper by table."""
    return yaml.safe_load(files("vggsuite.results").joinpath("paper.yaml").read_text())


@cache
def family() -> list[dict[str, Any]]:
    """The nets of the family, their experiments, and the errors that others printed of them."""
    return yaml.safe_load(files("vggsuite.results").joinpath("family.yaml").read_text())["rows"]
