"""Fuse evaluated nets by the mean of their posteriors: see conf/fuse.yaml, or `python src/fuse.py --help`."""

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from vggsuite import cli
from vggsuite.composing import register, to_config
from vggsuite.config import FuseConfig
from vggsuite.evaluation.members import find_members, finished_fusion, fusion_folder
from vggsuite.naming import repeat_command
from vggsuite.results.summary import summary


@hydra.main(config_path="../conf", config_name="fuse", version_base="1.3")
def main(cfg: DictConfig) -> None:
    with cli.user_errors():
        config = to_config(cfg, FuseConfig)
        members = find_members(config)
        folder = fusion_folder(config, list(members.values()))
        fusion = None if config.rerun else finished_fusion(folder, list(members.values()))
        if fusion is None:
            from vggsuite.evaluation.fusion import fuse  # only now: a finished one need not wait for torch

            command = repeat_command("fuse.py", HydraConfig.get().overrides.task)
            fusion = fuse(members, folder, runs=Path(config.paths.runs), command=command)
        print(summary(fusion))


if __name__ == "__main__":
    register()
    cli.run(main)
