"""Nets from the folders of finished runs."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vggsuite.config import PROJECT_ROOT, TrainConfig
from vggsuite.files import is_held, naming_damaged
from vggsuite.models.build import build_net
from vggsuite.models.factors import model_of
from vggsuite.models.net import ConvNet
from vggsuite.models.state import require_tensors
from vggsuite.naming import repeat_command
from vggsuite.results.record import RECORD_FILE, Record, read_record
from vggsuite.results.run_folder import CHECKPOINT, require_finished

POLL_SECONDS = 2.0


class Checkpoint(NamedTuple):
    """The best weights of a run, under torchvision's names, and the epoch, from 1, after which they were written."""

    weights: dict[str, Tensor]
    epoch: int


def load_checkpoint(folder: Path) -> Checkpoint:
    """The best checkpoint of the run in `folder`.

    Raises:
        UserError: where it is damaged.
    """
    with naming_damaged(folder / CHECKPOINT, "repeat the run with rerun=true"):
        content: Mapping[str, Any] = torch.load(folder / CHECKPOINT, map_location="cpu", weights_only=True)
        weights = {name.removeprefix("net."): value for name, value in content["state_dict"].items()}
        require_tensors(weights)
        return Checkpoint(weights, int(content["epoch"]) + 1)


def net_of_record(record: Record) -> ConvNet:
    """A net of a run's architecture, its weights not yet loaded."""
    return build_net(model_of(record.model), num_classes=record.data["num_classes"], crop=record.data["crop"])


def load_net(folder: Path) -> ConvNet:
    """The net of a finished run with its best weights."""
    net = net_of_record(read_record(folder))
    net.load_state_dict(load_checkpoint(folder).weights)
    return net


def require_parent(config: TrainConfig) -> Path:
    """The folder of the finished run from which `config` starts. One that another process is making is waited for, and
    for `config.init.wait` minutes that another process begins it.

    Raises:
        UserError: where no run has finished there, with the command that makes it.
    """
    assert config.init.run is not None  # `validate` has seen to it
    folder = Path(config.init.run)
    patience = 60 * config.init.wait
    given_up = time.monotonic() + patience
    while patience and not (folder / RECORD_FILE).is_file() and time.monotonic() < given_up:
        if is_held(folder):
            given_up = time.monotonic() + patience
        time.sleep(POLL_SECONDS)
    require_finished(folder, "init.run", making(folder, config))
    return folder


def making(folder: Path, config: TrainConfig) -> str:
    """The command that makes the run of `folder`, if it is named as the suite names runs."""
    runs = Path(config.paths.runs)
    if folder.is_relative_to(runs) and len(parts := folder.relative_to(runs).parts) > 2:
        data, *names, seed = parts
        experiment = "/".join(names).removesuffix(config.variant)
        if (PROJECT_ROOT / "conf/experiment" / f"{experiment}.yaml").is_file():
            own = ("experiment", "data", "seed", "init", "init.run")  # of the child, or named already
            same = [word for word in config.overrides if word.partition("=")[0] not in own]
            words = [f"experiment={experiment}", f"data={data}", seed.replace("_", "="), *same]
            return repeat_command("train.py", words)
    return "python src/train.py ... (and name its folder here)"
