"""The records of finished runs, `result.json`, and of evaluations, `evaluation.json`: the only source of tables
(docs/design.md, contract 2)."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from vggsuite.errors import UserError
from vggsuite.files import naming_damaged, write_atomically
from vggsuite.naming import REPEAT, run_name
from vggsuite.protocol import Method, Protocol, default_flip
from vggsuite.results.predictions import PREDICTIONS_FILE
from vggsuite.results.record_types import OfAll, OfEvaluation, OfRun, OfTransfer
from vggsuite.typed import typed_json

SCHEMA_VERSION = 2
RECORD_FILE = "result.json"
EVALUATION_FILE = "evaluation.json"
TRANSFER_FILE = "transfer.json"
SCORES_FILE = "scores.npz"  # of a transfer
EVALUATIONS = "evaluations"  # the folder of a run's evaluations, in the run's own
OF_TRAINING_IMAGES = "@train"  # at the end of the name of one of the images that the run learnt from


@dataclass(frozen=True)
class Record:
    """Everything that a table says of a run, and what it takes to repeat it.

    Attributes:
        experiment: the experiment's name, or net and scale where none was chosen.
        variant: the further overrides, as they stand in the folder's name; "" for none.
        command: what repeats the run.
        model: the net's factors, its number of `parameters`, and the `multiply_adds` of a crop's forward pass.
        train_scale: S, [low, high] in pixels.
        test: the fields of the `Protocol` of the dense evaluation that ended the run.
        data: `name`, `fingerprint` of the test images and `train_fingerprint`, `crop`, `mean`, `std`, `num_classes`,
            `num_train`, `num_val` and `num_test` images; `skipped`, how many of each part the SHA-256 `report` of a
            check left out, None without one (`data.skip`).
        recipe: the training recipe, with the precision that was chosen.
        init: distribution, layers and, where layers were copied, the `run` they came from, when it `started` and its
            checkpoint's SHA-256.
        metrics: of that evaluation, see `Evaluation`; with `test.training_error` also those of the images that the net
            was trained on, `train`.
        selection: by what the learning rate and the checkpoint were chosen, with the `best_epoch` (from 1) and its
            error.
        cost: `epochs`, `images_per_second` of training, the `share_waiting_for_images` of its time and the
            `share_read_by_pillow` of its images, `skipped_steps` whose gradient was no number, `wall_seconds` of the
            whole run, `peak_memory_bytes` of the training with what it is a peak of.
        environment: hardware, package versions, git commit and whether the tree was dirty, start time (UTC).
    """

    experiment: str
    variant: str
    seed: int
    command: str
    model: dict[str, Any]
    train_scale: list[int]
    test: dict[str, Any]
    data: dict[str, Any]
    recipe: dict[str, Any]
    init: dict[str, Any]
    metrics: dict[str, Any]
    selection: dict[str, Any]
    cost: dict[str, Any]
    environment: dict[str, Any]
    schema_version: int = SCHEMA_VERSION

    @property
    def name(self) -> str:
        """The run's folder below `runs/`."""
        return run_name(self.data["name"], self.experiment, self.variant, self.seed)

    def protocol(self, method: Method, scales: Iterable[int]) -> Protocol:
        """How `method` tests this run at `scales`, where nothing else is said."""
        return Protocol(method, tuple(scales), flip=default_flip(method, trained=self.test["flip"]))


@dataclass(frozen=True)
class Evaluation:
    """The record of an evaluation: of one net, or of several whose posteriors were averaged.

    Attributes:
        name: its folder below `runs/`.
        of: the weights evaluated, one entry a net: for a run of ours its name (`run`), when it `started` and its
            checkpoint's `sha256`; for published weights `weights`, their name, `sha256`, `preprocessing` and `net`.
        protocol: the fields of its `Protocol`; of a fusion, those of its members' that they share.
        members: of the evaluations whose posteriors were averaged the `name`, and when each `started`; none where
            images went through the net.
        command: what repeats it.
        data: `name`, `fingerprint` and `num_classes` of the data set, and `skipped`, as a run's.
        metrics: `top1_error` and `top5_error` in percent, `top1_interval` and `top5_interval` with their `confidence`,
            and `num_images` behind them.
        published: of published weights, the figures that others printed of them.
        cost: `num_views` of an image, `images_per_second` through the net (None for a mean or a resumed one),
            `devices`, `wall_seconds` of this evaluation less its members' and, of one device, `peak_memory_bytes` with
            what it is a peak of.
        environment: as a run's.
    """

    name: str
    of: list[dict[str, str]]
    protocol: dict[str, Any]
    members: list[dict[str, str]]
    command: str
    data: dict[str, Any]
    metrics: dict[str, Any]
    published: list[dict[str, Any]]
    cost: dict[str, Any]
    environment: dict[str, Any]
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True)
class Transfer:
    """The record of a transfer: of what the features of one net, or of several, are worth on a data set.

    Attributes:
        experiment, variant, typed: what its folder's name is made of; `variant` is that of the runs whose features
            they are.
        nets: their names in Table 1, or the size of raw pixels.
        of: their weights, none of raw pixels, as in `Evaluation`; of nets drawn at random `random`, the net's name,
            and `sha256`.
        settings: `mode`, `features`, `source` and, of an SVM, how images are described; of fine-tuning, the recipe,
            with the layers that were frozen.
        data: `name`, `fingerprint`, SHA-256 of all `contents`, `num_classes`, `num_images`, `held_out`, `decoder` and
            the settings of the `splits`; `skipped`, as a run's.
        metric: in words of the config.
        splits: of each its `score` in percent, that of each class, `num_train` and `num_test` images, and what was
            chosen on the `num_held_out`.
        metrics: `mean` of the scores and, of several splits, their standard deviation `sd`; of one, its `interval` over
            the images, with its `confidence`.
        command, cost, environment: as a run's.
    """

    experiment: str
    variant: str
    typed: str
    seed: int
    command: str
    nets: list[str]
    of: list[dict[str, str]]
    settings: dict[str, Any]
    data: dict[str, Any]
    metric: str
    splits: list[dict[str, Any]]
    metrics: dict[str, Any]
    cost: dict[str, Any]
    environment: dict[str, Any]
    schema_version: int = SCHEMA_VERSION

    @property
    def name(self) -> str:
        """Its folder below `runs/`."""
        return run_name(self.data["name"], self.experiment, f"{self.variant}{self.typed}", self.seed)


def evaluation_folder(run: Path, protocol: Protocol, suffix: str = "") -> Path:
    """Where the evaluation of a run by `protocol` lies; `suffix` tells a data set that is not the run's own."""
    return run / EVALUATIONS / f"{protocol.name}{suffix}"


def as_member(evaluation: Evaluation) -> dict[str, str]:
    """How the mean of evaluations names each."""
    return {"name": evaluation.name, "started": evaluation.environment["started"]}


def part_folders(evaluation: Evaluation, place: Path) -> list[Path]:
    """Where the evaluations lie, beside it, that the evaluation of one net in `place` is the mean of."""
    return [place.parent / member["name"].rpartition("/")[2] for member in evaluation.members]


def refuse_circle(place: Path, above: tuple[Path, ...]) -> None:
    """Refuse the evaluation in `place` as a part of itself; `above` are the folders of what it is a part of."""
    if place.resolve() in (folder.resolve() for folder in above):
        raise UserError(f"{place / EVALUATION_FILE} names itself as a part; remove it and repeat what made it.")


def current_evaluation(
    place: Path, weights: dict[str, str], images: dict[str, str], above: tuple[Path, ...] = ()
) -> Evaluation | None:
    """The record of the evaluation of one net in `place`, if it is finished, of these weights and `images` (some of
    what its record says of its data), and, if it is a mean, of its parts as they are now.

    Args:
        place: its folder.
        weights, images: see above.
        above: the folders of what it is a part of.

    Raises:
        UserError: for a damaged record, and for one that names itself as a part.
    """
    refuse_circle(place, above)
    if not all((place / file).is_file() for file in (EVALUATION_FILE, PREDICTIONS_FILE)):
        return None
    evaluation = read_evaluation(place)
    if evaluation.of != [weights] or not images.items() <= evaluation.data.items():
        return None
    parts = [current_evaluation(part, weights, images, (*above, place)) for part in part_folders(evaluation, place)]
    as_now = [as_member(part) if part else None for part in parts]
    return evaluation if as_now == evaluation.members else None


def write_record(record: Record, folder: Path, file: str = RECORD_FILE) -> None:
    """Write the record of a run into `folder`, complete or not at all."""
    write_atomically(folder / file, json.dumps(asdict(record), indent=2) + "\n")


def write_evaluation(evaluation: Evaluation, folder: Path) -> None:
    """Write `evaluation.json` into `folder`, complete or not at all."""
    write_atomically(folder / EVALUATION_FILE, json.dumps(asdict(evaluation), indent=2) + "\n")


def write_transfer(transfer: Transfer, folder: Path) -> None:
    """Write `transfer.json` into `folder`, complete or not at all."""
    write_atomically(folder / TRANSFER_FILE, json.dumps(asdict(transfer), indent=2) + "\n")


def read_record(folder: Path) -> Record:
    """The record of the run in `folder`.

    Raises:
        FileNotFoundError: where no run has finished there.
        UserError: for a damaged record, and for one of another schema version.
    """
    return read(folder / RECORD_FILE, Record, OfRun)


def read_evaluation(folder: Path) -> Evaluation:
    """The record of the evaluation in `folder`; raises as `read_record`."""
    return read(folder / EVALUATION_FILE, Evaluation, OfEvaluation)


def read_transfer(folder: Path) -> Transfer:
    """The record of the transfer in `folder`; raises as `read_record`."""
    return read(folder / TRANSFER_FILE, Transfer, OfTransfer)


Kind = TypeVar("Kind")


def read(file: Path, kind: type[Kind], parts: Any = OfAll) -> Kind:
    """The record in `file`, a dataclass of this `kind`, whose fields have such `parts`; raises as `read_record`."""
    assert is_dataclass(kind)
    text = file.read_bytes()
    with naming_damaged(file, "remove it and repeat what made it"):
        content = dict(json.loads(text))
        version, odd = content.get("schema_version"), content.keys() ^ {field.name for field in fields(kind)}
        if version != SCHEMA_VERSION or odd:
            what = f"has or lacks {min(odd)!r}" if version == SCHEMA_VERSION else f"is of schema version {version!r}"
            raise UserError(
                f"{file} {what}, unlike records of version {SCHEMA_VERSION}; repeat what made it (rerun=true)."
            )
        typed_json(parts, text)
        return typed_json(kind, text)


def is_of(record: Any, identity: Mapping[str, Any]) -> bool:
    """Whether a record is of this identity: the values of some of its fields, and of its `data` of some entries."""
    return all(
        value.items() <= getattr(record, name).items() if name == "data" else getattr(record, name) == value
        for name, value in identity.items()
    )


def skipped_remarks(data: Iterable[Mapping[str, Any]]) -> list[str]:
    """A sentence for the reader of a table whose figures are on, or of nets trained on, a data set of which images were
    left out.

    Args:
        data: what records say of theirs; older ones say nothing of it.
    """
    sentences = []
    for told in data:
        if skipped := told.get("skipped"):
            counts = ", ".join(f"{count:,} {part}" for part, count in skipped.items() if part != "report")
            report = f"a report of check_data.py ({skipped['report'][:8]})"
            sentences.append(f"Images of {told['name']} were left out by {report}: {counts}.")
    return list(dict.fromkeys(sentences))


def find_records(runs: Path) -> dict[Path, Record]:
    """The records of all finished runs below `runs`, by folder, in the order of their names; repetitions aside."""
    folders = sorted(file.parent for file in runs.glob(f"**/{RECORD_FILE}"))
    return {folder: read_record(folder) for folder in folders if folder.name != REPEAT}
