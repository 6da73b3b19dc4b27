"""Print a table of the paper from the runs that exist: see conf/table.yaml, or `python src/table.py --help`."""

import shlex
from pathlib import Path

import hydra
from omegaconf import DictConfig

from vggsuite import cli
from vggsuite.config import TableConfig, register, to_config
from vggsuite.errors import UserError
from vggsuite.naming import variant_of
from vggsuite.results import report, table3
from vggsuite.results.record import find_records


@hydra.main(config_path="../conf", config_name="table", version_base="1.3")
def main(cfg: DictConfig) -> None:
    with cli.user_errors():
        config = to_config(cfg, TableConfig)
        if not 0 < config.confidence < 1:
            raise UserError(f"confidence={config.confidence} is out of range; allowed: between 0 and 1 (0.95).")
        if config.table != 3:
            raise UserError(f"table={config.table} is not among the tables that can be printed; allowed: table=3.")
        print_table3(config)


def print_table3(config: TableConfig) -> None:
    """Print Table 3, and save it below `config.output`."""
    overrides = shlex.split(config.overrides)
    moved = [word.removeprefix("paths.runs=") for word in overrides if word.startswith("paths.runs=")]
    runs = Path(moved[-1] if moved else config.paths.runs)
    data, variant = config.data.name, variant_of(overrides, "table3")
    records = find_records(runs / data)
    selected = table3.select(records, data=data, variant=variant)
    shown = {folder for chosen in selected.values() for folder in chosen}
    others = [record.name for folder, record in records.items() if folder not in shown]
    made = report.make_report(data, selected, variant=variant, others=others, confidence=config.confidence)
    print(report.as_text(made))
    print("saved:", *report.save(made, Path(config.output + variant)))


if __name__ == "__main__":
    register()
    cli.run(main)
