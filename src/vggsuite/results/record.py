"""The record of a finished run, `result.json`: the only source of tables (docs/design.md, contract 2)."""

import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from vggsuite.errors import UserError

SCHEMA_VERSION = 1
RECORD_FILE = "result.json"
PREDICTIONS_FILE = "predictions.npz"


@dataclass(frozen=True)
class Record:
    """Everything that a table says of a run, and what it takes to repeat it.

    Attributes:
        experiment: the experiment's name, or net and scale where none was chosen.
        variant: the further overrides, as they stand in the folder's name; "" for none.
        command: what repeats the run.
        model: the net's factors, and its number of `parameters`.
        train_scale: S, [low, high] in pixels.
        test: `protocol`, `scales` (every Q in pixels), `flip` and `average`.
        data: `name`, `fingerprint`, `crop`, `mean`, `num_classes` `num_train`, `num_val` and `num_test` images.
        recipe: the training recipe, with the precision that was chosen.
        init: distribution, layers and, where layers were copied, the `run` they came from, when it `started` and its
            checkpoint's SHA-256.
        metrics: errors in percent on the test images, and `num_images` behind them.
        selection: by what the learning rate and the checkpoint were chosen, with the `best_epoch` (from 1) and its
            error.
        cost: `epochs`, `images_per_second` of training, `wall_seconds` of the whole run, `peak_memory_bytes` with
            what it is a peak of.
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
    metrics: dict[str, float]
    selection: dict[str, Any]
    cost: dict[str, Any]
    environment: dict[str, Any]
    schema_version: int = SCHEMA_VERSION

    @property
    def name(self) -> str:
        """The run's folder below `runs/`."""
        return f"{self.data['name']}/{self.experiment}{self.variant}/seed_{self.seed}"


def write_record(record: Record, folder: Path) -> None:
    """Write `result.json` into `folder`, complete or not at all."""
    write_atomically(folder / RECORD_FILE, json.dumps(asdict(record), indent=2) + "\n")


def write_atomically(file: Path, text: str) -> None:
    """Replace `file` by `text`: a reader, or a crash, sees the old content or the new."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    with temporary.open("w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)


def read_record(folder: Path) -> Record:
    """The record of the run in `folder`.

    Raises:
        FileNotFoundError: where no run has finished there.
        UserError: for a record of another schema version.
    """
    content = json.loads((folder / RECORD_FILE).read_text())
    if content.get("schema_version") != SCHEMA_VERSION or content.keys() != {f.name for f in fields(Record)}:
        raise UserError(
            f"{folder / RECORD_FILE} is of schema version {content.get('schema_version')}, not {SCHEMA_VERSION}; "
            "repeat the run (rerun=true)."
        )
    return Record(**content)


def find_records(runs: Path) -> dict[Path, Record]:
    """The records of all finished runs below `runs`, by folder, in the order of their names."""
    return {file.parent: read_record(file.parent) for file in sorted(runs.glob(f"**/{RECORD_FILE}"))}
