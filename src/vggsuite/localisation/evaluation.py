"""One test of a box regressor (appendix A), from its settings to its record."""

import hashlib
import shutil
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vggsuite.config import PROJECT_ROOT
from vggsuite.data.datasets import WholeImages
from vggsuite.data.find import find_images
from vggsuite.data.preprocessing import Preprocessing
from vggsuite.data.skipping import told_of
from vggsuite.devices import check_devices, chosen_workers, torch_devices
from vggsuite.errors import UserError
from vggsuite.evaluation import inference
from vggsuite.evaluation.run import Subject
from vggsuite.evaluation.subject import subject_of_run
from vggsuite.files import exclusive
from vggsuite.localisation.answers import Answers, answers, metrics_of, save_answers
from vggsuite.localisation.candidates import (
    Candidates,
    CentreBoxes,
    OfClasses,
    PlacesBoxes,
    PlacesPosteriors,
    candidates_of,
    centre_boxes,
    joined,
    save_candidates,
)
from vggsuite.localisation.config import BoxEvaluateConfig, BoxProtocol, TestSplit
from vggsuite.localisation.images import BoxedImages, Guesses, guesses_of, read_boxed
from vggsuite.localisation.regressor import Regressor, load_regressor
from vggsuite.localisation.settings import (
    check_places,
    classifier_of,
    merging_of,
    name_of_test,
    output_folder,
    test_scales,
)
from vggsuite.models.factors import model_of
from vggsuite.naming import repeat_command
from vggsuite.protocol import Protocol
from vggsuite.results.environment import environment, git
from vggsuite.results.localisation_records import (
    LOCALISATION_FILE,
    Localisation,
    finished_test,
    write_localisation,
)
from vggsuite.results.record import evaluation_folder, read_record

SHARDS = "shards"  # the folder of what an unfinished test has so far


def evaluate(config: BoxEvaluateConfig, typed: Sequence[str]) -> Localisation:
    """The record of the test that `config` describes, which is made unless it is there, of these settings, weights and
    images.

    Args:
        config: settled.
        typed: the command line.

    Raises:
        UserError: for what the user can mend.
    """
    check_devices(config.trainer)
    regressor = find_regressor(config)
    boxed = find_boxed(config, regressor)
    make = GroundTruth if config.protocol == BoxProtocol.ground_truth else Places
    command = repeat_command("localise.py", ["evaluate", *typed])
    return finished(make(config, regressor, boxed), output_folder(config, typed), command)


def finished(test: "GroundTruth | Places", folder: Path, command: str) -> Localisation:
    """The record in `folder` of a test, which is carried out unless it is there."""
    config = test.config
    with exclusive(folder, wait=True):
        if not config.rerun and (there := finished_test(folder, test.identity)):
            return there
        started, clock = datetime.now(UTC), time.perf_counter()
        (folder / LOCALISATION_FILE).unlink(missing_ok=True)
        found = test.carry_out(folder)
        devices = torch_devices(config.trainer)
        record = Localisation(
            name=name_of_test(config, folder),
            **test.identity | {"data": test.boxed.told | {"skipped": told_of(test.boxed.images.left_out)}},
            command=command,
            metrics=metrics_of(found),
            cost={"wall_seconds": round(time.perf_counter() - clock, 2), "devices": len(devices)},
            environment=environment(started, gpu=devices[0].type == "cuda"),
        )
        save_answers(found, folder)
        write_localisation(record, folder)
        shutil.rmtree(folder / SHARDS, ignore_errors=True)
    return record


def find_regressor(config: BoxEvaluateConfig) -> Regressor:
    """The box regressor that `config` names; raises as `load_regressor`."""
    return load_regressor(Path(config.run), config.model, config.data)


def find_boxed(config: BoxEvaluateConfig, regressor: Regressor) -> BoxedImages:
    """The images that a box regressor is tested on.

    Raises:
        UserError: where there are none, and where they are of other classes than the regressor knows.
    """
    images = find_images(config.data, val_only=config.split == TestSplit.val)
    if list(regressor.subject.classes or []) != images.classes:
        raise UserError(
            f"{regressor.subject.name} was trained on other classes than data={config.data.name} has; type the data "
            "set that it was trained on (data=... data.root=...)."
        )
    return read_boxed(images, config.data, config.boxes, config.split)


class GroundTruth:
    """The test of the central crop, and of the box of the right class alone (Table 8)."""

    def __init__(self, config: BoxEvaluateConfig, regressor: Regressor, boxed: BoxedImages) -> None:
        self.config, self.regressor, self.boxed = config, regressor, boxed
        (self.side,) = test_scales(config)
        self.identity: dict[str, Any] = {
            "of": [regressor.subject.of | {"scales": [self.side]}],
            "protocol": str(config.protocol),
            "settings": {"precision": str(config.precision)},
            "labels": {},
            "data": boxed.told,
        }

    def carry_out(self, folder: Path) -> Answers:
        """The box of every image; what is unfinished is kept below `folder`."""
        forward = CentreBoxes(self.side, torch.from_numpy(self.boxed.labels[:, None]), self.config.precision)
        found = computed(self.config, self.regressor.subject, forward, self.boxed, folder / SHARDS / "boxes")
        edges = centre_boxes(found, self.boxed.sizes, self.side)
        mean_boxes = self.regressor.mean_boxes(self.boxed.sizes, self.side)
        return Answers.of(self.boxed, self.boxed.labels[:, None], edges, mean_boxes)


class Places:
    """The test over all places of whole images, at one scale or several (Tables 9 and 10)."""

    def __init__(self, config: BoxEvaluateConfig, regressor: Regressor, boxed: BoxedImages) -> None:
        self.config, self.regressor, self.boxed = config, regressor, boxed
        self.scales = test_scales(config)
        self.classifier = classifier_subject(config, regressor)
        self.guesses = find_guesses(config, self.classifier, boxed)
        self.identity: dict[str, Any] = {
            "of": [regressor.subject.of | {"scales": self.scales, "classifier": self.classifier.of}],
            "protocol": str(config.protocol),
            "settings": {"merging": merging_of(config.merging, config.protocol), "precision": str(config.precision)},
            "labels": self.guesses.told,
            "data": boxed.told,
        }

    def carry_out(self, folder: Path) -> Answers:
        """The boxes of every image's guesses, and of its right class; the candidates are left in `folder`, for fusions,
        and below it what is unfinished."""
        classes = with_right_class(self.guesses, self.boxed)
        parts = [self.candidates(side, torch.from_numpy(classes), folder / SHARDS) for side in self.scales]
        found = joined(parts)
        save_candidates(found, folder)
        mean_boxes = self.regressor.mean_boxes(self.boxed.sizes, self.scales[0])
        return Answers.of(self.boxed, classes, answers(found, self.identity["settings"]["merging"]), mean_boxes)

    def candidates(self, side: int, classes: torch.Tensor, folder: Path) -> list[Candidates]:
        """The candidates of one scale."""
        config, boxed = self.config, self.boxed
        crops = config.protocol == BoxProtocol.crops
        by_boxes = PlacesBoxes(side, classes, config.precision, crops=crops)
        by_scores = PlacesPosteriors(side, classes, config.precision, crops=crops)
        boxes = computed(config, self.regressor.subject, by_boxes, boxed, folder / f"boxes_{side}")
        scores = computed(config, self.classifier, by_scores, boxed, folder / f"scores_{side}")
        return candidates_of(boxes, scores, boxed.sizes, side, classes.shape[1])


def with_right_class(guesses: Guesses, boxed: BoxedImages) -> np.ndarray:
    """The guessed classes of each image, and after them its own: int64 [N, K + 1]."""
    return np.concatenate([guesses.classes, boxed.labels[:, None]], axis=1)


def classifier_subject(config: BoxEvaluateConfig, regressor: Regressor) -> Subject:
    """The classification net that rates boxes, at the same places.

    Raises:
        UserError: for one that has other places, or other classes.
    """
    folder = classifier_of(config)
    record = read_record(folder)
    preprocessing = Preprocessing(record.data["mean"], record.data["std"])
    model = model_of(record.model)
    check_places(model, f"classifier={folder}")
    subject = subject_of_run(folder, model, crop=record.data["crop"], preprocessing=preprocessing)
    if subject.classes != regressor.subject.classes:
        raise UserError(f"classifier={folder} knows other classes than {config.run}; name a net of the same classes.")
    ours, theirs = regressor.subject.net, subject.net
    if (ours.crop, ours.stride) != (theirs.crop, theirs.stride):
        raise UserError(
            f"classifier={folder} sees crops of {theirs.crop} pixels every {theirs.stride}, and the box regressor of "
            f"{ours.crop} every {ours.stride}; name a net of the same data.crop and model.num_pools."
        )
    return subject


def find_guesses(config: BoxEvaluateConfig, classifier: Subject, boxed: BoxedImages) -> Guesses:
    """The guessed classes: by the evaluation that `config` names, or that which ended the classifier's training; none
    of images that it was not tested on."""
    if config.split == TestSplit.held_out:
        return Guesses.none(len(boxed.samples))
    if config.labels is not None:
        return guesses_of(Path(config.labels), boxed)
    return guesses_of(evaluation_folder(classifier.folder, Protocol.of(read_record(classifier.folder).test)), boxed)


def computed(
    config: BoxEvaluateConfig, subject: Subject, forward: OfClasses, boxed: BoxedImages, folder: Path
) -> list[np.ndarray]:
    """What `forward` computes of each image, by a net on the devices that `config` names; what shards below `folder`
    have of the same is not computed again."""
    classes = forward.classes.numpy()
    what = {
        "of": subject.of,
        "images": boxed.told,
        "computed": [type(forward).__name__, forward.side, getattr(forward, "crops", False)],
        "classes": hashlib.sha256(classes.tobytes()).hexdigest(),
        "precision": str(forward.precision),
        "commit": git("rev-parse", "HEAD", root=PROJECT_ROOT),
    }
    task = inference.Task(
        net=subject.net,
        preprocessing=subject.preprocessing,
        forward=forward,
        images=WholeImages(boxed.samples, side=forward.side, decoder=config.data.decoder),
        sizes=boxed.sizes,
        batch_size=config.batch_size,
        shard_size=config.shard_size,
        num_workers=chosen_workers(config.data.num_workers, config.trainer),
        folder=inference.shards_of(folder, what),
    )
    inference.run(task, torch_devices(config.trainer))
    return inference.collect_each(task.folder, len(boxed.samples))
