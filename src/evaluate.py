"""Evaluate a run or published weights: see conf/evaluate.yaml, or `python src/evaluate.py --help`."""

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from vggsuite import cli
from vggsuite.composing import register
from vggsuite.config import EvaluateConfig
from vggsuite.evaluation.settings import check_heatmap, finished, protocol_of, settle
from vggsuite.naming import repeat_command
from vggsuite.results.summary import summary


@hydra.main(config_path="../conf", config_name="evaluate", version_base="1.3")
def main(cfg: DictConfig) -> None:
    typed = HydraConfig.get().overrides.task
    with cli.user_errors():
        config = settle(cfg, typed, EvaluateConfig)
        check_heatmap(config, asked=config.heatmap is not None, word="heatmap=<an image>")
        protocol = protocol_of(config)
        if config.heatmap:
            from vggsuite.figures.heatmap import heatmap_of_file

            print("saved:", *heatmap_of_file(config))
            return
        evaluation = finished(config, protocol, typed)
        if evaluation is None:
            from vggsuite.evaluation.subject import make_evaluator  # only now: a finished one need not wait for torch

            evaluation = make_evaluator(config, repeat_command("evaluate.py", typed)).evaluate(protocol)
        print(summary(evaluation))


if __name__ == "__main__":
    register()
    cli.run(main)
