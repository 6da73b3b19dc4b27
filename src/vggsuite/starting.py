"""What `train.py` is asked for: a run, perhaps one that is finished already, or the repetition of a finished one."""

import os
from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf

from vggsuite.checks import validate
from vggsuite.cli import SWEEP
from vggsuite.config import RepeatableConfig
from vggsuite.errors import UserError
from vggsuite.files import naming_damaged
from vggsuite.naming import is_how
from vggsuite.results.run_folder import CONFIG_FILE, is_finished, require_finished, saved_config

# Of what is typed now, and not of the run that is repeated: its logger would write where that did.
OF_NOW = ("logger", "paths", "resume", "rerun", "save_minutes", "repeat")


def start(config: RepeatableConfig, folder: Path, *, typed: Sequence[str], multirun: bool) -> None:
    """Make the run that `config` describes, unless it is finished; compare it with the run that it repeats, if any.

    Args:
        config: not yet validated.
        folder: of the run.
        typed: the words of the command line.
        multirun: whether other runs follow in this process.

    Raises:
        UserError: for what the user can mend.
        SystemExit: with code 1, where a repetition came out otherwise.
    """
    if config.repeat is not None:
        if multirun:
            raise UserError(f"repeat={config.repeat} repeats one run; leave --multirun out.")
        config = config_of(Path(config.repeat), config, typed)
    validate(config)
    if config.rerun or not is_finished(config, folder):
        from vggsuite.training.interrupting import interruptible  # only now: a finished run need not wait for torch
        from vggsuite.training.run import train

        with interruptible():
            train(config, folder, multirun=multirun)
    elif config.repeat is None:
        print(f"{folder} is finished; rerun=true repeats it.")
        if SWEEP in os.environ:
            from vggsuite.training.loggers import report_finished

            report_finished(config, folder)
    if config.repeat is not None:
        from vggsuite.training.repeating import compare

        if not compare(Path(config.repeat), folder):
            raise SystemExit(1)


def config_of(run: Path, config: RepeatableConfig, typed: Sequence[str]) -> RepeatableConfig:
    """The saved config of the finished `run`, with what was typed of how and where it is run.

    Raises:
        UserError: where no run has finished there, and for settings of what it computes.
    """
    require_finished(run, "repeat")
    with naming_damaged(run / CONFIG_FILE, "name another run"):
        saved = OmegaConf.merge(OmegaConf.structured(RepeatableConfig), saved_config(run))
        keys = [word.partition("=")[0].lstrip("+~") for word in typed]
        for key in keys:
            if not is_how(key) and key != "trainer":
                raise UserError(
                    f"{key} is the repeated run's own and cannot be set beside repeat={run}; leave it out (allowed: "
                    "where the images are, devices and loggers)."
                )
        now = OmegaConf.structured(config)
        for key in [*OF_NOW, *(key for key in keys if not key.startswith("hydra"))]:
            OmegaConf.update(saved, key, OmegaConf.select(now, key), merge=False)
        repeated = OmegaConf.to_object(saved)
    assert isinstance(repeated, RepeatableConfig)
    return repeated
