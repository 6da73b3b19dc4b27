"""What the benchmarks share: interleaved rounds, ratios, and where and when something was measured."""

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from tabulate import tabulate

from vggsuite.results.environment import environment

Times = Mapping[str, Sequence[float]]


def rounds(calls: Mapping[str, Callable[[], float]], count: int) -> dict[str, list[float]]:
    """What every call returns in `count` rounds, after one that is not counted, each in another order."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(count + 1):
        for name in random.Random(number).sample(list(calls), len(calls)):
            value = calls[name]()
            if number:
                found[name].append(value)
    return found


def clock(device: torch.device) -> float:
    """The process's own time on the CPU, in which a machine's other work does not count; on a GPU the time when it has
    done what it was told."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def resident_peak(call: Callable[[], object]) -> int:
    """The largest memory in bytes that this process had while `call` ran; Linux only."""
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    call()
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return 1024 * int(peak.split()[1])


def ratio(times: Times, name: str, to: str) -> str:
    """How many times faster `name` is than `to`: the median of the rounds' ratios [lowest, highest]."""
    ratios = [other / own for own, other in zip(times[name], times[to], strict=True)]
    return f"{statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"


def table(rows: Sequence[Sequence[object]], headers: Sequence[str]) -> str:
    """A table in Markdown, its cells as they are."""
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def setting(*, gpu: bool = False, packages: Sequence[str] = ()) -> str:
    """Where and when it was measured, by which command; versions also of further `packages`."""
    now = datetime.now(UTC)
    here = environment(now, gpu=gpu)
    hardware = ", ".join(f"{name} {value}" for name, value in here["hardware"].items() if value)
    versions = {name: here["versions"][name] for name in ("python", "torch", "torchvision", "lightning")}
    versions |= {name: version_of(name) for name in packages}
    commit = f"{here['git_commit']}{' with changes' if here['git_dirty'] else ''}"
    command = " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *without_save(sys.argv[1:])])
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"{now:%Y-%m-%d}, {hardware}; {told}; commit {commit}\n\n`{command}`"


def version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def without_save(arguments: Sequence[str]) -> list[str]:
    """The command's arguments without --save and its file."""
    if "--save" not in arguments:
        return list(arguments)
    at = list(arguments).index("--save")
    return [*arguments[:at], *arguments[at + 2 :]]


def report(parts: Mapping[str, Callable[[], str]], save: Path | None) -> None:
    """Print every part below its heading as soon as it is measured, and write all to `save`."""
    text = ""
    for heading, measure in parts.items():
        part = f"{heading}\n\n{measure()}\n\n"
        print(part, end="", flush=True)
        text += part
    if save:
        save.parent.mkdir(parents=True, exist_ok=True)
        save.write_text(text.rstrip() + "\n")


def arguments_parser(description: str | None, *, rounds: int | None = None) -> argparse.ArgumentParser:
    """A parser of the options that every benchmark has, and of --rounds for one that goes round."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    if rounds:
        parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--save", type=Path, help="also write what is printed to a file")
    return parser
