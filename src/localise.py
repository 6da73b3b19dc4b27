"""Localise what images show: `python src/localise.py train|evaluate|fuse|show ...`; see conf/localise_<which>.yaml, or
`python src/localise.py train --help`."""

import sys

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from vggsuite import cli
from vggsuite.composing import register
from vggsuite.localisation.commands import COMMANDS, words_of


@hydra.main(config_path="../conf", config_name="localise_train", version_base="1.3")
def main(cfg: DictConfig) -> None:
    with cli.user_errors():
        COMMANDS[str(HydraConfig.get().job.config_name)](cfg)


if __name__ == "__main__":
    register()
    sys.argv[1:] = words_of(sys.argv[1:])
    cli.run(main)
