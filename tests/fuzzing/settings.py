"""A run's own config, sweep files, and the words of a command line."""

import copy
import os
import shlex
from functools import cache
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from tests.fuzzing.mutations import text
from tests.fuzzing.target import Target
from vggsuite import cli, sweep_file
from vggsuite.checks import validate
from vggsuite.composing import compose_command, register, to_config
from vggsuite.config import PROJECT_ROOT, EvaluateConfig, TrainConfig
from vggsuite.evaluation.settings import adopt_run, check, protocol_of
from vggsuite.localisation.naming import data_of
from vggsuite.localisation.settings import adopt_boxes
from vggsuite.naming import variant_of, variant_of_text
from vggsuite.results.run_folder import is_finished

SECRET = "a secret of the environment"  # which a stranger's config must not read
WORDS = ("model=vgg_a", "trainer=cpu", "data.num_workers=0", "model.width=0.02", "recipe.epochs=2", "seed=1")
YAML_TOKENS = (
    *(
        b": ",
        b"- ",
        b"\n",
        b"\n  ",
        b"|\n",
        b">-\n",
        b"---\n",
        b"...\n",
        b"%YAML 9.9\n",
        b"&a ",
        b"*a",
        b"? ",
        b"!!map ",
    ),
    *(b"!!python/object/apply:os.system ['true']", b"${oc.env:FUZZ_SECRET}", b"${now:%Y}", b"\t", b"!!binary aaaa"),
    b"a: &a [x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\nc: [*b, *b, *b, *b, *b, *b, *b]\n",
)
SWEEP = b"""program: src/train.py
method: random
metric: {name: val/top1_error, goal: minimize}
command:
  - ${env}
  - ${interpreter}
  - ${program}
  - logger=wandb
  - ${args_no_hyphens}
parameters:
  model: {value: vgg_a}
  recipe.lr: {distribution: log_uniform_values, min: 1.0e-3, max: 1.0e-2}
"""
TYPED = b"""model=vgg_d
data.scale=[40,64]
seed=3
++recipe.lr=1e-2
~data.expected.classes
trainer.devices=1
paths.runs='/tmp/a=b'
"""


def compose(name: str, *words: str) -> DictConfig:
    """The config that a command line makes, whatever Hydra was doing before."""
    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(PROJECT_ROOT / "conf"), version_base="1.3"), cli.composing():
        return compose_command(name, words)[0]


@cache
def of_run() -> tuple[TrainConfig, bytes]:
    """The config of a run, and the file in which it is saved."""
    config = to_config(compose("train", *WORDS), TrainConfig)
    return config, OmegaConf.to_yaml(OmegaConf.structured(config)).encode()


@cache
def of_evaluation() -> DictConfig:
    return compose("evaluate", "run=here", "trainer=cpu")


def finished_run(home: Path) -> None:
    os.environ["FUZZ_SECRET"] = SECRET
    (home / "result.json").write_text("{}")


def check_config(data: bytes, home: Path) -> None:
    """What reads a run's config takes it for the run's, another's or a damaged one, and never looks elsewhere."""
    (home / "config.yaml").write_bytes(data)
    found: list[Any] = [data_of(str(home), "none")]
    cfg = copy.deepcopy(of_evaluation())
    with cli.composing():
        adopt_run(cfg, ["run=here"], home)
        adopt_boxes(OmegaConf.create({"boxes": {}}), [], home)
        config = to_config(cfg, EvaluateConfig)
        check(config)
        found += [config, protocol_of(config)]
        assert SECRET not in str(found)
        assert is_finished(of_run()[0], home)


def check_sweep(data: bytes, home: Path) -> None:
    (home / "sweep.yaml").write_bytes(data)
    GlobalHydra.instance().clear()
    commands = sweep_file.check_file(home / "sweep.yaml")
    assert commands
    assert all("src/train.py" in shlex.split(command) for command in commands)


def check_words(data: bytes, home: Path) -> None:
    """Typed words give a checked config and a folder's name, or a sentence."""
    words = [os.fsdecode(word) for word in data.replace(b"\x00", b"").split(b"\n") if word]
    with cli.composing():
        config = to_config(compose("train", *words), TrainConfig)
        validate(config)
        variant = variant_of(words, None)
    assert "/" not in variant
    assert variant == variant_of_text(shlex.join(words)) or "model" in str(words) or "data.scale" in str(words)


TARGETS = [
    Target("config", text([of_run()[1]], YAML_TOKENS), check_config, finished_run, 4),
    Target("sweep", text([SWEEP], YAML_TOKENS), check_sweep, share=0.5),
    Target("words", text([TYPED, b"\n".join(word.encode() for word in WORDS)]), check_words, share=0.5),
]
