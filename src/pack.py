"""Pack a data set into few large files: see conf/pack.yaml, or `python src/pack.py --help`."""

import hydra
from omegaconf import DictConfig

from vggsuite import cli
from vggsuite.checks import data_ranges, pack_ranges, require_ranges
from vggsuite.composing import register, to_config
from vggsuite.data.config import PackConfig
from vggsuite.data.pack import pack


@hydra.main(config_path="../conf", config_name="pack", version_base="1.3")
def main(cfg: DictConfig) -> None:
    with cli.user_errors():
        config = to_config(cfg, PackConfig)
        require_ranges(config, [*data_ranges(config.data), *pack_ranges(config)])
        pack(config)


if __name__ == "__main__":
    register()
    cli.run(main)
