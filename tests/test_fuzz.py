"""Damaged files end in a right result or a sentence; `python tests/fuzz.py` tries many more."""

from pathlib import Path

import pytest

from tests.fuzzing.harness import run_cases
from tests.fuzzing.targets import TARGETS

SLOW_TARGETS = {"sweep": 3, "words": 3}  # which compose a config in each case
CASES = 20


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_are_read_or_refused(name: str, tmp_path: Path) -> None:
    tally = run_cases(TARGETS[name], 0, SLOW_TARGETS.get(name, CASES), tmp_path, lambda finding: None)
    assert not tally.findings, "\n".join(finding.trace for finding in tally.findings.values())
    assert tally.right > 0  # the first case is a good file
