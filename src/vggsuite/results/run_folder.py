"""What a run's folder holds, and whether a run of these settings has finished in it."""

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from vggsuite.config import TrainConfig
from vggsuite.errors import UserError
from vggsuite.results.record import RECORD_FILE, write_atomically

CONFIG_FILE = "config.yaml"
OVERRIDES_FILE = "overrides.yaml"
CHECKPOINT = Path("checkpoints/best.ckpt")

# Settings that do not change what a run computes, or that its parent's path tells.
HOW_NOT_WHAT = (
    *("paths", "logger", "rerun", "overrides", "data.root", "data.num_workers", "test.batch_size", "init.run"),
    *("trainer.accelerator", "trainer.devices", "trainer.num_nodes", "trainer.strategy"),
    "trainer.accumulate_grad_batches",
)


def save_config(config: TrainConfig, folder: Path) -> None:
    """Write the resolved config and the overrides it came from."""
    write_atomically(folder / CONFIG_FILE, OmegaConf.to_yaml(OmegaConf.structured(config)))
    write_atomically(folder / OVERRIDES_FILE, OmegaConf.to_yaml(OmegaConf.create(list(config.overrides))))


def is_finished(config: TrainConfig, folder: Path) -> bool:
    """Whether a run of these settings has finished in `folder`.

    Raises:
        UserError: where one has, of other settings (a config file was edited since).
    """
    if not (folder / RECORD_FILE).is_file():
        return False
    now = settings(OmegaConf.to_container(OmegaConf.structured(config), enum_to_str=True))
    then = settings(OmegaConf.to_container(OmegaConf.load(folder / CONFIG_FILE)))
    for key in sorted(now.keys() | then.keys()):
        if now.get(key) != then.get(key):
            raise UserError(
                f"{folder} holds a finished run with {key}={then.get(key)}, not {now.get(key)}; repeat it with "
                f"rerun=true, or keep both by typing the difference as an override ({key}={now.get(key)})."
            )
    return True


def settings(content: Any, path: str = "") -> dict[str, Any]:
    """The leaves of a nested config under dotted keys, less `HOW_NOT_WHAT`."""
    if path in HOW_NOT_WHAT:
        return {}
    if not isinstance(content, dict):
        return {path: content}
    leaves: dict[str, Any] = {}
    for key, value in content.items():
        leaves |= settings(value, f"{path}.{key}" if path else key)
    return leaves
