"""How fluent the report page is with many runs: python benchmarks/page.py --run runs/digits/table3/a/seed_0

A finished run is copied under as many seeds; the page of them is made, opened in a headless Chromium, sorted and
filtered, and the source of a figure of all of them is opened. Milliseconds until the browser has painted the next
frame.
"""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from playwright.sync_api import Page, sync_playwright

from measure import arguments_parser, report, setting, table
from vggsuite.config import PROJECT_ROOT
from vggsuite.results.record import RECORD_FILE

NUMBERS = (12, 200)
# What a person does, and then the next frame.
ACTIONS = {
    "sort by error": "document.querySelector('#runs-table th:nth-child(6) button').click()",
    "filter": "const field = document.getElementById('filter'); field.value = 'seed_1'; "
    "field.dispatchEvent(new Event('input'))",
    "where a figure comes from": "document.querySelector('#main button.figure').click()",
}


def copies(run: Path, number: int, runs: Path) -> None:
    """Copy a run so often, with other seeds."""
    record = json.loads((run / RECORD_FILE).read_text())
    for seed in range(number):
        folder = runs / record["data"]["name"] / record["experiment"] / f"seed_{seed}"
        shutil.copytree(run, folder, ignore=shutil.ignore_patterns("checkpoints", "figures", "heatmaps"))
        (folder / RECORD_FILE).write_text(json.dumps(record | {"seed": seed, "variant": ""}))


def measured(page: Page, action: str) -> float:
    """Milliseconds of an action, until the second frame after it begins."""
    script = f"""async () => {{
        const began = performance.now();
        {action};
        await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
        return performance.now() - began;
    }}"""
    return float(page.evaluate(script))


def fluency(run: Path, chromium: str, rounds: int) -> str:
    """A row for each number of runs."""
    rows = []
    for number in NUMBERS:
        with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
            copies(run, number, Path(folder) / "runs")
            command = [sys.executable, "src/report.py", f"paths.runs={folder}/runs", f"output={folder}"]
            began = perf_counter()
            subprocess.run(command, cwd=PROJECT_ROOT, check=True, stdout=subprocess.DEVNULL)
            made, file = perf_counter() - began, Path(folder) / "report.html"
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            times: dict[str, list[float]] = {name: [] for name in ("open", *ACTIONS)}
            for _ in range(rounds):
                page = browser.new_page()
                began = perf_counter()
                page.goto(file.as_uri())
                page.wait_for_selector("body[data-drawn]")
                times["open"].append(1e3 * (perf_counter() - began))
                for name, action in ACTIONS.items():
                    times[name].append(measured(page, action))
                page.close()
            told = [f"{statistics.median(each):.0f}" for each in times.values()]
            rows.append([number, f"{made:.1f}", f"{file.stat().st_size / 1e6:.2f}", *told])
    return table(rows, ["runs", "made in, s", "size, MB", *(f"{name}, ms" for name in ("open", *ACTIONS))])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = arguments_parser(__doc__, rounds=5)
    parser.add_argument("--run", type=Path, required=True, help="the folder of a finished run of a table")
    parser.add_argument("--chromium", default="chromium", help="the browser's path")
    options = parser.parse_args(arguments)
    chromium = shutil.which(options.chromium)
    if not chromium:
        parser.error(f"--chromium={options.chromium} is not installed: apt-get install chromium")
    parts = {
        "# The report page, medians": lambda: setting(packages=["vl-convert-python", "playwright"]),
        "## Fluency": lambda: fluency(options.run, chromium, options.rounds),
    }
    report(parts, options.save)


if __name__ == "__main__":
    main()
