"""Print tables of the paper from the results that exist: see conf/table.yaml, or `python src/table.py --help`."""

from pathlib import Path

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
        numbers = table_numbers(config)
        collection = collect(Path(config.paths.runs), data=config.data.name, variant=config.variant)
        for number in numbers:
            made = report.make_report(number, collection, config.confidence)
            print(report.as_text(made))
            print("saved:", *report.save(made, Path(config.output)), end="\n\n")


def table_numbers(config: TableConfig) -> list[int]:
    """The tables that `config` asks for, one or several."""
    if not 0 < config.confidence < 1:
        raise UserError(f"confidence={config.confidence} is out of range; allowed: between 0 and 1 (confidence=0.95).")
    numbers = list(config.table) if isinstance(config.table, list) else [config.table]
    if not numbers or not set(numbers) <= report.TITLES.keys():
        raise UserError(
            f"table={config.table} is not among the tables that can be printed; allowed: "
            f"{', '.join(map(str, report.TITLES))}, or several (table=[3,4])."
        )
    return numbers


if __name__ == "__main__":
    register()
    cli.run(main)
