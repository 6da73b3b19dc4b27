"""Unpacking archives, whoever made them: nothing but plain files and folders, none outside the folder they go to."""

import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vggsuite.errors import UserError, first_line


def plain(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo:
    """The member as tarfile's own filter for data has it, which refuses devices and what lies outside `folder`; and no
    links, with which a later member could leave the folder (CVE-2025-4517), and which no data set of ours holds.

    Raises:
        tarfile.FilterError: for all else.
    """
    if member.issym() or member.islnk():
        raise tarfile.LinkOutsideDestinationError(member, f"{folder}, by a link")
    return tarfile.data_filter(member, folder)


@contextmanager
def plain_files_only(root: Path) -> Iterator[None]:
    """Within the context, tar files that this process unpacks, torchvision's functions above all, leave but files and
    folders `plain`, whichever filter the caller names (torchvision 0.29.2 names Python's for data, 0.29.1 none).

    Args:
        root: where to, for a person.

    Raises:
        UserError: for an archive that holds anything else, and where Python has no such filters.
    """
    if not hasattr(tarfile, "data_filter"):
        raise UserError(
            f"Python {sys.version.split()[0]} would let an archive write anywhere; use Python 3.11.4 or newer."
        )
    before = tarfile.TarFile.extractall

    def extractall(archive: tarfile.TarFile, *places: Any, **named: Any) -> None:
        before(archive, *places, **named | {"filter": plain})

    tarfile.TarFile.extractall = extractall  # type: ignore[assignment, method-assign]
    try:
        yield
    except tarfile.FilterError as error:
        raise UserError(
            f"an archive holds what is no plain file or folder in {root} ({first_line(error)}); remove what was "
            "unpacked of it, and fetch it anew from its publisher."
        ) from error
    finally:
        tarfile.TarFile.extractall = before  # type: ignore[method-assign]
