"""Writing so that neither a crash nor another process leaves half a file."""

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock, Timeout

from vggsuite.errors import UserError


@contextmanager
def replacing(file: Path, *, keeping: Path | None = None) -> Iterator[BinaryIO]:
    """What is written replaces `file` at the end of the context: a reader, or a crash of the machine, sees the old
    content or the new. The old content becomes `keeping`, if that is named.

    Raises:
        OSError: naming `file`, where it cannot be written; what was there stays.
    """
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        if keeping and file.exists():
            file.replace(keeping)
        temporary.replace(file)
        flush_folder(file.parent)
    except (OSError, RuntimeError) as error:
        fault = error if isinstance(error, OSError) else error.__context__  # torch's, of a stream that fails, hides it
        if isinstance(fault, OSError):
            fault.filename = str(file)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def flush_folder(folder: Path) -> None:
    """See that names in `folder` outlast a loss of power, as contents do that were flushed."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove what writers that were killed have left in `folder`, in which nobody writes now."""
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink(missing_ok=True)


def write_atomically(file: Path, text: str) -> None:
    """Replace `file` by `text`, complete or not at all."""
    with replacing(file) as stream:
        stream.write(text.encode())


def save_arrays(file: Path, **arrays: Any) -> None:
    """Write an npz file, complete or not at all."""
    with replacing(file) as stream:
        np.savez(stream, **arrays)


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def exclusive(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold `folder`, made if need be, against other processes; the lock goes when the process does, however it ends.

    Args:
        folder: to be written into.
        wait: whether to wait for another process that holds it.

    Raises:
        UserError: where another process holds it and we do not wait.
    """
    lock = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        acquire(lock, folder, wait=wait)
        remove_leftovers(folder)
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written ({error.strerror}); name a folder that can, as a copy of this one."
        ) from error
    try:
        yield
    finally:
        lock.release()


def is_held(folder: Path) -> bool:
    """Whether another process holds `folder` at this moment."""
    if not (folder / ".lock").is_file():
        return False
    lock = FileLock(folder / ".lock")
    try:
        with lock.acquire(timeout=0):
            return False
    except Timeout:
        return True


def acquire(lock: FileLock, folder: Path, *, wait: bool) -> None:
    """Take the lock of `folder`, at once (but for those who look whether it `is_held`) or, with `wait`, when it is
    free."""
    try:
        lock.acquire(timeout=1, poll_interval=0.2)
    except Timeout as error:
        if not wait:
            raise UserError(
                f"{folder} is being written by another process; wait for it, or name another folder."
            ) from error
        print(f"{folder}: waiting for another process, which is writing it", file=sys.stderr, flush=True)
        lock.acquire()
