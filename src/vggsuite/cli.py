"""What every entry point does around its `main`: schemas for Hydra, and a user's error in one sentence."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from vggsuite.errors import UserError

FULL_ERROR = "HYDRA_FULL_ERROR"
EXIT_USER_ERROR = 2


def run(main: Callable[[], None]) -> None:
    """Call a Hydra `main`. What the user can mend is told in one sentence on standard error, with exit code 2;
    anything else keeps its traceback. HYDRA_FULL_ERROR=1 gives every traceback.
    """
    if os.environ.get(FULL_ERROR) == "1":
        main()
        return
    os.environ[FULL_ERROR] = "1"  # so that Hydra raises instead of printing a part of the traceback itself
    try:
        main()
    except (HydraException, OmegaConfBaseException, UserError) as error:
        print(f"error: {sentence(error)}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)
    finally:
        remove_empty_folder()


def sentence(error: BaseException) -> str:
    """The error as one line. Hydra's messages run over several; a data loader's worker wraps its traceback around."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, UserError):
        return lines[-1].removeprefix(f"{UserError.__module__}.{UserError.__name__}: ")
    cause = error.__cause__
    if cause is not None and isinstance(error, HydraException) and str(cause):
        lines += [line.strip() for line in str(cause).splitlines()]
    useful = [line for line in lines if not re.match(r"(full_key|object_type|reference_type)", line)]
    return re.sub(r"\s+", " ", "; ".join(dict.fromkeys(useful)))


def remove_empty_folder() -> None:
    """Remove the folder that Hydra made for a run, and those above it, as long as nothing is in them."""
    if not HydraConfig.initialized():
        return
    folder = Path(HydraConfig.get().runtime.output_dir)
    while folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
