"""Nets from the folders of finished runs."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from vggsuite.config import PROJECT_ROOT, TrainConfig
from vggsuite.errors import UserError
from vggsuite.models.vgg import VGG
from vggsuite.results.environment import repeat_command
from vggsuite.results.record import RECORD_FILE, Record, read_record
from vggsuite.results.run_folder import CHECKPOINT


def load_weights(folder: Path) -> dict[str, Tensor]:
    """The weights of the best checkpoint of a run, under torchvision's names."""
    state: Mapping[str, Tensor] = torch.load(folder / CHECKPOINT, map_location="cpu", weights_only=True)["state_dict"]
    return {name.removeprefix("net."): value for name, value in state.items()}


def build_net(record: Record) -> VGG:
    """A net of a run's architecture, its weights not yet loaded."""
    factors = {name: value for name, value in record.model.items() if name != "parameters"}
    return VGG(**factors, num_classes=record.data["num_classes"], crop=record.data["crop"])


def load_net(folder: Path) -> VGG:
    """The net of a finished run with its best weights."""
    net = build_net(read_record(folder))
    net.load_state_dict(load_weights(folder))
    return net


def require_parent(config: TrainConfig) -> Path:
    """The folder of the finished run from which `config` starts.

    Raises:
        UserError: where no run has finished there, with the command that makes it.
    """
    assert config.init.run is not None  # `validate` has seen to it
    folder = Path(config.init.run)
    if not (folder / RECORD_FILE).is_file():
        raise UserError(
            f"init.run={folder} holds no finished run to start from; make it first with: {making(folder, config)}"
        )
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
            return repeat_command(words)
    return "python src/train.py ... (and name its folder here)"
