"""Train one net, or repeat a run: see conf/train.yaml, or `python src/train.py --help`."""

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from vggsuite import cli
from vggsuite.composing import register, to_config
from vggsuite.config import RepeatableConfig
from vggsuite.starting import start


@hydra.main(config_path="../conf", config_name="train", version_base="1.3")
def main(cfg: DictConfig) -> None:
    chosen = HydraConfig.get()
    folder = Path(chosen.runtime.output_dir)
    with cli.user_errors(), cli.without_empty_folder(folder, below=Path(cfg.paths.runs)):
        config = to_config(cfg, RepeatableConfig)
        start(config, folder, typed=chosen.overrides.task, multirun=chosen.mode == RunMode.MULTIRUN)


if __name__ == "__main__":
    register()
    cli.run(main)
