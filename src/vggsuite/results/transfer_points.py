"""The figures of Tables 11 and 12 (appendix B): which there are, what is typed for each, and the records of those that
exist."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from vggsuite.config import MULTI_LABEL
from vggsuite.errors import UserError
from vggsuite.naming import variant_of
from vggsuite.results.experiments import printed_rows
from vggsuite.results.record import TRANSFER_FILE, Transfer, read_transfer

TITLES = {
    11: "descriptors and linear SVMs, and fine-tuned nets, on other data sets",
    12: "classification of what is in a box",
}
# The data sets of each table: of nets trained on the digits the embedded ones, else those of the paper.
EMBEDDED = {11: ("letters", "letters_voc"), 12: ("letters_action",)}
OF_THE_PAPER = {11: ("voc2007", "voc2012", "caltech101", "caltech256"), 12: ("voc2012_action",)}
SOURCES = ("digits", "imagenet")  # of these data sets' own config files
NETS = "VGG Net-D & Net-E"
EXPERIMENTS = {  # of the paper's rows
    "VGG Net-D (16 layers)": "table11/d",
    "VGG Net-E (19 layers)": "table11/e",
    NETS: "table11/d_and_e",
    f"{NETS}, image-only": "table12/image",
    f"{NETS}, image and bounding box": "table12/image_and_box",
}
OURS_ALONE = {  # rows that the paper has not
    11: {
        "Net-A": "table11/a",
        "Net-D, random weights": "table11/random",
        "raw pixels": "table11/pixels",
        "Net-D, last layer fine-tuned": "table11/last_layer",
        "Net-D, FC layers fine-tuned": "table11/fc_layers",
        "Net-D, all layers fine-tuned": "table11/all_layers",
    },
    12: {},
}
FINE_TUNED = ("table11/last_layer", "table11/fc_layers", "table11/all_layers")
CURVES = {  # what is learnt from few training images a class
    "Net-D, linear SVM": "table11/d",
    **{method: experiment for method, experiment in OURS_ALONE[11].items() if experiment in FINE_TUNED},
}
FEW = (5, 15)  # training images a class, beside all


@dataclass(frozen=True)
class Found:
    """A transfer and its folder."""

    folder: Path
    record: Transfer

    @property
    def name(self) -> str:
        """Its folder below `runs/`."""
        return str(self.record.name)


def targets_of(number: int, source: str, chosen: Sequence[str] | None = None) -> list[str]:
    """The data sets of Table 11 or 12, by nets trained on `source`: those `chosen`, or all.

    Raises:
        UserError: for one that is of neither table.
    """
    known = EMBEDDED if source == "digits" else OF_THE_PAPER
    everything = [target for targets in known.values() for target in targets]
    for target in chosen or []:
        if target not in everything:
            raise UserError(
                f"transfer_to={list(chosen or [])} has {target}; allowed with data={source}: {', '.join(everything)} "
                f"(transfer_to=[{everything[0]}])."
            )
    return [target for target in known[number] if chosen is None or target in chosen]


class Point(NamedTuple):
    """A figure of Table 11 or 12: a data set, an experiment, and how many training images of each class (None: all)."""

    target: str
    experiment: str
    few: int | None

    @property
    def name(self) -> str:
        return f"{self.experiment} on {self.target}{f', {self.few} a class' if self.few else ''}"


def words_of(point: Point, source: str) -> list[str]:
    """What is typed of transfer.py for a figure, beside its seed."""
    told = [] if source in SOURCES else [f"source={source}"]
    few = [f"data.splits.keep_per_class={point.few}"] if point.few else []
    return [f"experiment={point.experiment}", f"data={point.target}", *told, *few]


def points_of(number: int, source: str, chosen: Sequence[str] | None) -> list[Point]:
    """Every figure of ours in Table 11 or 12."""
    printed = [EXPERIMENTS[row["method"]] for row in printed_rows(number) if row["method"] in EXPERIMENTS]
    targets = targets_of(number, source, chosen)
    points = [
        Point(target, experiment, None) for experiment in (*OURS_ALONE[number].values(), *printed) for target in targets
    ]
    if number == 11:
        curves = [target for target in targets if target not in MULTI_LABEL]
        points += [Point(target, experiment, few) for few in FEW for experiment in CURVES.values() for target in curves]
    return [point for point in points if fits(point.experiment, point.target)]


def fits(experiment: str, target: str) -> bool:
    """Whether an experiment can be made on a data set."""
    return not (experiment in FINE_TUNED and target in MULTI_LABEL)


Transfers = Mapping[Point, Mapping[int, Found]]  # by seed


def collect_transfers(runs: Path, *, source: str, variant: str) -> Transfers:
    """The transfers below `runs` that Tables 11 and 12 show, of nets trained on `source` in this variant."""
    found: dict[Point, dict[int, Found]] = {}
    places = [(target, f"table{number}") for number in TITLES for target in targets_of(number, source)]
    for target, table in places:
        for file in sorted((runs / target / table).glob(f"*/seed_*/{TRANSFER_FILE}")):
            record = read_transfer(file.parent)
            point = Point(target, record.experiment, record.data["splits"]["keep_per_class"])
            typed = variant_of(words_of(point, source), record.experiment)
            if (record.settings["source"], record.variant, record.typed) == (source, variant, typed):
                found.setdefault(point, {})[record.seed] = Found(file.parent, record)
    return found


def paper_columns(number: int) -> dict[str, str]:
    """The columns of the paper's table, and their names in its rows."""
    return {name: name for name in OF_THE_PAPER[11]} if number == 11 else {"voc2012_action": "map"}
