"""Whether a net learns the same from images decoded the fast way as from the reference's: python benchmarks/decoders.py

Trains a net on the digits with data.decoder=turbo and with pillow, five seeds each (same weights at the start, same
order, same draws), into a folder of its own, where finished runs are found again. A run is trained and tested by one
decoder. The difference of the seeds' pairs is told with its t interval. Then every net is tested by either decoder.

The net is A with batch normalisation: without it, it depends on the seed whether net A learns much in the twelve epochs
of the digits' recipe, which would drown any difference.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import stats

from measure import arguments_parser, report, setting, table
from vggsuite.config import PROJECT_ROOT, Decoder
from vggsuite.results.record import read_evaluation, read_record

CONFIDENCE = 0.95
NET = ("model=vgg_a", "model.batch_norm=true")


def train(runs: Path, decoder: Decoder, seeds: int) -> list[Path]:
    """The run folders of all seeds."""
    command = [sys.executable, str(PROJECT_ROOT / "src/train.py"), "--multirun", "hydra/launcher=local"]
    settings = [f"data.decoder={decoder}", f"paths.runs={runs}", f"seed={','.join(map(str, range(seeds)))}"]
    subprocess.run([*command, "hydra.launcher.cpu_slots=2", *NET, *settings], check=True, stdout=sys.stderr)
    return [next(runs.glob(f"digits/*/seed_{seed}")) for seed in range(seeds)]


def compared(found: dict[Decoder, list[Path]]) -> str:
    """The errors of each seed's two runs, and the interval of their difference."""
    errors = {
        decoder: np.array([read_record(run).metrics["top1_error"] for run in found[decoder]]) for decoder in Decoder
    }
    difference = errors[Decoder.turbo] - errors[Decoder.pillow]
    rows = [
        (f"seed {index}", *(f"{errors[decoder][index]:.2f}" for decoder in Decoder), f"{difference[index]:+.2f}")
        for index in range(len(difference))
    ]
    means = (f"{errors[decoder].mean():.2f} ± {errors[decoder].std(ddof=1):.2f}" for decoder in Decoder)
    rows.append(("mean ± deviation", *means, f"{difference.mean():+.2f}"))
    low, high = stats.t.interval(CONFIDENCE, len(difference) - 1, difference.mean(), stats.sem(difference))
    verdict = "within noise" if low <= 0 <= high else "not within noise"
    told = (
        f"Difference {difference.mean():+.2f} points, {CONFIDENCE:.0%} interval [{low:+.2f}, {high:+.2f}]: {verdict}."
    )
    return f"{table(rows, ('top-1 error, %', *Decoder, 'difference'))}\n\n{told}"


def tested_by_both(found: dict[Decoder, list[Path]]) -> str:
    """Every run's top-1 error by either decoder."""
    rows = []
    for trained, runs in found.items():
        for run in runs:
            errors = []
            for decoder in Decoder:
                with tempfile.TemporaryDirectory() as home:
                    copy = shutil.copytree(run, Path(home) / "run")
                    command = [sys.executable, str(PROJECT_ROOT / "src/evaluate.py"), f"run={copy}"]
                    subprocess.run([*command, f"data.decoder={decoder}", "rerun=true"], check=True, stdout=sys.stderr)
                    (evaluation,) = (copy / "evaluations").iterdir()
                    errors.append(f"{read_evaluation(evaluation).metrics['top1_error']:.2f}")
            rows.append((f"{trained}, {run.name}", *errors))
    return table(rows, ("trained by", *(f"tested by {decoder}" for decoder in Decoder)))


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--runs", type=Path, default=PROJECT_ROOT / "runs/decoders")
    arguments = parser.parse_args()
    runs = arguments.runs.absolute()
    found = {decoder: train(runs / decoder, decoder, arguments.seeds) for decoder in Decoder}
    parts: dict[str, Callable[[], str]] = {
        "# Decoders and what a net learns": setting,
        f"## {' '.join(NET)}, on digits": lambda: compared(found),
        "## Top-1 error of the same weights, %": lambda: tested_by_both(found),
    }
    report(parts, arguments.save)


if __name__ == "__main__":
    main()
