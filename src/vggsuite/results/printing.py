"""Prints tables and saves them, as the commands that show them do."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vggsuite.config import TableSettings
from vggsuite.errors import UserError
from vggsuite.results import rendering, report
from vggsuite.results.collection import collect


def check_settings(config: TableSettings) -> None:
    """Check what a command says of the tables that it will print.

    Raises:
        UserError: for a confidence that is none.
    """
    if not 0 < config.confidence < 1:
        raise UserError(f"confidence={config.confidence} is out of range; allowed: between 0 and 1 (0.95).")


def table_numbers(setting: str, asked: Any) -> list[int]:
    """The numbers of the tables that a setting asks for, one or several.

    Raises:
        UserError: for what is none.
    """
    numbers = list(asked) if isinstance(asked, list) else [asked]
    if not numbers or not all(type(number) is int and number in report.TITLES for number in numbers):
        allowed = ", ".join(map(str, report.TITLES))
        raise UserError(
            f"{setting}={asked} is not among those that can be printed; allowed: {allowed}, or {setting}=[3,4]."
        )
    return numbers


def print_tables(config: TableSettings, numbers: Sequence[int]) -> None:
    """Print tables from the records that exist, and save them in `config.output`."""
    collection = collect(Path(config.paths.runs), data=config.data.name, variant=config.variant)
    for number in numbers:
        made = report.make_report(number, collection, config.confidence)
        print(rendering.as_text(made))
        print("saved:", *rendering.save(made, Path(config.output)), end="\n\n", flush=True)
