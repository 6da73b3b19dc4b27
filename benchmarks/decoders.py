"""Whether a net learns the same from images decoded the fast way as from the reference's: python benchmarks/decoders.py

Trains a net on the digits with data.decoder=turbo and with pillow, five seeds each (same weights at the start, same
order, same draws), into a folder of its own, where finished runs are found again. A run is trained and tested by one
decoder. The difference of the seeds' pairs is told with its t interval.

The net is A with batch normalisation: without it, it depends on the seed whether net A learns much in the twelve epochs
of the digits' recipe, which would drown any difference.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
from scipy import stats

from measure import arguments_parser, report, setting, table
from vggsuite.config import PROJECT_ROOT, Decoder
from vggsuite.results.record import RECORD_FILE, Record, read_record

CONFIDENCE = 0.95
NET = ("model=vgg_a", "model.batch_norm=true")


def train(runs: Path, seeds: int) -> dict[Decoder, list[Record]]:
    """The records of all seeds of either decoder."""
    command = [
        *(sys.executable, str(PROJECT_ROOT / "src/train.py"), "--multirun", "hydra/launcher=processes"),
        *("hydra.launcher.num_jobs=2", *NET),
        f"paths.runs={runs}",
        *(f"data.decoder={','.join(Decoder)}", f"seed={','.join(map(str, range(seeds)))}"),
    ]
    subprocess.run(command, check=True, stdout=sys.stderr)
    records = [read_record(file.parent) for file in sorted(runs.glob(f"digits/**/{RECORD_FILE}"))]
    return {
        decoder: sorted((r for r in records if r.data["decoder"] == decoder), key=lambda record: record.seed)
        for decoder in Decoder
    }


def compared(found: dict[Decoder, list[Record]]) -> str:
    errors = {decoder: np.array([record.metrics["top1_error"] for record in found[decoder]]) for decoder in Decoder}
    difference = errors[Decoder.turbo] - errors[Decoder.pillow]
    rows = [
        (f"seed {record.seed}", *(f"{errors[decoder][index]:.2f}" for decoder in Decoder), f"{difference[index]:+.2f}")
        for index, record in enumerate(found[Decoder.turbo])
    ]
    means = (f"{errors[decoder].mean():.2f} ± {errors[decoder].std(ddof=1):.2f}" for decoder in Decoder)
    rows.append(("mean ± deviation", *means, f"{difference.mean():+.2f}"))
    low, high = stats.t.interval(CONFIDENCE, len(difference) - 1, difference.mean(), stats.sem(difference))
    verdict = "within noise" if low <= 0 <= high else "not within noise"
    told = (
        f"Difference {difference.mean():+.2f} points, {CONFIDENCE:.0%} interval [{low:+.2f}, {high:+.2f}]: {verdict}."
    )
    return f"{table(rows, ('top-1 error, %', *Decoder, 'difference'))}\n\n{told}"


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--runs", type=Path, default=PROJECT_ROOT / "runs/decoders")
    arguments = parser.parse_args()
    found = train(arguments.runs.absolute(), arguments.seeds)
    heading = f"## {' '.join(NET)}, on digits"
    report({"# Decoders and what a net learns": setting, heading: lambda: compared(found)}, arguments.save)


if __name__ == "__main__":
    main()
