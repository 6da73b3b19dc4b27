"""Writing so that neither a crash nor another process leaves half a file, and reading what others may have damaged."""

import csv
import errno
import hashlib
import os
import pickle
import struct
import sys
import tokenize
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import BadZipFile

import numpy as np
from filelock import FileLock, Timeout
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from vggsuite.errors import UserError, first_line

# What Python, NumPy, torch, h5py, OmegaConf and YAML raise of a file that is not what it should be. NumPy reads a
# header by Python's own parser (tokenize, SyntaxError, which is XML's error, too) and takes memory for the shape that
# it tells; torch and zipfile raise RuntimeError; what is missing in a file, or is of another type, the rest.
DAMAGE = (
    *(OSError, EOFError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RuntimeError),
    *(MemoryError, SyntaxError, tokenize.TokenError, struct.error, csv.Error, zlib.error, BadZipFile),
    *(pickle.UnpicklingError, YAMLError, OmegaConfBaseException),
)
KINDS = {"f": "f", "i": "iu", "b": "b", "U": "U"}  # NumPy's, by the letters of a layout


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
            set_aside(file, keeping)
        temporary.replace(file)
        flush_folder(file.parent)
    except (OSError, RuntimeError) as error:
        fault = error if isinstance(error, OSError) else error.__context__  # torch's, of a stream that fails, hides it
        if isinstance(fault, OSError):
            fault.filename = str(file)
        raise
    finally:
        with suppress(OSError):  # of a disk that has become read-only: what is told is why
            temporary.unlink(missing_ok=True)


def set_aside(file: Path, keeping: Path) -> None:
    """Give the content of `file` the name `keeping`, too; where there are no links, that name alone."""
    link = keeping.with_name(f".{keeping.name}.{os.getpid()}.tmp")
    try:
        os.link(file, link)
    except OSError:
        file.replace(keeping)
        return
    link.replace(keeping)
    link.unlink(missing_ok=True)  # it stays where `keeping` was the same file already


def flush_folder(folder: Path) -> None:
    """See that names in `folder` outlast a loss of power, as contents do that were flushed."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # of file systems that know no such thing
                raise
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
def naming_damaged(file: Path | str, remedy: str) -> Iterator[None]:
    """Turn what is raised while `file` is read into a UserError that names it and says what to do, the `remedy`. It is
    for reading alone: what is computed of the content has its own place, where a defect of ours keeps its traceback."""
    try:
        yield
    except UserError:
        raise
    except DAMAGE as error:
        what = "cannot be read" if isinstance(error, OSError) else "is damaged"
        raise UserError(f"{file} {what} ({reason(error)}); {remedy}.") from error


def reason(error: Exception) -> str:
    """Why a file cannot be read, in a few words; not those of torch and NumPy which tell how to load what is unsafe."""
    if isinstance(error, pickle.UnpicklingError) or "allow_pickle" in str(error):
        return "it is torn, or holds other things than tensors, numbers and text"
    match error:
        case OmegaConfBaseException():
            return first_line(error)
        case KeyError():
            return f"it lacks {first_line(error)}"
        case EOFError() if not str(error):
            return "it is empty or cut off"
        case OSError() if error.strerror:
            return error.strerror
    return first_line(error).partition(". ")[0]  # torch has much to say of a torn file


def load_arrays(file: Path, layout: Mapping[str, str], remedy: str) -> dict[str, np.ndarray]:
    """Arrays of an npz file; Python objects, whose unpickling may run anything, are refused.

    Args:
        file: as `save_arrays` wrote it.
        layout: of each array that is wanted its kind and its axes, as "fND": f for floats, i for integers, b for
            truth values, U for text; an axis is a number, or a letter for the same length wherever it stands.
        remedy: what to do where the file is missing or damaged.

    Raises:
        UserError: where it is.
    """
    with naming_damaged(file, remedy), np.load(file, allow_pickle=False) as arrays:
        if missing := layout.keys() - set(arrays.files):
            raise KeyError(min(missing))
        found = {name: arrays[name] for name in layout}
        require_layout(found, layout)
        return found


def require_layout(arrays: Mapping[str, np.ndarray], layout: Mapping[str, str]) -> None:
    """Make sure that arrays are as `layout` says; see `load_arrays`.

    Raises:
        ValueError: naming the first that is not.
    """
    lengths = {str(digit): digit for digit in range(10)}
    for name, described in layout.items():
        kind, axes = described[0], described[1:]
        dtype, shape = arrays[name].dtype, arrays[name].shape
        fits = dtype.kind in KINDS[kind] and len(shape) == len(axes)
        if not fits or any(lengths.setdefault(*pair) != pair[1] for pair in zip(axes, shape, strict=True)):
            raise ValueError(f"its {name} are of type {dtype} and shape {list(shape)}")


def read_lines(file: Path, remedy: str) -> list[str]:
    """The lines of a text file; raises as `load_arrays`."""
    with naming_damaged(file, remedy):
        return file.read_text(encoding="utf-8").splitlines()


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
