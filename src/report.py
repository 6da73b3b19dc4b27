"""Write one page of all results of a data set: see conf/report.yaml, or `python src/report.py --help`."""

import hydra
from omegaconf import DictConfig

from vggsuite import cli
from vggsuite.composing import register, to_config
from vggsuite.config import ReportConfig
from vggsuite.results.printing import check_settings


@hydra.main(config_path="../conf", config_name="report", version_base="1.3")
def main(cfg: DictConfig) -> None:
    with cli.user_errors():
        config = to_config(cfg, ReportConfig)
        check_settings(config)
        from vggsuite.results.page.render import make_page  # only now: what is wrong with a word is told at once

        print(f"saved: {make_page(config)}")


if __name__ == "__main__":
    register()
    cli.run(main)
