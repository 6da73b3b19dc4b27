"""The records of localisation (appendix A): of the training of a box regressor, `localiser.json`, and of a test of one
or several, `localisation.json`."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vggsuite.files import load_arrays, write_atomically
from vggsuite.results.record import SCHEMA_VERSION, Record, is_of, read
from vggsuite.results.record_types import OfLocalisation, OfLocaliser

LOCALISER_FILE = "localiser.json"
LOCALISATION_FILE = "localisation.json"
BOXES_FILE = "boxes.npz"  # of a test: what was said of every image
REMEDY = "repeat the test that made it with rerun=true"


@dataclass(frozen=True, kw_only=True)
class Localiser(Record):
    """The record of a box regressor's training: as that of a classification run, but `metrics` and `test` are those of
    its test on the centre crop, as in `Localisation`.

    Attributes:
        regression: "scr" or "pcr".
        finetune: "all" or "fc".
        boxes: the settings of the boxes, the `fingerprint` and the `counts` of what was left out of either split, and
            `mean_box`, the mean of the training boxes on the centre crop, as the net regresses them.
    """

    regression: str
    finetune: str
    boxes: dict[str, Any]


@dataclass(frozen=True)
class Localisation:
    """The record of a test of one box regressor, or of several.

    Attributes:
        name: its folder below `runs/`.
        of: the weights of the regressors, as in `Evaluation`, each with its `scales` and the `classifier` that rated
            its boxes.
        protocol: "ground_truth", "dense" or "crops".
        settings: the `precision` and, where boxes were merged by one test, how (`merging`).
        labels: the evaluation whose five best classes are the guesses: its `name`, when it `started`, and SHA-256 of
            the `guesses`; empty where none are made.
        command: what repeats it.
        data: `name`, `fingerprint` and `num_classes` of the data set, the `split` and the `decoder`, `boxes`, the
            fingerprint of the boxes, and the `counts` of what was left out.
        metrics: errors in percent, each with its interval: of the box given the right class (`gt_class_error`), and of
            one and of five guesses (`top1_error`, `top5_error`); the same of a box that is always the mean one
            (`mean_box_...`); `num_images`.
        cost, environment: as an evaluation's.
    """

    name: str
    of: list[dict[str, Any]]
    protocol: str
    settings: dict[str, Any]
    labels: dict[str, str]
    command: str
    data: dict[str, Any]
    metrics: dict[str, Any]
    cost: dict[str, Any]
    environment: dict[str, Any]
    schema_version: int = SCHEMA_VERSION


def load_boxes(folder: Path, layout: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Arrays, as `layout` describes them (`load_arrays`), that the test in `folder` left.

    Raises:
        UserError: where they are missing or damaged.
    """
    return load_arrays(folder / BOXES_FILE, layout, REMEDY)


def write_localisation(record: Localisation, folder: Path) -> None:
    """Write `localisation.json` into `folder`, complete or not at all."""
    write_atomically(folder / LOCALISATION_FILE, json.dumps(asdict(record), indent=2) + "\n")


def finished_test(folder: Path, identity: Mapping[str, Any]) -> Localisation | None:
    """The record of the test in `folder`, if it is of this identity: the values of some of its fields."""
    if not all((folder / file).is_file() for file in (LOCALISATION_FILE, BOXES_FILE)):
        return None
    there = read_localisation(folder)
    return there if is_of(there, identity) else None


def read_localisation(folder: Path) -> Localisation:
    """The record of the test in `folder`; raises as `read_record`."""
    return read(folder / LOCALISATION_FILE, Localisation, OfLocalisation)


def read_localiser(folder: Path) -> Localiser:
    """The record of the box regressor in `folder`; raises as `read_record`."""
    return read(folder / LOCALISER_FILE, Localiser, OfLocaliser)
