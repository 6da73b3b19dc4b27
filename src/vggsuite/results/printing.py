"""Prints tables and saves them, as the commands that show them do."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vggsuite.config import TableSettings
from vggsuite.errors import UserError
from vggsuite.results import (
    localisation_points,
    localisation_tables,
    rendering,
    report,
    transfer_points,
    transfer_tables,
)
from vggsuite.results.collection import collect
from vggsuite.results.rendering import Report

KNOWN_TABLES = (*report.TITLES, *localisation_points.TITLES, *transfer_points.TITLES)


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
    if not numbers or not all(type(number) is int and number in KNOWN_TABLES for number in numbers):
        allowed = ", ".join(map(str, KNOWN_TABLES))
        raise UserError(
            f"{setting}={asked} is not among those that can be printed; allowed: {allowed}, or {setting}=[3,4]."
        )
    return numbers


def print_tables(config: TableSettings, numbers: Sequence[int]) -> None:
    """Print tables from the records that exist, and save them in `config.output`."""
    for number in numbers:
        made = make_report(number, config)
        print(rendering.as_text(made))
        print("saved:", *rendering.save(made, Path(config.output)), end="\n\n", flush=True)


def make_report(number: int, config: TableSettings) -> Report:
    """Everything to print of a table."""
    runs, data, variant = Path(config.paths.runs), config.data.name, config.variant
    if number in transfer_points.TITLES:
        transfers = transfer_points.collect_transfers(runs, source=data, variant=variant)
        return transfer_tables.make_transfer_report(
            number, transfers, source=data, variant=variant, targets=config.transfer_to, confidence=config.confidence
        )
    if number in localisation_points.TITLES:
        found = localisation_points.collect_localisations(runs, data=data, variant=variant)
        return localisation_tables.make_localisation_report(
            number, found, data=data, variant=variant, confidence=config.confidence
        )
    return report.make_report(number, collect(runs, data=data, variant=variant), config.confidence)
