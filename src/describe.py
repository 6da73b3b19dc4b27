"""What each layer of a net is and costs: see conf/describe.yaml, or `python src/describe.py --help`."""

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from vggsuite import cli
from vggsuite.anatomy.config import DescribeConfig
from vggsuite.composing import register, to_config


@hydra.main(config_path="../conf", config_name="describe", version_base="1.3")
def main(cfg: DictConfig) -> None:
    chosen = HydraConfig.get()
    with cli.user_errors():
        config = to_config(cfg, DescribeConfig)
        from vggsuite.anatomy.describe import describe  # only now: what is wrong with a word is told without torch

        describe(config, str(chosen.runtime.choices["model"]), chosen.overrides.task)


if __name__ == "__main__":
    register()
    cli.run(main)
