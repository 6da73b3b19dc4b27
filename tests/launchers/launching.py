"""Start `application.py` as a multirun, and read what its jobs noted."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.conftest import call_command

APPLICATION = Path(__file__).with_name("application.py")
SECONDS = 30  # more than anything here takes


def job(number: int, **settings: object) -> str:
    """A job of the multirun, as a value of its setting `job`."""
    words = ",".join(f"{name}:{value}" for name, value in ({"number": number} | settings).items())
    return f"{{{words}}}"


class Launching:
    """A multirun of the application: its command, what its jobs note, and their folders."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.runs, self.events_file = folder, folder / "runs", folder / "events"
        self.events_file.touch()

    def start(self, launcher: str, *words: str, **environment: str) -> subprocess.Popen[str]:
        """Start it in a process group of its own, as a shell does."""
        return subprocess.Popen(
            [sys.executable, APPLICATION, *self.words(launcher, *words)],
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def run(self, launcher: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return result_of(self.start(launcher, *words, **environment))

    def call(self, launcher: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run it within this process, which is quicker."""
        return call_command(str(APPLICATION), *self.words(launcher, *words))

    def words(self, launcher: str, *words: str) -> list[str]:
        paths = (f"events={self.events_file}", f"paths.runs={self.runs}")
        return ["--multirun", f"hydra/launcher={launcher}", *paths, *words]

    @property
    def events(self) -> list[str]:
        """What happened, in order."""
        return self.events_file.read_text().splitlines()

    def add_event(self, what: str) -> None:
        with self.events_file.open("a") as file:
            file.write(f"{what}\n")

    def wait(self, *events: str) -> None:
        """Until all these have happened."""
        wait(lambda: set(events) <= set(self.events), " and ".join(events))

    def environment(self, number: int) -> dict[str, str]:
        """Of a job that has started."""
        return dict(json.loads((self.runs / str(number) / f"{number}.json").read_text()))

    def devices(self, number: int) -> list[str]:
        """Which GPUs a job saw."""
        return [name for name in self.environment(number)["CUDA_VISIBLE_DEVICES"].split(",") if name]

    def console(self, number: int) -> list[str]:
        return (self.runs / str(number) / "console.log").read_text().splitlines()


def result_of(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """What it printed until its end, which must come."""
    try:
        output, errors = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def wait(reached: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + SECONDS
    while not reached():
        assert time.monotonic() < end, f"no {what}"
        time.sleep(0.01)
