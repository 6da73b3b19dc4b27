"""A command with a trainer's settings that instead of training notes what happens to it, for the tests of launchers.

Each line that it appends to the file `events` is one thing that happened; their order is the order of things.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from vggsuite import cli

CONFIG: dict[str, Any] = {
    "defaults": ["_self_", {"override hydra/job_logging": "stdout"}],
    "events": "???",
    "paths": {"runs": "???"},
    # It lasts until `until` is a line of the events, prints so many lines, then ends: `end`, `kill`, or by a code.
    "job": {"number": 0, "devices": 1, "until": None, "then": "end", "lines": 0},
    "trainer": {"accelerator": "auto", "devices": "${job.devices}", "num_nodes": 1},
    "hydra": {
        "output_subdir": None,
        "run": {"dir": "${paths.runs}/${job.number}"},
        "sweep": {"dir": "${paths.runs}", "subdir": "${job.number}"},
    },
}


@hydra.main(config_path="../../conf", config_name="application", version_base="1.3")
def main(cfg: DictConfig) -> None:
    events, job = Path(cfg.events), cfg.job
    ended_by: list[int] = []

    def note(what: str) -> None:
        with events.open("a") as file:
            file.write(f"{what} {job.number}\n")

    def note_signal(signum: int, frame: object) -> None:
        note(signal.Signals(signum).name)
        ended_by.append(signum)

    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, note_signal)
    output = Path(HydraConfig.get().runtime.output_dir)
    (output / f"{job.number}.json").write_text(json.dumps(dict(os.environ) | {"pid": str(os.getpid())}))
    note("start")
    while job.until and job.until not in events.read_text().splitlines():
        time.sleep(0.005)
    for line in range(job.lines):
        print(f"line {line} of {job.number}", file=(sys.stdout, sys.stderr)[line % 2], flush=True)
    note("end")
    if job.then == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    code = 128 + ended_by[0] if ended_by else 0
    sys.exit(code if job.then == "end" else job.then)


if __name__ == "__main__":
    ConfigStore.instance().store("application", CONFIG)
    cli.run(main)
