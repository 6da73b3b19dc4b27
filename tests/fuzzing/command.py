"""What `python tests/fuzz.py` does: many cases, a table of what came of them, and a file for each finding."""

import argparse
import sys
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

from tabulate import tabulate

from tests.fuzzing.harness import CASES_OF_A_PROCESS, Tally, in_process
from tests.fuzzing.judging import Finding
from tests.fuzzing.target import Target
from tests.fuzzing.targets import TARGETS
from vggsuite.results.environment import environment

PACKAGES = ("numpy", "pillow", "simplejpeg", "omegaconf", "h5py", "protobuf", "pydantic", "hypothesis")
MOST_PROCESSES = 50  # of a target that keep dying


def main(arguments: Sequence[str] | None = None) -> None:
    """Fuzz; the exit code is 1 where something was found."""
    options = parsed(arguments)
    chosen = {name: TARGETS[name] for name in options.only or TARGETS}
    if options.repeat:
        for target in chosen.values():
            repeat(target, options.repeat)
        return
    heading = f"# Fuzzing\n\n{setting()}"
    tallies = fuzz(chosen, options.cases, options.seed, options.processes, options.findings)
    text = f"{heading}\n\n{summary(tallies)}\n"
    print(f"\n{text}", flush=True)
    if options.save:
        options.save.parent.mkdir(parents=True, exist_ok=True)
        options.save.write_text(text)
    sys.exit(any(tally.findings for tally in tallies.values()))


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Damage files, and see what the suite makes of them.")
    parser.add_argument("--cases", type=int, default=100_000, help="how many, over all targets")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=lambda text: names(text, parser), help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--processes", type=int, default=1, help="at a time")
    parser.add_argument("--findings", type=Path, default=Path("fuzz_findings"), help="the folder of what is found")
    parser.add_argument("--repeat", type=Path, help="a file of that folder: give it to --only, and show the traceback")
    parser.add_argument("--save", type=Path, help="also write the table to a file")
    return parser.parse_args(arguments)


def names(text: str, parser: argparse.ArgumentParser) -> list[str]:
    """Targets' names, that are separated by commas."""
    if unknown := set(text.split(",")) - TARGETS.keys():
        parser.error(f"--only={text} has {', '.join(sorted(unknown))}; allowed: {', '.join(TARGETS)}.")
    return text.split(",")


def fuzz(chosen: Mapping[str, Target], num_cases: int, seed: int, num_processes: int, folder: Path) -> dict[str, Tally]:
    """Run the cases, shared out over targets by their `share`, and tell of each as it is done."""
    total = sum(target.share for target in chosen.values())
    counts = {name: max(1, round(num_cases * target.share / total)) for name, target in chosen.items()}
    # Of processes, as one that is forked by a thread does not end well.
    with ProcessPoolExecutor(num_processes, get_context("fork")) as pool:
        jobs = {name: pool.submit(of_target, name, count, seed) for name, count in counts.items()}
        tallies = {}
        for name, job in jobs.items():
            tallies[name] = job.result()
            print(f"{name}: {tallies[name].cases} cases, {len(tallies[name].findings)} findings", flush=True)
            for finding in tallies[name].findings.values():
                keep(finding, folder)
    return tallies


def of_target(name: str, count: int, seed: int) -> Tally:
    """Run so many cases of a target, some in each process, until all have run or too many processes have died."""
    total = Tally()
    for number in range(-(-count // CASES_OF_A_PROCESS) + MOST_PROCESSES):
        if total.cases >= count:
            break
        drawn = zlib.crc32(f"{name} {seed} {number}".encode())
        part = in_process(TARGETS[name], drawn, min(CASES_OF_A_PROCESS, count - total.cases))
        for field in ("right", "refused", "found", "seconds"):
            setattr(total, field, getattr(total, field) + getattr(part, field))
        total.findings = part.findings | total.findings
    return total


def keep(finding: Finding, folder: Path) -> None:
    """Leave a finding's case, and its traceback, in `folder`, and tell how to repeat it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{finding.target}-{finding.signature}"
    file.write_bytes(finding.data)
    file.with_suffix(".txt").write_text(finding.trace)
    print(
        f"  {finding.where} {finding.what}\n  repeat: python tests/fuzz.py --only {finding.target} --repeat {file}",
        flush=True,
    )


def repeat(target: Target, file: Path) -> None:
    """Give a target one case, in this process, with no guard."""
    with tempfile.TemporaryDirectory() as folder:
        target.prepare(Path(folder))
        target.check(file.read_bytes(), Path(folder))
    print(f"{target.name}: a right result")


def summary(tallies: Mapping[str, Tally]) -> str:
    """A row for each target, and one for all."""
    rows = [
        [name, tally.cases, tally.right, tally.refused, len(tally.findings), f"{tally.seconds:.0f}"]
        for name, tally in tallies.items()
    ]
    sums = [sum(getattr(tally, name) for tally in tallies.values()) for name in ("cases", "right", "refused")]
    num_findings = sum(len(tally.findings) for tally in tallies.values())
    rows.append(["all", *sums, num_findings, f"{sum(tally.seconds for tally in tallies.values()):.0f}"])
    headers = ["target", "cases", "right results", "clean errors", "findings", "seconds"]
    return str(tabulate(rows, headers, tablefmt="github", disable_numparse=True))


def setting() -> str:
    """Where and when it ran, by which command."""
    now = datetime.now(UTC)
    here = environment(now, gpu=False)
    hardware = ", ".join(f"{name} {value}" for name, value in here["hardware"].items() if value)
    versions = here["versions"] | {name: version(name) for name in PACKAGES}
    told = ", ".join(f"{name} {value}" for name, value in versions.items())
    commit = f"{here['git_commit']}{' with changes' if here['git_dirty'] else ''}"
    words = " ".join(["python tests/fuzz.py", *sys.argv[1:]])
    return f"{now:%Y-%m-%d}, {hardware}; {told}; commit {commit}\n\n`{words}`"
