"""One transfer, from its config to its record."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from vggsuite.config import Features, Metric, Mode, Region, TransferConfig
from vggsuite.data.find import find_labelled
from vggsuite.data.labelled import LabelledImages
from vggsuite.data.skipping import told_of
from vggsuite.devices import check_devices, torch_devices
from vggsuite.errors import UserError
from vggsuite.evaluation.run import Subject, write_csv
from vggsuite.files import exclusive, save_arrays, write_atomically
from vggsuite.models.factors import name_of
from vggsuite.naming import repeat_command
from vggsuite.results.environment import environment
from vggsuite.results.record import SCORES_FILE, TRANSFER_FILE, Transfer, is_of, read_transfer, write_transfer
from vggsuite.results.resampling import centred_bounds, resampled_scores
from vggsuite.results.run_folder import CONFIG_FILE
from vggsuite.results.statistics import mean_and_sd
from vggsuite.transfer.descriptors import content_digests
from vggsuite.transfer.fine_tuning import fine_tune
from vggsuite.transfer.linear_svm import classify
from vggsuite.transfer.nets import find_nets
from vggsuite.transfer.scoring import Outcome, check_metric

CONFIDENCE = 0.95  # of the interval over the images of a single split


def transfer(config: TransferConfig, folder: Path, *, typed: Sequence[str], choices: Mapping[str, str]) -> Transfer:
    """The record of the transfer that `config` describes, which is made unless it is there, of these settings, weights
    and images.

    Args:
        config: checked.
        folder: of the record.
        typed: the command line.
        choices: of the config groups.

    Raises:
        UserError: for what the user can mend.
    """
    check_devices(config.trainer)
    images = find_labelled(config.data)
    check_task(config, images)
    subjects = find_nets(config)
    check_features(config, subjects)
    identity = identity_of(config, images, subjects)
    with exclusive(folder, wait=True):
        if not config.rerun and (there := finished(folder, identity)):
            return there
        (folder / TRANSFER_FILE).unlink(missing_ok=True)
        started, clock = datetime.now(UTC), time.perf_counter()
        if config.mode == Mode.svm:
            outcomes = classify(config, subjects, images)
        else:
            told = json.dumps(identity, sort_keys=True)
            outcomes = fine_tune(config, subjects[0], images, identity=told, typed=typed, choices=choices)
        devices = torch_devices(config.trainer)
        record = Transfer(
            **{name: getattr(config, name) for name in ("experiment", "variant", "typed", "seed")},
            command=repeat_command("transfer.py", typed),
            **identity | {"data": identity["data"] | {"skipped": told_of(images.left_out)}},
            splits=[outcome.told for outcome in outcomes],
            metrics=metrics_of(config.metric, outcomes, images),
            cost={"wall_seconds": round(time.perf_counter() - clock, 2), "devices": len(devices)},
            environment=environment(started, gpu=devices[0].type == "cuda"),
        )
        write_atomically(folder / CONFIG_FILE, OmegaConf.to_yaml(OmegaConf.structured(config)))
        save(record, outcomes, images, folder)
    return record


def check_features(config: TransferConfig, subjects: Sequence[Subject]) -> None:
    """Make sure that the nets have the features that `config` asks for.

    Raises:
        UserError: for hidden activations of a net that averages its maps.
    """
    averaging = next((subject for subject in subjects if subject.net.averages_maps), None)
    if averaging and not config.relu:
        raise UserError(
            f"relu=false takes a hidden FC layer's activations, and {averaging.name} averages its maps; type relu=true."
        )


def check_task(config: TransferConfig, images: LabelledImages) -> None:
    """Make sure that what `config` asks for can be done on such images.

    Raises:
        UserError: for a metric that is not theirs, and for boxes that they have not.
    """
    check_metric(config.metric, images, config.data.name)
    if images.boxes is None and Region.box in config.regions:
        raise UserError(
            f"regions=[{','.join(config.regions)}] has box, and data={config.data.name} has no boxes; allowed: "
            "regions=[image]."
        )


def identity_of(config: TransferConfig, images: LabelledImages, subjects: Sequence[Subject]) -> dict[str, Any]:
    """What a record's figures depend on, under its own names."""
    return {
        "nets": [features_of(config, subject) for subject in subjects],
        "of": [subject.of for subject in subjects if config.features != Features.pixels],
        "settings": settings_of(config),
        "data": {
            "name": config.data.name,
            "fingerprint": images.fingerprint(),
            "contents": hashlib.sha256("".join(content_digests(images.samples)).encode()).hexdigest(),
            "num_classes": len(images.classes),
            "num_images": len(images.samples),
            "held_out": config.data.held_out,
            "decoder": str(config.data.decoder),
            "splits": {key: value for key, value in asdict(config.data.splits).items() if key != "chosen"},
        },
        "metric": str(config.metric),
    }


def features_of(config: TransferConfig, subject: Subject) -> str:
    """Whose features they are: those of a net of Table 1, or pixels, of which the net says the size."""
    return (
        f"pixels {subject.net.crop} x {subject.net.crop}"
        if config.features == Features.pixels
        else name_of(subject.model)
    )


def settings_of(config: TransferConfig) -> dict[str, Any]:
    """How the classes are learnt."""
    common = {"mode": str(config.mode), "features": str(config.features), "source": config.source}
    if config.mode == Mode.finetune:
        recipe = asdict(config.recipe) | {"precision": str(config.recipe.precision)}
        recipe = {key: str(value) if isinstance(value, StrEnum) else value for key, value in recipe.items()}
        return common | {"scale": config.data.scale, "recipe": recipe}
    return common | {
        "scales": config.scales,
        "combine": str(config.combine),
        "regions": list(map(str, config.regions)),
        "relu": config.relu,
        "flip": config.data.flip if config.flip is None else config.flip,
        "precision": str(config.precision),
        "c_grid": config.c_grid,
    }


def finished(folder: Path, identity: Mapping[str, Any]) -> Transfer | None:
    """The record in `folder`, if it is of this identity."""
    if not all((folder / file).is_file() for file in (TRANSFER_FILE, SCORES_FILE)):
        return None
    there = read_transfer(folder)
    return there if is_of(there, identity) else None


def metrics_of(metric: Metric, outcomes: Sequence[Outcome], images: LabelledImages) -> dict[str, Any]:
    """The mean over the splits, with its spread: over them, or of a single one over its images."""
    mean, sd = mean_and_sd([outcome.told["score"] for outcome in outcomes])
    if sd is not None:
        return {"mean": mean, "sd": sd}
    (outcome,) = outcomes
    draws = resampled_scores(metric, outcome.scores, images.targets[outcome.test])
    interval = centred_bounds(mean, draws, CONFIDENCE)
    return {"mean": mean, "sd": None, "interval": interval, "confidence": CONFIDENCE}


def save(record: Transfer, outcomes: Sequence[Outcome], images: LabelledImages, folder: Path) -> None:
    """Write what a transfer leaves into `folder`, its record last: `scores.npz`, with of each split the `test` images
    and what was said of them, and `per_class.csv`."""
    arrays: dict[str, np.ndarray] = {"classes": np.array(images.classes), "targets": images.targets}
    for number, outcome in enumerate(outcomes):
        arrays |= {f"test_{number}": outcome.test, f"scores_{number}": outcome.scores}
    save_arrays(folder / SCORES_FILE, **arrays)
    columns = [outcome.told["per_class"] for outcome in outcomes]
    header = ["class", *(f"split {number}" for number in range(len(outcomes)))]
    write_csv(folder / "per_class.csv", header, zip(images.classes, *columns, strict=True))
    write_transfer(record, folder)
