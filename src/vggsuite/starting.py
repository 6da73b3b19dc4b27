"""What `train.py` is asked for: a run, perhaps one that is finished already, or the repetition of a finished one."""

import os
from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf

from vggsuite.checks import validate
from vggsuite.cli import SWEEP
from vggsuite.config import RepeatableConfig, Resume
from vggsuite.errors import UserError
from vggsuite.files import naming_damaged
from vggsuite.naming import REPEAT, is_how, run_name
from vggsuite.results.run_folder import CONFIG_FILE, METRICS_FILE, is_finished, require_finished, saved_config

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
    original = Path(config.repeat).expanduser() if config.repeat is not None else None
    if original:
        if multirun:
            raise UserError(f"repeat={original} repeats one run; leave --multirun out.")
        if folder.resolve() == original.resolve():
            raise UserError(f"hydra.run.dir={folder} is the run that is to be repeated; leave it out.")
        config = config_of(original, config, typed)
    validate(config)
    if config.rerun or not is_finished(config, folder):
        from vggsuite.training.interrupting import interruptible  # only now: a finished run need not wait for torch
        from vggsuite.training.run import train

        afresh = config.rerun or config.resume == Resume.never
        with interruptible(f"the same command{' without rerun=true and resume=never' if afresh else ''}"):
            train(config, folder, multirun=multirun)
    else:
        print(f"{folder} is finished; rerun=true repeats it.")
        if SWEEP in os.environ:
            from vggsuite.training.loggers import report_finished

            report_finished(config, folder)
    if original:
        from vggsuite.training.processes import is_first_process
        from vggsuite.training.repeating import compare

        if is_first_process() and not compare(original, folder):
            raise SystemExit(1)


def config_of(run: Path, config: RepeatableConfig, typed: Sequence[str]) -> RepeatableConfig:
    """The saved config of the finished `run`, with what was typed of how and where it is run.

    Raises:
        UserError: where no run has finished there, and for settings of what it computes.
    """
    require_finished(run, "repeat")
    if not (run / METRICS_FILE).is_file():
        raise UserError(f"repeat={run} lacks its {METRICS_FILE}, which is compared; name another run.")
    keys = [word.partition("=")[0].lstrip("+~") for word in typed]
    for key in keys:
        if not is_how(key) and key != "trainer":
            raise UserError(
                f"{key} is the repeated run's own and cannot be set beside repeat={run}; leave it out (allowed: "
                "where the images are, devices and loggers)."
            )
    with naming_damaged(run / CONFIG_FILE, "name another run"):
        saved = OmegaConf.merge(OmegaConf.structured(RepeatableConfig), saved_config(run))
    now = OmegaConf.structured(config)
    for key in (*OF_NOW, *keys):
        OmegaConf.update(saved, key, OmegaConf.select(now, key), merge=False)
    repeated = OmegaConf.to_object(saved)
    assert isinstance(repeated, RepeatableConfig)
    if "name" in repeated.logger:
        name = run_name(repeated.data.name, repeated.experiment, repeated.variant, repeated.seed)
        repeated.logger["name"] = f"{name}/{REPEAT}"
    return repeated
