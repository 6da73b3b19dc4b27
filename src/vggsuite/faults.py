"""Faults of the machine that a person can do something about, and what."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from vggsuite.errors import UserError

FULL = (errno.ENOSPC, errno.EDQUOT)
NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)
KILLED_READER = "DataLoader worker"  # how torch's error begins


@contextmanager
def telling_faults() -> Iterator[None]:
    """Within the context, a fault of the machine is told as a `UserError`; other errors pass."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if told := sentence(error):
            raise UserError(told) from error
        raise


def sentence(error: BaseException | None) -> str | None:
    """What is to be said of an error, or of one that it was raised from; None if that is no fault of the machine."""
    while error:
        match error:
            case OSError() if error.errno in FULL:
                return (
                    f"{error.filename or 'a file'} cannot be written ({error.strerror}); free some space, and repeat "
                    "the command: what was saved before is whole."
                )
            case OSError() if error.errno in NOT_WRITABLE:
                return (
                    f"{error.filename or 'a file'} cannot be opened ({error.strerror}); allow it, or name another "
                    "place (paths.runs=<folder>, output=<folder>)."
                )
            case RuntimeError() if str(error).startswith(KILLED_READER):
                return (
                    "a process that reads images was killed, as Linux does where memory runs out; use fewer of them "
                    "(data.num_workers=1), or ask for more memory."
                )
        hidden = error.__context__ if isinstance(error, RuntimeError) else None  # torch's, of a stream that fails
        error = error.__cause__ or hidden
    return None
