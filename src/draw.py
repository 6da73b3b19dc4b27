"""Draw a figure of a run: see conf/draw.yaml, or `python src/draw.py --help`."""

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from vggsuite import cli
from vggsuite.composing import register
from vggsuite.evaluation.settings import settle
from vggsuite.figures.config import DrawConfig


@hydra.main(config_path="../conf", config_name="draw", version_base="1.3")
def main(cfg: DictConfig) -> None:
    with cli.user_errors():
        typed = HydraConfig.get().overrides.task
        config = settle(cfg, typed, DrawConfig)
        from vggsuite.figures.drawing import draw  # only now: what is wrong with a word is told without torch

        print("saved:", *draw(config, typed))


if __name__ == "__main__":
    register()
    cli.run(main)
