"""Prints tables and saves them, as the commands that show them do."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from vggsuite.config import TableSettings
from vggsuite.errors import UserError
from vggsuite.results import (
    degradation,
    localisation_points,
    localisation_tables,
    rendering,
    report,
    transfer_points,
    transfer_tables,
)
from vggsuite.results.collection import Collection, collect
from vggsuite.results.rendering import Report

Table = int | str  # a number of the paper's, or the name of one of ours
KNOWN_TABLES: tuple[Table, ...] = (
    *report.TITLES,
    *localisation_points.TITLES,
    *transfer_points.TITLES,
    *degradation.TITLES,
)


def check_settings(config: TableSettings) -> None:
    """Check what a command says of the tables that it will print.

    Raises:
        UserError: for a confidence that is none.
    """
    if not 0 < config.confidence < 1:
        raise UserError(f"confidence={config.confidence} is out of range; allowed: between 0 and 1 (0.95).")


def table_numbers(setting: str, asked: Any) -> list[Table]:
    """The tables that a setting asks for, one or several.

    Raises:
        UserError: for what is none.
    """
    numbers = list(asked) if isinstance(asked, list) else [asked]
    if not numbers or not all(type(number) in (int, str) and number in KNOWN_TABLES for number in numbers):
        allowed = ", ".join(map(str, KNOWN_TABLES))
        raise UserError(
            f"{setting}={asked} is not among those that can be printed; allowed: {allowed}, or {setting}=[3,4]."
        )
    return numbers


class Records:
    """What there is for the tables of `config`, each kind of record read once, when a table asks for it."""

    def __init__(self, config: TableSettings) -> None:
        self.config = config
        self.runs, self.data, self.variant = Path(config.paths.runs), config.data.name, config.variant

    @cached_property
    def collection(self) -> Collection:
        """Of Tables 3 to 7 and of degradation, and all runs of the data set."""
        return collect(self.runs, data=self.data, variant=self.variant)

    @cached_property
    def localisations(self) -> localisation_points.Localisations:
        """Of Tables 8 to 10."""
        return localisation_points.collect_localisations(self.runs, data=self.data, variant=self.variant)

    @cached_property
    def transfers(self) -> transfer_points.Transfers:
        """Of Tables 11 and 12."""
        return transfer_points.collect_transfers(self.runs, source=self.data, variant=self.variant)

    def report(self, number: Table) -> Report:
        """Everything to print of a table.

        Raises:
            UserError: for damaged records, and for those that do not belong into one table.
        """
        targets, confidence = self.config.transfer_to, self.config.confidence
        told: dict[str, Any] = {"variant": self.variant, "confidence": confidence}
        if number in transfer_points.TITLES:
            return transfer_tables.make_transfer_report(
                number, self.transfers, source=self.data, targets=targets, **told
            )
        if number in localisation_points.TITLES:
            return localisation_tables.make_localisation_report(number, self.localisations, data=self.data, **told)
        if isinstance(number, str):
            return degradation.make_degradation_report(self.collection, confidence)
        return report.make_report(number, self.collection, confidence)


def print_tables(config: TableSettings, numbers: Sequence[Table]) -> None:
    """Print tables from the records that exist, and save them in `config.output`."""
    records = Records(config)
    for number in numbers:
        made = records.report(number)
        print(rendering.as_text(made))
        print("saved:", *rendering.save(made, Path(config.output)), end="\n\n", flush=True)
