"""Print tables of the paper from the results that exist: see conf/table.yaml, or `python src/table.py --help`."""

import hydra
from omegaconf import DictConfig

from vggsuite import cli
from vggsuite.composing import register, to_config
from vggsuite.config import TableConfig
from vggsuite.results.printing import check_settings, print_tables, table_numbers


@hydra.main(config_path="../conf", config_name="table", version_base="1.3")
def main(cfg: DictConfig) -> None:
    with cli.user_errors():
        config = to_config(cfg, TableConfig)
        check_settings(config)
        print_tables(config, table_numbers("table", config.table))


if __name__ == "__main__":
    register()
    cli.run(main)
