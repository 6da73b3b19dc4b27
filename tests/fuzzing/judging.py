"""One case, and what came of it: a right result, a clean refusal, or a finding."""

import hashlib
import signal
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from tests.fuzzing.target import Target
from vggsuite.errors import UserError

HANG_SECONDS = 10
OURS = ("/vggsuite/", "/fuzzing/")  # of a traceback, the innermost of these frames tells findings apart


class HangError(BaseException):
    """A case takes too long; no `except Exception` may take it for its own."""


@dataclass(frozen=True)
class Finding:
    """A case that ended in something else than a right result or a clean refusal.

    Attributes:
        target: its name.
        what: the error, one line.
        where: file and line.
        data: the case.
        trace: the traceback.
    """

    target: str
    what: str
    where: str
    data: bytes
    trace: str = ""

    @property
    def signature(self) -> str:
        """What findings of one cause share."""
        return hashlib.sha256(f"{self.target} {self.what.partition(':')[0]} {self.where}".encode()).hexdigest()[:8]


def judged(target: Target, data: bytes, home: Path) -> UserError | Finding | None:
    """The clean refusal of a case, the finding, or None for a right result."""
    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, HANG_SECONDS)
    try:
        target.check(data, home)
        return None
    except UserError as error:
        told = str(error)
        if told.strip() and "\n" not in told and "\r" not in told:
            return error
        return Finding(target.name, "UserError: of no one line", place_of(error), data, traced(error))
    except (Exception, HangError) as error:
        told = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        return Finding(target.name, told, place_of(error), data, traced(error))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def on_alarm(signum: int, frame: FrameType | None) -> None:
    raise HangError(f"no end after {HANG_SECONDS} s")


def place_of(error: BaseException) -> str:
    """File and line of the innermost frame of the suite, or of its target."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if any(own in frame.filename for own in OURS)
    ]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"


def traced(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))
