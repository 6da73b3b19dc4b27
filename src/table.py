"""Print a table of the paper from the runs that exist: see conf/table.yaml, or `python src/table.py --help`."""

from pathlib import Path

import hydra
from omegaconf import DictConfig

from vggsuite import cli
from vggsuite.config import TableConfig, register, to_config
from vggsuite.results import claims, report, table3
from vggsuite.results.record import find_records


@hydra.main(config_path="../conf", config_name="table", version_base="1.3")
def main(cfg: DictConfig) -> None:
    config = to_config(cfg, TableConfig)
    records = find_records(Path(config.paths.runs) / config.data)
    selected = table3.select(records, data=config.data, variant=config.variant)
    rows = table3.rows(selected)
    shown = {folder for runs in selected.values() for folder in runs}
    others = [str(folder.relative_to(config.paths.runs)) for folder in records if folder not in shown]
    found = claims.findings(selected, config.confidence)
    heading, remarks = report.title(config.data, selected), report.notes(config.confidence, others)
    print(report.document(heading, rows, found, remarks, "simple"))
    saved = report.save(Path(config.output), heading, rows, found, remarks)
    print("saved:", *saved)


if __name__ == "__main__":
    register()
    cli.run(main)
