"""Many cases in processes of their own, whose death is a finding, too."""

import contextlib
import faulthandler
import io
import multiprocessing
import os
import resource
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path

import torch
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings

from tests.fuzzing.judging import HANG_SECONDS, Finding, judged
from tests.fuzzing.target import Target
from vggsuite.errors import UserError

CASES_OF_A_PROCESS = 2500
MEMORY_BYTES = 4 * 2**30  # that a case may take beside what the process has
CURRENT = "current"  # the file of the case that runs
Message = Finding | tuple[int, int, int]


@dataclass
class Tally:
    """What came of a target's cases so far."""

    right: int = 0
    refused: int = 0
    found: int = 0
    seconds: float = 0.0
    findings: dict[str, Finding] = field(default_factory=dict)  # by signature, the first of each

    @property
    def cases(self) -> int:
        return self.right + self.refused + self.found


def run_cases(target: Target, number: int, count: int, home: Path, tell: Callable[[Finding], object]) -> Tally:
    """Run `count` cases that `number` draws, in this process.

    Args:
        target: what is fuzzed.
        number: seed.
        count: how many cases, at least about.
        home: an empty folder.
        tell: is called with the first finding of each signature.
    """
    target.prepare(home)
    tally, current = Tally(), home / CURRENT

    @seed(number)
    @plain_settings(count, Phase.generate)
    @given(target.cases)
    def each(data: bytes) -> None:
        current.write_bytes(data)
        outcome = judged(target, data, home)
        tally.right += outcome is None
        tally.refused += isinstance(outcome, UserError)
        if isinstance(outcome, Finding):
            tally.found += 1
            if tally.findings.setdefault(outcome.signature, outcome) is outcome:
                tell(outcome)

    with quiet():
        each()
    return tally


def plain_settings(count: int, *phases: Phase) -> settings:
    """Hypothesis's, without its own judgement of time and without a memory of other runs."""
    return settings(
        max_examples=count,
        phases=phases,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What libraries print and warn of damaged files is not shown."""
    nowhere = io.StringIO()
    silent = contextlib.redirect_stderr(nowhere), contextlib.redirect_stdout(nowhere)
    with warnings.catch_warnings(action="ignore"), silent[0], silent[1]:
        yield


def shrunk(target: Target, finding: Finding, number: int, count: int, home: Path) -> Finding:
    """A small case of the same finding: Hypothesis's, of the cases that `number` draws."""
    target.prepare(home)
    smallest = finding

    @seed(number)
    @plain_settings(count, Phase.generate, Phase.shrink)
    @given(target.cases)
    def each(data: bytes) -> None:
        nonlocal smallest
        outcome = judged(target, data, home)
        if isinstance(outcome, Finding) and outcome.signature == finding.signature:
            smallest = outcome if len(data) <= len(smallest.data) else smallest
            raise AssertionError(finding.signature)

    with quiet(), contextlib.suppress(AssertionError, ExceptionGroup):
        each()
    return smallest


def worker(target: Target, number: int, count: int, home: Path, sender: Connection) -> None:
    """What a process does: cases, of which it tells the findings as they come and the numbers at the end."""
    torch.set_num_threads(1)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with (home / "faults").open("w") as faults:
        os.dup2(faults.fileno(), 2)  # what libraries in C say, and a traceback that ends the process
        faulthandler.enable(faults)
        watch(target, faults.fileno())
        tally = run_cases(target, number, count, home / "cases", sender.send)
        faulthandler.cancel_dump_traceback_later()
    for finding in list(tally.findings.values())[:3]:
        with contextlib.suppress(Exception):  # a small case is worth nothing else
            (home / "shrunk").mkdir(exist_ok=True)
            sender.send(shrunk(target, finding, number, count, Path(tempfile.mkdtemp(dir=home / "shrunk"))))
    sender.send((tally.right, tally.refused, tally.found))


def watch(target: Target, faults: int) -> None:
    """Have every case's process ended that hangs in what is no Python, where no signal's handler is called."""
    check = target.check

    def watched(data: bytes, home: Path) -> object:
        faulthandler.dump_traceback_later(HANG_SECONDS + 5, exit=True, file=faults)
        return check(data, home)

    object.__setattr__(target, "check", watched)


def in_process(target: Target, number: int, count: int) -> Tally:
    """`run_cases` in a process of its own; its death is a finding, and ends its cases."""
    tally, started = Tally(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "cases").mkdir()
        receiver, sender = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.get_context("fork").Process(
            target=worker, args=(target, number, count, home, sender), daemon=True
        )
        process.start()
        sender.close()
        for message in messages(receiver, process.sentinel):
            if isinstance(message, Finding):
                tally.findings[message.signature] = message
            else:
                tally.right, tally.refused, tally.found = message
        process.join()
        if process.exitcode:
            death = of_death(target, process.exitcode, home)
            tally.findings[death.signature] = death
            tally.found += 1
    tally.seconds = time.perf_counter() - started
    return tally


def messages(receiver: Connection, sentinel: int) -> Iterator[Message]:
    """What a process tells until it ends."""
    while receiver in wait([receiver, sentinel]):
        try:
            yield receiver.recv()
        except EOFError:
            return


def of_death(target: Target, code: int, home: Path) -> Finding:
    """The finding that a process's end is."""
    current = home / "cases" / CURRENT
    trace = (home / "faults").read_text() if (home / "faults").is_file() else ""
    what = f"hang in a library, exit code {code}" if "Timeout" in trace else f"death of the process, exit code {code}"
    return Finding(target.name, what, "?", current.read_bytes() if current.is_file() else b"", trace)
