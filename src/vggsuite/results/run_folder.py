"""What a run's folder holds, and whether a run of these settings has finished in it."""

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from vggsuite.config import Layout, TrainConfig
from vggsuite.errors import UserError
from vggsuite.naming import is_how
from vggsuite.results.record import RECORD_FILE, write_atomically

CONFIG_FILE = "config.yaml"
OVERRIDES_FILE = "overrides.yaml"
CHECKPOINT = Path("checkpoints/best.ckpt")


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
    now = leaves(OmegaConf.to_container(OmegaConf.structured(config), enum_to_str=True))
    then = leaves(OmegaConf.to_container(OmegaConf.load(folder / CONFIG_FILE)))
    for key in sorted(now.keys() | then.keys()):
        elsewhere = key == "data.root" and config.data.layout == Layout.folder  # other images under the same name
        same_by_name = is_how(key) or key == "init.run"  # the parent's place; the variant tells one that was typed
        if now.get(key) != then.get(key) and (elsewhere or not same_by_name):
            raise UserError(
                f"{folder} holds a finished run with {key}={then.get(key)}, not {now.get(key)}; repeat it with "
                f"rerun=true, or keep both: {'data.name=<another name>' if elsewhere else f'{key}={now.get(key)}'}."
            )
    return True


def leaves(content: Any, path: str = "") -> dict[str, Any]:
    """The leaves of a nested config under dotted keys."""
    if not isinstance(content, dict):
        return {path: content}
    found: dict[str, Any] = {}
    for key, value in content.items():
        found |= leaves(value, f"{path}.{key}" if path else key)
    return found
