"""The results that tables show: evaluations of the runs of one data set, by experiment and seed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from vggsuite.data.scale import Scale
from vggsuite.errors import UserError
from vggsuite.protocol import Protocol
from vggsuite.results.experiments import DEGRADATION, FAMILY, evaluations_of_runs, experiment_of, printed_rows
from vggsuite.results.record import (
    EVALUATION_FILE,
    OF_TRAINING_IMAGES,
    Evaluation,
    Record,
    evaluation_folder,
    find_records,
    read_evaluation,
)

TRAINED = ("table3/", f"{FAMILY}/", f"{DEGRADATION}/")  # the experiments that train; all others evaluate their runs


@dataclass(frozen=True)
class Result:
    """One evaluation that a table shows: its folder, its record, and the record of its run (None for a fusion)."""

    folder: Path
    evaluation: Evaluation
    run: Record | None = None

    @property
    def name(self) -> str:
        """The run's name for the evaluation that ended it, else the evaluation's own."""
        ended = self.run and self.run.test == self.evaluation.protocol and not self.is_of_training_images
        return self.run.name if self.run and ended else self.evaluation.name

    @property
    def is_of_training_images(self) -> bool:
        """Whether it is of the images that its run learnt from."""
        return self.folder.name.endswith(OF_TRAINING_IMAGES)


BySeed = Mapping[int, Result]
Results = Mapping[str, BySeed]  # by experiment


@dataclass(frozen=True)
class Collection:
    """The results of one data set, the finished runs there that belong to no table, the records of all runs there,
    by folder, and the results of runs on the images that they were trained on."""

    data: str
    variant: str
    results: Results
    others: list[str]
    records: Mapping[Path, Record] = field(default_factory=dict)
    of_training_images: Results = field(default_factory=dict)


def collect(runs: Path, *, data: str, variant: str) -> Collection:
    """The results below `runs` of one data set and one variant of the training.

    Raises:
        UserError: where they are of different images, and where two records claim one name.
    """
    records = find_records(runs / data)
    chosen = {
        folder: record
        for folder, record in records.items()
        if record.data["name"] == data and record.variant == variant and record.experiment.startswith(TRAINED)
    }
    refuse_duplicates(chosen)
    results: dict[str, dict[int, Result]] = {}
    learnt: dict[str, dict[int, Result]] = {}
    evaluation_in = cache(read_evaluation)  # Tables 4 and 5 share some
    for folder, record in chosen.items():
        for experiment, protocol in protocols(record).items():
            place = evaluation_folder(folder, protocol)
            if (place / EVALUATION_FILE).is_file():
                results.setdefault(experiment, {})[record.seed] = Result(place, evaluation_in(place), record)
        place = evaluation_folder(folder, Protocol.of(record.test), OF_TRAINING_IMAGES)
        if "train" in record.metrics and (place / EVALUATION_FILE).is_file():
            learnt.setdefault(record.experiment, {})[record.seed] = Result(place, read_evaluation(place), record)
    for row in printed_rows(6):
        experiment = experiment_of(6, row)
        for place in sorted((runs / data / f"{experiment}{variant}").glob("seed_*")):
            seed = re.fullmatch(r"seed_(\d+)", place.name)
            if seed and (place / EVALUATION_FILE).is_file():
                results.setdefault(experiment, {})[int(seed[1])] = Result(place, read_evaluation(place))
    refuse_different_images(results, data)
    others = [record.name for folder, record in records.items() if folder not in chosen]
    return Collection(data, variant, results, others, records, learnt)


def protocols(run: Record) -> dict[str, Protocol]:
    """The experiments that show evaluations of `run`, and the protocol of each."""
    found = {run.experiment: Protocol.of(run.test)}
    scales = Scale(*run.train_scale).several(run.data["crop"])
    for experiment, (trained, method) in evaluations_of_runs().items():
        if trained == run.experiment:
            found[experiment] = run.protocol(method, scales)
    return found


def refuse_duplicates(records: Mapping[Path, Record]) -> None:
    names = [record.name for record in records.values()]
    for folder, record in records.items():
        if names.count(record.name) > 1:
            raise UserError(
                f"{folder} holds one of several records of {record.name}; move all but one out of the runs."
            )


def refuse_different_images(results: Results, data: str) -> None:
    """Make sure that all figures of a table are on the same images, of nets trained on the same images."""
    for what in ("evaluated", "trained"):
        prints: dict[str, Path] = {}
        for result in (result for by_seed in results.values() for result in by_seed.values()):
            if what == "evaluated":
                prints.setdefault(result.evaluation.data["fingerprint"], result.folder)
            elif result.run:
                prints.setdefault(result.run.data["train_fingerprint"], result.folder)
        if len(prints) > 1:
            first, second, *_ = prints.values()
            raise UserError(
                f"{first} and {second} were {what} on different images, though both of data={data}; repeat one of them "
                "(rerun=true) or move it away."
            )


def outdated(results: Results) -> list[str]:
    """A sentence for every result that came from a run which has been repeated since."""
    runs = {result.run.name: result.run for by_seed in results.values() for result in by_seed.values() if result.run}
    started = {name: run.environment["started"] for name, run in runs.items()}
    sentences = []
    for run in runs.values():
        parent = run.init.get("run")
        if parent in started and run.init.get("started") != started[parent]:
            sentences.append(f"{run.name} was initialised from an earlier run of {parent} than the one above.")
    for result in (result for by_seed in results.values() for result in by_seed.values()):
        for weights in result.evaluation.of:
            if weights.get("run") in started and weights.get("started") != started[weights["run"]]:
                sentences.append(
                    f"{result.evaluation.name} is of an earlier run of {weights['run']} than the one above."
                )
    return sentences
