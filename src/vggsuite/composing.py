"""From the files in conf/ and a command line to a config: the resolvers, and what Hydra composes."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from hydra import compose
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from vggsuite.anatomy.config import DescribeConfig
from vggsuite.config import (
    PROJECT_ROOT,
    AblationConfig,
    EvaluateConfig,
    FuseConfig,
    RepeatableConfig,
    ReportConfig,
    TableConfig,
    TransferConfig,
)
from vggsuite.data.config import CheckDataConfig, PackConfig
from vggsuite.errors import UserError
from vggsuite.figures.config import DrawConfig
from vggsuite.localisation import naming as localisation
from vggsuite.localisation.config import BoxEvaluateConfig, BoxFuseConfig, LocaliserConfig, ShowConfig
from vggsuite.naming import REPEAT, experiment_name, variant_of, variant_of_text
from vggsuite.results.record import RECORD_FILE


@cache  # once a process; Hydra takes a tenth of a second to read the schemas
def register() -> None:
    """Make the schemas and the resolvers known to Hydra. May be called again."""
    OmegaConf.register_new_resolver("project_root", lambda: str(PROJECT_ROOT), replace=True)
    OmegaConf.register_new_resolver("variant_of", variant_of, replace=True)
    OmegaConf.register_new_resolver("variant_of_text", variant_of_text, replace=True)
    OmegaConf.register_new_resolver("experiment_name", experiment_name, replace=True)
    OmegaConf.register_new_resolver("repeat_in", repeat_folder, replace=True)
    OmegaConf.register_new_resolver("experiment_or", lambda chosen, other: chosen or other, replace=True)
    for name, resolver in localisation.RESOLVERS.items():
        OmegaConf.register_new_resolver(name, resolver, replace=True)
    store = ConfigStore.instance()
    store.store("train_schema", RepeatableConfig)
    store.store("evaluate_schema", EvaluateConfig)
    store.store("fuse_schema", FuseConfig)
    store.store("transfer_schema", TransferConfig)
    store.store("pack_schema", PackConfig)
    store.store("check_data_schema", CheckDataConfig)
    store.store("draw_schema", DrawConfig)
    store.store("describe_schema", DescribeConfig)
    store.store("table_schema", TableConfig)
    store.store("report_schema", ReportConfig)
    store.store("ablation_schema", AblationConfig)
    store.store("localiser_schema", LocaliserConfig)
    store.store("box_evaluate_schema", BoxEvaluateConfig)
    store.store("box_fuse_schema", BoxFuseConfig)
    store.store("box_show_schema", ShowConfig)


def repeat_folder(run: str | None, otherwise: str) -> str:
    """Where the finished `run` is repeated; where there is none `otherwise`, and the command will say so."""
    folder = Path(run).expanduser() if run else None
    return str(folder / REPEAT) if folder and (folder / RECORD_FILE).is_file() else otherwise


Config = TypeVar("Config")


def to_config(cfg: DictConfig, schema: type[Config]) -> Config:
    """`cfg`, resolved, as an instance of the dataclass `schema`.

    Raises:
        UserError: for a key added with `+` that the schema does not have, and for lists in a list.
    """
    config = OmegaConf.to_object(cfg)
    assert isinstance(config, schema)
    refuse_unknown(config)
    return config


def compose_command(name: str, words: Sequence[str]) -> tuple[DictConfig, str]:
    """The config, resolved, that an entry point makes of the words on its command line, and the folder that Hydra gives
    it; where Hydra is initialised with conf/.

    Args:
        name: of the entry point's primary file.
        words: what follows the program's name.
    """
    cfg = compose(name, list(words), return_hydra_config=True)
    HydraConfig.instance().set_config(cfg)  # by which names are resolved
    folder = str(cfg.hydra.run.dir)
    with open_dict(cfg):
        del cfg["hydra"]
    OmegaConf.resolve(cfg)
    return cfg, folder


def refuse_unknown(config: Any, path: str = "") -> None:
    """Refuse a key that the schema does not have, and a list in a list of single values, which OmegaConf takes."""
    known = {f.name: f.type for f in fields(config)}
    for key, value in vars(config).items():
        if key not in known:
            raise UserError(
                f"+{path}{key} is no setting of this command; allowed below {path or 'it'}: {', '.join(sorted(known))}."
            )
        if isinstance(value, list) and known[key] is not Any and any(isinstance(each, list | dict) for each in value):
            raise UserError(f"{path}{key}={value} is no list of single values; allowed: {path}{key}=[<value>,<value>].")
        if is_dataclass(value):
            refuse_unknown(value, f"{path}{key}.")
