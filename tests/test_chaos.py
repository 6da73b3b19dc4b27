"""A few rounds of `chaos.py`, and that it sees what is lost."""

import shutil
from pathlib import Path

import pytest

from tests.chaos import SCENARIOS, difference, evidence, main


@pytest.mark.slow
def test_a_killed_training_ends_as_one_that_was_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rounds", "1", "--only", "training"]) == 0, capsys.readouterr().out


def test_what_is_lost_is_seen(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    (one / "runs").mkdir(parents=True)
    (one / "runs/metrics.csv").write_text("step\n1\n2\n")
    (one / "runs/result.json").write_text('{"metrics": {"top1_error": 1.0}, "cost": {"wall_seconds": 1}}')
    shutil.copytree(one, other)
    (other / "runs/result.json").write_text('{"metrics": {"top1_error": 1.0}, "cost": {"wall_seconds": 2}}')
    assert difference(evidence(one), evidence(other)) is None
    (other / "runs/result.json").write_text('{"metrics": {"top1_error": 2.0}, "cost": {"wall_seconds": 1}}')
    assert difference(evidence(one), evidence(other)) == "runs/result.json differs"
    (other / "runs/metrics.csv").unlink()
    assert difference(evidence(one), evidence(other)) == "runs/metrics.csv is in one only"


def test_a_share_of_the_rounds_goes_to_every_command() -> None:
    assert sum(scenario.share for scenario in SCENARIOS) == pytest.approx(1.0)
