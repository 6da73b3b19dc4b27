"""What a run's folder holds, and whether a run of these settings has finished in it."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from vggsuite.config import Layout, TrainConfig
from vggsuite.errors import UserError
from vggsuite.files import file_digest, naming_damaged, write_atomically
from vggsuite.naming import is_how
from vggsuite.results.record import RECORD_FILE

CONFIG_FILE = "config.yaml"
OVERRIDES_FILE = "overrides.yaml"
CLASSES_FILE = "classes.txt"
METRICS_FILE = "metrics.csv"
CHECKPOINT = Path("checkpoints/best.ckpt")


def require_finished(
    folder: Path, setting: str, command: str = "python src/train.py ...", *, record_file: str = RECORD_FILE
) -> None:
    """Make sure that a run has finished in `folder`.

    Args:
        folder: of the run.
        setting: that named it.
        command: what makes the run.
        record_file: the name of its record.

    Raises:
        UserError: where none has.
    """
    for file in (record_file, CONFIG_FILE, CLASSES_FILE, CHECKPOINT):
        if not (folder / file).is_file():
            raise UserError(
                f"{setting}={folder} holds no finished run, for want of {file}; name another, or make it first with: "
                f"{command}"
            )


def logged(folder: Path, name: str) -> list[tuple[int, float]]:
    """What the run in `folder` logged under `name` at the ends of epochs, as (epoch from 1, value).

    Raises:
        UserError: where its metrics are missing or damaged.
    """
    file = folder / METRICS_FILE
    with naming_damaged(file, "repeat the run with rerun=true"), file.open(newline="", encoding="utf-8") as stream:
        return [(int(row["epoch"]) + 1, float(row[name])) for row in csv.DictReader(stream) if row.get(name)]


def weights_of(name: str, folder: Path, started: str) -> dict[str, str]:
    """What a record says of the weights of run `name`, which `started` then and lies in `folder`."""
    return {"run": name, "started": started, "sha256": file_digest(folder / CHECKPOINT)}


def save_config(config: TrainConfig, classes: Sequence[str], folder: Path) -> None:
    """Write the resolved config, the overrides it came from, and the names of the classes in the order of the net's
    outputs."""
    write_atomically(folder / CONFIG_FILE, OmegaConf.to_yaml(OmegaConf.structured(config)))
    write_atomically(folder / OVERRIDES_FILE, OmegaConf.to_yaml(OmegaConf.create(list(config.overrides))))
    write_atomically(folder / CLASSES_FILE, "".join(f"{name}\n" for name in classes))


def saved_config(folder: Path) -> DictConfig:
    """The config of the run in `folder`, which may be a stranger's. The suite saves resolved ones, without aliases; an
    interpolation would be resolved here and now, and could read the environment, and aliases of aliases fill the
    memory.

    Raises:
        UserError: where it is missing or damaged, or has such.
    """
    file = folder / CONFIG_FILE
    with naming_damaged(file, "repeat the run"):
        text = file.read_text(encoding="utf-8")
        for event in yaml.parse(text, yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise ValueError("it has an alias")
            if isinstance(event, yaml.ScalarEvent) and "${" in event.value:
                raise UserError(
                    f"{file} has {event.value!r}, which a run's own config never has, being saved as it was resolved; "
                    "take the run's original folder."
                )
        saved = OmegaConf.load(io.StringIO(text))
        if not isinstance(saved, DictConfig):
            raise ValueError("it is no list of settings")
    return saved


def is_finished(config: TrainConfig, folder: Path, record_file: str = RECORD_FILE) -> bool:
    """Whether a run of these settings has finished in `folder`.

    Raises:
        UserError: where one has, of other settings (a config file was edited since).
    """
    if not (folder / record_file).is_file():
        return False
    refuse_other_settings(config, folder, "a finished", "rerun=true")
    return True


def refuse_other_settings(config: TrainConfig, folder: Path, what: str, afresh: str) -> None:
    """Make sure that the run in `folder` is of these settings.

    Args:
        config: of the run that is to be made.
        folder: of the one that is there.
        what: the latter's state.
        afresh: what to type to make it afresh.

    Raises:
        UserError: where it is of others (a config file was edited since).
    """
    now = leaves(OmegaConf.to_container(OmegaConf.structured(config), enum_to_str=True))
    with naming_damaged(folder / CONFIG_FILE, f"begin afresh with {afresh}"):
        saved = OmegaConf.merge(OmegaConf.structured(type(config)), saved_config(folder))
        then = leaves(OmegaConf.to_container(saved, enum_to_str=True))  # a setting that is newer has its default there
    for key in sorted(now.keys() | then.keys()):
        elsewhere = key == "data.root" and config.data.layout == Layout.folder  # other images under the same name
        same_by_name = is_how(key) or key == "init.run"  # the parent's place; the variant tells one that was typed
        if now.get(key) != then.get(key) and (elsewhere or not same_by_name):
            raise UserError(
                f"{folder} holds {what} run with {key}={then.get(key)}, not {now.get(key)}; make it afresh with "
                f"{afresh}, or keep both: {'data.name=<another name>' if elsewhere else f'{key}={now.get(key)}'}."
            )


def leaves(content: Any, path: str = "") -> dict[str, Any]:
    """The leaves of a nested config under dotted keys."""
    if not isinstance(content, dict):
        return {path: content}
    found: dict[str, Any] = {}
    for key, value in content.items():
        found |= leaves(value, f"{path}.{key}" if path else key)
    return found
