"""What the suite's Trainer costs a step: python benchmarks/lightning_overhead.py

Net A of several widths on 64-pixel crops, in the suite's own Trainer with a run's callbacks and its metrics.csv, and
in a plain loop: the same module, optimiser and batch. Both in turn, in shuffled order; the difference is the median of
the rounds' [quartiles]. On the CPU the process's own time is taken. The smallest net shows the cost itself; of a longer
step it is a smaller share, and more and more of the difference is noise.
"""

import statistics
from collections.abc import Sequence

import torch

from measure import arguments_parser, report, rounds, setting, table
from training_step import Case, module, ours_in_a_loop, random_batch, under_lightning
from vggsuite.models.vgg import VGG
from vggsuite.protocol import Precision
from vggsuite.training.loggers import quieten_lightning

WIDTHS = (1 / 64, 1 / 16, 1 / 8, 1 / 4)
PLAIN, LIGHTNING = "plain loop", "the suite's Trainer"


def spread(values: Sequence[float], form: str) -> str:
    """The median [quartiles]."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:{form}} [{low:{form}}, {high:{form}}]"


def row(width: float, count: int, case: Case) -> tuple[str, ...]:
    """What Lightning adds to the step of a net."""
    made = module(VGG(11, num_classes=10, width=width, crop=64), case)
    ways = {PLAIN: lambda: ours_in_a_loop(made, case), LIGHTNING: lambda: under_lightning(made, case)}
    times = rounds(ways, count)
    more = [own - other for own, other in zip(times[LIGHTNING], times[PLAIN], strict=True)]
    share = [extra / other for extra, other in zip(more, times[PLAIN], strict=True)]
    plain, lightning = (f"{1e3 * statistics.median(times[way]):.1f}" for way in (PLAIN, LIGHTNING))
    return f"{width:.4g}", plain, lightning, spread([1e3 * extra for extra in more], ".2f"), spread(share, ".1%")


def main() -> None:
    parser = arguments_parser(__doc__, rounds=15)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--steps", type=int, default=40)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    quieten_lightning()
    device = torch.device(arguments.device)
    case = Case(device, random_batch(32, 64, 10, device), arguments.steps, Precision.bf16, compile=False)

    def measured() -> str:
        rows = [row(width, arguments.rounds, case) for width in WIDTHS]
        headers = ("width of net A", "plain loop, ms a step", "the suite's Trainer", "ms more", "share")
        return table(rows, headers)

    report({"# Lightning": lambda: setting(gpu=device.type == "cuda"), "## A step": measured}, arguments.save)


if __name__ == "__main__":
    main()
