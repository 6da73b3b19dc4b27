"""Run what tables of the paper still lack, and print them: see conf/ablation.yaml, or --help."""

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from vggsuite import cli
from vggsuite.ablation.stages import make_launcher, run_stages
from vggsuite.ablation.tasks import tasks_of
from vggsuite.composing import register, to_config
from vggsuite.config import AblationConfig
from vggsuite.results.printing import check_settings, print_tables, table_numbers
from vggsuite.results.record import find_records


@hydra.main(config_path="../conf", config_name="ablation", version_base="1.3")
def main(cfg: DictConfig) -> None:
    chosen = HydraConfig.get()
    with cli.user_errors():
        with cli.composing():  # the overrides name the tables' folder
            config = to_config(cfg, AblationConfig)
        check_settings(config)
        tables = table_numbers("tables", config.tables)
        tasks = tasks_of(tables, config, data=chosen.runtime.choices["data"], typed=chosen.overrides.task)
        if config.dry_run:
            from vggsuite.ablation.plan import plan  # only now: it needs torch

            records = list(find_records(Path(config.paths.runs)).values())
            away, assumed = chosen.runtime.choices["hydra/launcher"] == "slurm", config.multiply_adds_per_second
            print(plan(tasks, records, on_cluster=away, assumed=assumed))
            return
        with cli.user_errors():  # the tables are printed all the same
            run_stages(tasks, make_launcher(chosen.runtime.choices["hydra/launcher"], chosen.launcher))
        print_tables(config, tables)


if __name__ == "__main__":
    register()
    cli.run(main)
