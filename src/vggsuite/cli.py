"""What every entry point does around its task: a user's error is told in one sentence, and its exit code is not 0."""

import ast
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields, is_dataclass
from pathlib import Path

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException, ValidationError

from vggsuite.config import PROJECT_ROOT
from vggsuite.errors import UserError, first_line, last_sentence, printable
from vggsuite.faults import telling_faults

FULL_ERROR = "HYDRA_FULL_ERROR"
EXIT_USER_ERROR = 2
NO_CHOICE = "Config group override must be a string or a list"  # Hydra's words
NO_NUMBER = "Exceeds the limit"  # Python's, of a number of thousands of digits
SWEEP = "WANDB_SWEEP_ID"  # an environment variable that W&B's agents set

# Of Hydra's own; what they can do beside ours: docs/clusters.md.
LAUNCHER_PLUGINS = {
    "hydra/launcher/ray": "hydra-ray-launcher",
    "hydra/launcher/ray_aws": "hydra-ray-launcher",
    "hydra/launcher/joblib": "hydra-joblib-launcher",
    "hydra/launcher/submitit_local": "hydra-submitit-launcher",
    "hydra/launcher/submitit_slurm": "hydra-submitit-launcher",
}

in_charge = False  # whether `run` will end this process
told: list[UserError] = []  # the user's errors of this process; a multirun goes on after one


def run(main: Callable[[], None]) -> None:
    """Call a Hydra `main`, and exit with code 2 after an error that the user can mend; any other error keeps its
    traceback. HYDRA_FULL_ERROR=1 shows the traceback of those that Hydra finds while it composes, too.
    """
    global in_charge
    in_charge = True
    sys.argv[1:] = words_of_agent(sys.argv[1:])
    asked_for_tracebacks = os.environ.get(FULL_ERROR) == "1"
    os.environ[FULL_ERROR] = "1"  # so that Hydra raises its errors instead of printing them in its own way
    try:
        with telling_faults():
            main()
    except UserError as error:  # of a launcher, or of a disk
        tell(error)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:  # who reads our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        if asked_for_tracebacks or not is_of_words(error):
            raise
        tell(UserError(sentence(error)))
    if told:
        sys.exit(EXIT_USER_ERROR)


def words_of_agent(words: list[str]) -> list[str]:
    """The command line as a W&B agent first had it. For a run that goes on after it was preempted, the agent is given
    the run's whole config, of which Hydra can read a part; but one of its keys is `overrides`, the words it came from.
    """
    for word in words if SWEEP in os.environ else []:
        if word.startswith("overrides=["):
            return [str(original) for original in ast.literal_eval(word.removeprefix("overrides="))]
    return words


@contextmanager
def user_errors() -> Iterator[None]:
    """Within a Hydra task: tell a `UserError` now and let other jobs of a multirun go on. In a process that a foreign
    launcher made, which `run` will not end, the launcher has to know."""
    try:
        with telling_faults():
            yield
    except UserError as error:
        tell(error)
        if not in_charge:
            raise


@contextmanager
def composing() -> Iterator[None]:
    """Within the context, what Hydra finds wrong with the words of a config is a `UserError`."""
    try:
        yield
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        if not is_of_words(error):
            raise
        raise UserError(printable(sentence(error))) from error


def is_of_words(error: Exception) -> bool:
    """Whether an error is Hydra's, of the words that were typed; plain ValueErrors are two, as of model=1."""
    of_hydra = isinstance(error, HydraException | OmegaConfBaseException)
    return of_hydra or (str(error).startswith((NO_CHOICE, NO_NUMBER)) and not isinstance(error, UserError))


def tell(error: UserError) -> None:
    """Print the error's sentence. A data loader's worker wraps its traceback around it; the sentence comes last."""
    told.append(error)
    print(f"error: {printable(last_sentence(str(error)))}", file=sys.stderr, flush=True)


def sentence(error: Exception) -> str:
    """What is wrong with the command line, from Hydra's or OmegaConf's own error."""
    cause = error.__cause__ or error
    match cause:
        case MissingConfigException() if cause.missing_cfg_file:
            return no_such_choice(cause.missing_cfg_file)
        case OverrideParseException():
            return (
                f"{cause.override} cannot be read; allowed: <setting>=<value>, a value with special characters in "
                "quotes (\"name='a=b'\")."
            )
        case ConfigKeyError() | ConfigAttributeError():
            names = sorted(f.name for f in fields(cause.object_type)) if is_dataclass(cause.object_type) else []
            allowed = f"allowed there: {', '.join(names)}" if names else f"to add it, type +{cause.full_key}=<value>"
            return f"{cause.full_key} is no setting of this command; {allowed}."
        case ValueError() if str(cause).startswith(NO_CHOICE):
            return "a setting that names a file of conf/ takes a word, not a number or a truth value (model=vgg_a)."
        case ValueError() if str(cause).startswith(NO_NUMBER):
            return "a number has more digits than can be read; type a smaller one."
        case ValidationError() if cause.full_key:
            return f"{cause.full_key} cannot be set to that: {first_line(cause)}."
        case _:
            lines = [line.strip(" ;.") for line in f"{error}\n{cause}".splitlines() if "https://" not in line]
            return "; ".join(dict.fromkeys(filter(None, lines))) + "."


def no_such_choice(missing: str) -> str:
    """The error for a file that a config group does not have, with those that it has."""
    plugin = LAUNCHER_PLUGINS.get(missing)
    if plugin:
        return f"{Path(missing).parent}={Path(missing).name} needs a plugin of Hydra's; type: pip install {plugin}"
    group_depth = 2 if missing.startswith("hydra/") else 1
    name = Path(*Path(missing).parts[:group_depth])
    group = PROJECT_ROOT / "conf" / name
    choices = sorted(str(file.relative_to(group).with_suffix("")) for file in group.glob("**/*.yaml"))
    return f"{name}={Path(missing).relative_to(name)} does not exist; allowed: {', '.join(choices)}."


@contextmanager
def without_empty_folder(folder: Path, below: Path) -> Iterator[None]:
    """Remove the `folder` that Hydra made for a run, and those between it and `below`, if they are left empty."""
    try:
        yield
    finally:
        while folder != below and folder.is_relative_to(below) and folder.is_dir() and not any(folder.iterdir()):
            with suppress(OSError):  # another job has put something there just now
                folder.rmdir()
            folder = folder.parent
