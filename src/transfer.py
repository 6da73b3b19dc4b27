"""Transfer a net's features to other images: see conf/transfer.yaml, or `python src/transfer.py --help`."""

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from vggsuite import cli
from vggsuite.composing import register, to_config
from vggsuite.config import TransferConfig
from vggsuite.results.summary import transfer_summary
from vggsuite.transfer.settings import check, refuse_idle


@hydra.main(config_path="../conf", config_name="transfer", version_base="1.3")
def main(cfg: DictConfig) -> None:
    chosen = HydraConfig.get()
    folder = Path(chosen.runtime.output_dir)
    with cli.user_errors(), cli.without_empty_folder(folder, below=Path(cfg.paths.runs)):
        config = to_config(cfg, TransferConfig)
        refuse_idle(config, chosen.overrides.task)
        check(config)
        from vggsuite.transfer.run import transfer  # only now: what is wrong need not wait for torch

        record = transfer(config, folder, typed=chosen.overrides.task, choices=chosen.runtime.choices)
        print(transfer_summary(record))


if __name__ == "__main__":
    register()
    cli.run(main)
