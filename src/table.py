"""Print tables of the paper from the results that exist: see conf/table.yaml, or `python src/table.py --help`."""

from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig

from vggsuite import cli
from vggsuite.config import TableConfig, register, to_config
from vggsuite.errors import UserError
from vggsuite.results import report
from vggsuite.results.collection import collect


@hydra.main(config_path="../conf", config_name="table", version_base="1.3")
def main(cfg: DictConfig) -> None:
    with cli.user_errors():
        config = to_config(cfg, TableConfig)
        if not 0 < config.confidence < 1:
            raise UserError(f"confidence={config.confidence} is out of range; allowed: between 0 and 1 (0.95).")
        collection = collect(Path(config.paths.runs), data=config.data.name, variant=config.variant)
        for number in table_numbers(config.table):
            made = report.make_report(number, collection, config.confidence)
            print(report.as_text(made))
            print("saved:", *report.save(made, Path(config.output)), end="\n\n")


def table_numbers(asked: Any) -> list[int]:
    """The numbers of the tables asked for, one or several."""
    numbers = list(asked) if isinstance(asked, list) else [asked]
    if not numbers or not all(type(number) is int and number in report.TITLES for number in numbers):
        allowed = ", ".join(map(str, report.TITLES))
        raise UserError(f"table={asked} is not among those that can be printed; allowed: {allowed}, or table=[3,4].")
    return numbers


if __name__ == "__main__":
    register()
    cli.run(main)
