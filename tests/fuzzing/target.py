"""What is fuzzed: a reader of the suite, the files that are given to it, and what is asked of its result."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hypothesis.strategies import SearchStrategy


@dataclass(frozen=True)
class Target:
    """A reader of files.

    Attributes:
        name: as `--only` has it.
        cases: contents of the file that is read.
        check: reads a case, of which it may make files below the folder it is given, and asserts that the result is
            right; a clean refusal is the reader's `UserError`.
        prepare: makes what else has to be in that folder.
        share: of all cases, in relation to other targets.
    """

    name: str
    cases: SearchStrategy[bytes]
    check: Callable[[bytes, Path], object]
    prepare: Callable[[Path], object] = lambda home: None
    share: float = 1.0
