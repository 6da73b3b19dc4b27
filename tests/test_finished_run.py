"""Waiting for the run that another starts from."""

from pathlib import Path

import pytest

from vggsuite import finished_run
from vggsuite.config import InitConfig, Layers, TrainConfig
from vggsuite.errors import UserError
from vggsuite.files import exclusive, is_held
from vggsuite.finished_run import require_parent
from vggsuite.results.run_folder import CHECKPOINT, CLASSES_FILE, CONFIG_FILE, RECORD_FILE


class Clock:
    """Stands in for `time`: sleeping takes no time, and what happens meanwhile is told."""

    def __init__(self, events: dict[int, Path]) -> None:
        self.seconds, self.events = 0.0, events  # by how often it has slept: a folder in which a run finishes then
        self.num_sleeps = 0

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.num_sleeps += 1
        folder = self.events.get(self.num_sleeps)
        if folder:
            (folder / CHECKPOINT).parent.mkdir(parents=True)
            for file in (CHECKPOINT, CONFIG_FILE, CLASSES_FILE, RECORD_FILE):
                (folder / file).touch()


def child(parent: Path, wait: float) -> TrainConfig:
    init = InitConfig(layers=Layers.all, run=str(parent), wait=wait)
    return TrainConfig(init=init, overrides=[], experiment="table3/d", variant="")


def waited(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Clock:
    monkeypatch.setattr(finished_run, "time", clock)
    return clock


def test_a_parent_that_has_begun_is_waited_for_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = waited(monkeypatch, Clock({1000: tmp_path / "parent"}))
    with exclusive(tmp_path / "parent"):
        assert is_held(tmp_path / "parent")
        assert require_parent(child(tmp_path / "parent", wait=1)) == tmp_path / "parent"
    assert not is_held(tmp_path / "parent")
    assert clock.num_sleeps == 1000


def test_a_parent_may_take_so_many_minutes_to_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = waited(monkeypatch, Clock({}))
    with pytest.raises(UserError, match="holds no finished run"):
        require_parent(child(tmp_path / "parent", wait=1))
    assert 60 <= clock.seconds <= 60 + 2 * finished_run.POLL_SECONDS
    waited(monkeypatch, Clock({25: tmp_path / "parent"}))
    assert require_parent(child(tmp_path / "parent", wait=1)) == tmp_path / "parent"


def test_nobody_waits_who_was_not_asked_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = waited(monkeypatch, Clock({}))
    with pytest.raises(UserError, match="holds no finished run"):
        require_parent(child(tmp_path / "parent", wait=0))
    assert clock.num_sleeps == 0
