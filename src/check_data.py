"""Read every image of a data set and report what is wrong: see conf/check_data.yaml, or
`python src/check_data.py --help`."""

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from vggsuite import cli
from vggsuite.checks import check_data_ranges, data_ranges, require_ranges
from vggsuite.composing import register, to_config
from vggsuite.data.checking import check_data
from vggsuite.data.config import CheckDataConfig


@hydra.main(config_path="../conf", config_name="check_data", version_base="1.3")
def main(cfg: DictConfig) -> None:
    with cli.user_errors():
        config = to_config(cfg, CheckDataConfig)
        require_ranges(config, [*data_ranges(config.data), *check_data_ranges(config)])
        check_data(config, HydraConfig.get().overrides.task)


if __name__ == "__main__":
    register()
    cli.run(main)
