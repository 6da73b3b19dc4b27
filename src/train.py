"""Train one net: see conf/train.yaml, or `python src/train.py --help`."""

import os
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from vggsuite import cli
from vggsuite.checks import validate
from vggsuite.composing import register, to_config
from vggsuite.config import TrainConfig
from vggsuite.results.run_folder import is_finished


@hydra.main(config_path="../conf", config_name="train", version_base="1.3")
def main(cfg: DictConfig) -> None:
    hydra_config = HydraConfig.get()
    folder = Path(hydra_config.runtime.output_dir)
    with cli.user_errors(), cli.without_empty_folder(folder, below=Path(cfg.paths.runs)):
        config = to_config(cfg, TrainConfig)
        validate(config)
        if not config.rerun and is_finished(config, folder):
            print(f"{folder} is finished; rerun=true repeats it.")
            if cli.SWEEP in os.environ:
                from vggsuite.training.loggers import report_finished

                report_finished(config, folder)
            return
        from vggsuite.training.interrupting import interruptible  # only now: a finished run need not wait for torch
        from vggsuite.training.run import train

        with interruptible():
            train(config, folder, multirun=hydra_config.mode == RunMode.MULTIRUN)


if __name__ == "__main__":
    register()
    cli.run(main)
