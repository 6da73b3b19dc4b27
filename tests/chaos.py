"""Commands that are killed at random moments and repeated, as when a machine dies, end as if nothing had been.

    python tests/chaos.py --rounds 100 --save benchmarks/results/chaos_cpu.md

A round runs a command undisturbed; starts it anew, kills it with all processes that it started (SIGKILL) up to three
times, each time repeats it, lets it end, and compares what it left with what the undisturbed command left: weights bit
by bit, every row of metrics.csv, all of the records and tables but what it cost, every byte of packs. Linux only.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tabulate import tabulate
from tqdm import tqdm

from vggsuite.files import file_digest
from vggsuite.results.environment import environment

ROOT = Path(__file__).resolve().parents[1]
MARK = "VGGSUITE_CHAOS"  # in the environment of all processes of a round
MOST_KILLS = 3
TINY = ("data=digits", "model.width=0.05", "recipe.epochs=2", "trainer=cpu", "data.num_workers=1", "save_minutes=1e-6")
OF_THE_MOMENT = ("cost", "environment", "command", "started", "sha256", "run", "members", "init")  # of records


@dataclass(frozen=True)
class Scenario:
    """A command to be killed.

    Attributes:
        name: of it.
        words: the command, with HOME for the folder that it works in.
        share: of all rounds.
        before: commands whose results it starts from.
    """

    name: str
    words: Sequence[str]
    share: float
    before: Sequence[Sequence[str]] = ()


def of(script: str, *words: str) -> tuple[str, ...]:
    return (f"src/{script}.py", *words, "paths.runs=HOME/runs")


TRAINED = of("train", "experiment=table3/a", "hydra.run.dir=HOME/runs/run", *TINY)
OVERRIDES = "overrides='model.width=0.02 recipe.epochs=1 recipe.batch_size=256 trainer=cpu data.num_workers=0'"
SWEPT = of("ablation", "tables=3", "output=HOME/tables", "hydra.launcher.cpu_slots=2", OVERRIDES)
SCENARIOS = (
    Scenario("training", TRAINED, 0.45),
    Scenario("evaluation", of("evaluate", "run=HOME/runs/run", "protocol=both", "shard_size=20"), 0.22, [TRAINED]),
    Scenario("tables", of("table", "table=3", "output=HOME/tables", OVERRIDES), 0.18, [SWEPT]),
    Scenario("sweep", SWEPT, 0.05),
    Scenario("packing", ("src/pack.py", "data=digits", "output=HOME/packed", "images_per_shard=50"), 0.1),
)


@dataclass
class Tally:
    """What came of a scenario's rounds.

    Attributes:
        rounds, kills: how many.
        while_writing: kills that left a file that was being written.
        lost: the rounds that ended otherwise than the undisturbed command, each in a sentence.
        seconds_lost: in each round, for each kill.
    """

    rounds: int = 0
    kills: int = 0
    while_writing: int = 0
    lost: list[str] = field(default_factory=list)
    seconds_lost: list[float] = field(default_factory=list)


def start(words: Sequence[str], home: Path) -> subprocess.Popen[bytes]:
    """Start a command that works in `home`; what it says goes to a file there."""
    command = [sys.executable, *(word.replace("HOME", str(home)) for word in words)]
    with (home / "said.txt").open("ab") as said:
        alone = os.environ | {"OMP_NUM_THREADS": "1", MARK: str(home)}
        return subprocess.Popen(command, cwd=ROOT, env=alone, stdin=subprocess.DEVNULL, stdout=said, stderr=said)


def run(words: Sequence[str], home: Path) -> float:
    """Run a command to its end, and say how many seconds it took."""
    began = time.monotonic()
    if start(words, home).wait():
        raise RuntimeError(f"{' '.join(words)} fails undisturbed: {(home / 'said.txt').read_text()[-2000:]}")
    return time.monotonic() - began


def kill_all(home: Path) -> None:
    """SIGKILL to every process that a command in `home` started, until there is none."""
    mark = f"{MARK}={home}".encode()
    while found := [process for process in Path("/proc").iterdir() if process.name.isdigit() and has(process, mark)]:
        for process in found:
            try:
                os.kill(int(process.name), signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.01)


def has(process: Path, mark: bytes) -> bool:
    """Whether a process has `mark` in its environment; neither has one that has ended, nor another person's."""
    try:
        return mark in (process / "environ").read_bytes().split(b"\0")
    except (FileNotFoundError, PermissionError, ProcessLookupError):
        return False


def disturbed(scenario: Scenario, home: Path, undisturbed: float, draws: random.Random) -> tuple[int, int, float, int]:
    """Run a command of so many seconds with kills; how many they were, how many of them left a file that was being
    written, the seconds of all parts, and the exit code of the last."""
    began, writing = time.monotonic(), 0
    most = draws.randint(1, MOST_KILLS)
    for kills in range(most):
        process = start(scenario.words, home)
        try:
            process.wait(timeout=draws.uniform(0.0, 0.9) * undisturbed)
            return kills, writing, time.monotonic() - began, process.returncode
        except subprocess.TimeoutExpired:
            kill_all(home)
            process.wait()
            writing += any(home.rglob(".*.tmp"))
    code = start(scenario.words, home).wait()
    return most, writing, time.monotonic() - began, code


def evidence(home: Path) -> dict[str, Any]:
    """What there is in `home`, by path: of which nothing may depend on kills."""
    found = {}
    for file in sorted(home.rglob("*")):
        read = READERS.get(file.suffix)
        if read and not file.name.startswith("."):
            content = read(file)
            found[str(file.relative_to(home))] = timeless(content, home) if "tables" in file.parts else content
    return found


def timeless(table: str, home: Path) -> str:
    """A table without the time that each training took, and without the folder of its runs, whose name sets how wide
    the columns are."""
    rows = table.replace(str(home), "").splitlines()
    if "our seconds" in rows[0]:
        column = rows[0].split(",").index("our seconds")
        return "\n".join(",".join(row.split(",")[:column] + row.split(",")[column + 1 :]) for row in rows)
    return "\n".join(re.sub(r"-{2,}| {2,}", " ", re.sub(r"\b\d+ (s|min|h)\b", "", row)) for row in rows)


def record(file: Path) -> str:
    """A record without what is of the moment."""

    def kept(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: kept(inner) for key, inner in value.items() if key not in OF_THE_MOMENT}
        return [kept(inner) for inner in value] if isinstance(value, list) else value

    return json.dumps(kept(json.loads(file.read_text())))


def weights(file: Path) -> str:
    """The bytes of all weights."""
    state = torch.load(file, weights_only=True)["state_dict"]
    return repr([(name, value.numpy().tobytes()) for name, value in state.items()])


def arrays(file: Path) -> str:
    with np.load(file, allow_pickle=False) as content:
        return repr([(name, content[name].tobytes()) for name in content.files])


READERS: dict[str, Callable[[Path], str]] = {
    ".ckpt": weights,
    ".csv": Path.read_text,
    ".json": record,
    ".md": Path.read_text,
    ".npz": arrays,
    ".tar": file_digest,
    ".tex": Path.read_text,
}


def difference(expected: dict[str, Any], found: dict[str, Any]) -> str | None:
    """The first file in which two pieces of evidence differ, if any."""
    differing = (name for name in sorted({*expected, *found}) if expected.get(name) != found.get(name))
    return next(
        (f"{name} {'differs' if name in expected and name in found else 'is in one only'}" for name in differing), None
    )


def try_out(scenario: Scenario, rounds: int, work: Path, draws: random.Random, bar: "tqdm[Any]") -> Tally:
    """So many rounds of a scenario."""
    tally, origin = Tally(), work / "origin"
    origin.mkdir(parents=True)
    for words in scenario.before:
        run(words, origin)
    expected = None
    for number in range(rounds):
        whole = shutil.copytree(origin, work / "undisturbed")
        seconds = run(scenario.words, whole)  # each time: what else the machine does changes
        found = evidence(whole)
        expected = expected or found
        if differs := difference(expected, found):
            raise RuntimeError(f"{scenario.name} differs from itself, undisturbed in {whole}: {differs}")
        shutil.rmtree(whole)
        home = shutil.copytree(origin, work / f"round_{number}")
        kills, writing, took, code = disturbed(scenario, home, seconds, draws)
        lost = f"it ended with {code}" if code else difference(expected, evidence(home))
        tally.rounds += 1
        tally.kills += kills
        tally.while_writing += writing
        tally.seconds_lost += [(took - seconds) / kills] * kills if kills else []
        if lost:
            tally.lost.append(f"{scenario.name}, round {number} ({home}): {lost}")
        else:
            shutil.rmtree(home)
        bar.update()
        bar.set_postfix(lost=len(tally.lost))
    return tally


def report(tallies: dict[str, Tally]) -> str:
    """What came of all rounds, as Markdown."""
    rows = []
    for name, tally in tallies.items():
        lost = sorted(tally.seconds_lost) or [float("nan")]
        told = f"{lost[len(lost) // 2]:.1f} [{lost[0]:.1f}, {lost[-1]:.1f}]"
        rows.append([name, tally.rounds, tally.kills, tally.while_writing, len(tally.lost), told])
    headers = ["command", "rounds", "kills", "while a file was written", "losses", "seconds lost a kill"]
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100, help="of all commands (100)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (0)")
    parser.add_argument("--only", default=",".join(s.name for s in SCENARIOS), help="commands, by comma (all)")
    parser.add_argument("--save", type=Path, help="a file for the report")
    options = parser.parse_args(arguments)
    names = [scenario.name for scenario in SCENARIOS]
    if options.rounds < 1 or not set(options.only.split(",")) <= set(names):
        parser.error(f"--rounds takes 1 or more, --only some of {','.join(names)}")
    chosen = [scenario for scenario in SCENARIOS if scenario.name in options.only.split(",")]
    unit = sum(scenario.share for scenario in chosen)
    work = Path(tempfile.mkdtemp(prefix="chaos_"))
    tallies = {}
    with tqdm(total=options.rounds, unit="round", disable=None) as bar:
        for scenario in chosen:
            rounds = max(1, round(options.rounds * scenario.share / unit))
            draws = random.Random(f"{options.seed} {scenario.name}")
            tallies[scenario.name] = try_out(scenario, rounds, work / scenario.name, draws, bar)
    lost = [told for tally in tallies.values() for told in tally.lost]
    told = report(tallies)
    print(told, *lost, sep="\n")
    if options.save:
        options.save.write_text(f"# Kills and what they cost\n\n{setting(options)}\n\n{told}\n\n{LEGEND}\n")
    if not lost:
        shutil.rmtree(work)
    return 1 if lost else 0


LEGEND = """Seconds lost a kill: the wall time of all parts of a round less that of the undisturbed command just before,
for each of its kills; median [lowest, highest]. Every part starts Python and its libraries anew."""


def setting(options: argparse.Namespace) -> str:
    """Where and when it was measured, by which command."""
    here = environment(datetime.now(UTC), gpu=False)
    hardware = ", ".join(f"{name} {value}" for name, value in here["hardware"].items() if value)
    commit = f"{here['git_commit']}{' with changes' if here['git_dirty'] else ''}"
    versions = f"python {here['versions']['python']}, torch {here['versions']['torch']}"
    command = f"python tests/chaos.py --rounds {options.rounds} --seed {options.seed} --only {options.only}"
    return f"{here['started'][:10]}, {hardware}; {versions}; commit {commit}\n\n`{command}`"


if __name__ == "__main__":
    sys.exit(main())
