"""The commands of `localise.py`, by the names of their config files. Torch is imported only by what has to compute."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from vggsuite import cli
from vggsuite.composing import to_config
from vggsuite.localisation.config import BoxEvaluateConfig, BoxFuseConfig, ShowConfig
from vggsuite.localisation.settings import check_test, refuse_idle, settle_evaluation, settle_training
from vggsuite.results.localisation_records import LOCALISER_FILE
from vggsuite.results.run_folder import is_finished
from vggsuite.results.summary import localisation_summary

FROM = "from="  # what a person types for init.run=; no field of a dataclass can be called so
CONFIG_NAME = "--config-name"  # Hydra's, by which it, and processes that it starts, know the command


def train(cfg: DictConfig) -> None:
    """Train a box regressor."""
    chosen = HydraConfig.get()
    folder = Path(chosen.runtime.output_dir)
    with cli.without_empty_folder(folder, below=Path(cfg.paths.runs)):
        config = settle_training(cfg, chosen.overrides.task)
        if not config.rerun and is_finished(config, folder, LOCALISER_FILE):
            print(f"{folder} is finished; rerun=true repeats it.")
            return
        from vggsuite.localisation.training import Localising
        from vggsuite.training.interrupting import interruptible
        from vggsuite.training.run import train as train_net

        with interruptible():
            train_net(config, folder, objective=Localising(config), multirun=chosen.mode == RunMode.MULTIRUN)


def evaluate(cfg: DictConfig) -> None:
    """Test a box regressor."""
    typed = HydraConfig.get().overrides.task
    config = settle_evaluation(cfg, typed, BoxEvaluateConfig)
    from vggsuite.localisation.evaluation import evaluate as test

    print(localisation_summary(test(config, typed)))


def fuse(cfg: DictConfig) -> None:
    """Test the union of several tests' boxes."""
    config = to_config(cfg, BoxFuseConfig)
    check_test(config)
    from vggsuite.localisation.fusion import fuse as test

    print(localisation_summary(test(config, HydraConfig.get().overrides.task)))


def show(cfg: DictConfig) -> None:
    """Draw boxes on pictures."""
    typed = HydraConfig.get().overrides.task
    refuse_idle(typed, "labels=", "split=", "rerun=", "batch_size=", "shard_size=", "seed=", state="show")
    config = settle_evaluation(cfg, typed, ShowConfig)
    assert isinstance(config, ShowConfig)
    from vggsuite.localisation.pictures import draw

    print(f"saved: {draw(config)}")


COMMANDS: dict[str, Callable[[DictConfig], None]] = {
    f"localise_{command.__name__}": command for command in (train, evaluate, fuse, show)
}


def words_of(words: Sequence[str]) -> list[str]:
    """A command line in Hydra's words: the command as the name of its config file, and `from=` as `init.run=`. Ends the
    process where no command is named."""
    names = [name.removeprefix("localise_") for name in COMMANDS]
    if words and words[0].removeprefix(f"{CONFIG_NAME}=") in COMMANDS:
        return list(words)
    if not words or words[0] not in names:
        asked = bool(words) and words[0] in ("--help", "-h")
        told = (
            f"usage: python src/localise.py {'|'.join(names)} <settings>; --help after one of them shows its settings."
        )
        print(told if asked else f"error: {words[0] if words else 'nothing'} is no command; {told}", file=sys.stderr)
        sys.exit(0 if asked else cli.EXIT_USER_ERROR)
    rest = (f"init.run={word.removeprefix(FROM)}" if word.startswith(FROM) else word for word in words[1:])
    return [f"{CONFIG_NAME}=localise_{words[0]}", *rest]
