"""From the settings of an evaluation to the net and the images."""

from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch

from vggsuite.config import EvaluateConfig, ModelConfig
from vggsuite.data.find import find_images
from vggsuite.data.layouts import ImageSet
from vggsuite.data.preprocessing import Preprocessing
from vggsuite.devices import check_devices, chosen_workers, torch_devices
from vggsuite.errors import UserError
from vggsuite.evaluation.run import Evaluator, Subject
from vggsuite.files import read_lines
from vggsuite.finished_run import load_checkpoint
from vggsuite.models.build import build_net, net_for
from vggsuite.models.factors import arguments_of
from vggsuite.models.state import fill
from vggsuite.models.weights import load_weights
from vggsuite.naming import slug
from vggsuite.results.record import read_record
from vggsuite.results.run_folder import CHECKPOINT, CLASSES_FILE, weights_of


def make_subject(config: EvaluateConfig) -> Subject:
    """The net that `config` names, with its weights.

    Raises:
        UserError: where there are none, or they are of another net.
    """
    crop = config.data.crop
    if config.run:
        preprocessing = Preprocessing(config.data.mean, config.data.std)
        return subject_of_run(Path(config.run), config.model, crop=crop, preprocessing=preprocessing)
    source = str(config.weights)
    return published_subject(
        source,
        config.model,
        crop=crop,
        preprocessing=config.preprocessing,
        runs=Path(config.paths.runs),
        group=f"{config.data.name}/weights",
    )


def subject_of_run(folder: Path, model: ModelConfig, *, crop: int, preprocessing: Preprocessing) -> Subject:
    """The net of a finished run.

    Args:
        folder: of the run.
        model: the net's factors.
        crop: its side.
        preprocessing: of its pixels.
    """
    record, state = read_record(folder), load_checkpoint(folder).weights
    net = net_for(state, model, crop)
    fill(
        net,
        state,
        str(folder / CHECKPOINT),
        remedy="the run's config.yaml or its checkpoint was changed; repeat the run",
    )
    return Subject(
        name=record.name,
        folder=folder,
        net=net,
        preprocessing=preprocessing,
        of=weights_of(record.name, folder, record.environment["started"]),
        classes=read_lines(folder / CLASSES_FILE, "repeat the run with rerun=true"),
        model=model,
    )


def published_subject(
    source: str, model: ModelConfig, *, crop: int, preprocessing: str | None, runs: Path, group: str
) -> Subject:
    """A net with published weights.

    Args:
        source: a file, or torchvision's name.
        model: the net's factors.
        crop: its side.
        preprocessing: of its pixels, None for what is known of it.
        runs, group: `runs`/`group`/<the weights' name> is the folder of what is found of it.
    """
    with torch.device("meta"):
        outline = build_net(model, crop=crop)
    weights = load_weights(source, outline, preprocessing)
    net = net_for(weights.state, model, crop)
    fill(net, weights.state, f"weights={source}")
    name = f"{group}/{slug(weights.name)}"
    return Subject(
        name=name,
        folder=runs / name,
        net=net,
        preprocessing=Preprocessing(**weights.preprocessing),
        of={
            "weights": weights.name,
            "sha256": weights.sha256(),
            "preprocessing": text(weights.preprocessing),
            "net": text({"family": model.family} | arguments_of(model) | {"crop": crop}),
        },
        classes=weights.classes,
        published=weights.figures,
        model=model,
    )


def text(settings: dict[str, Any]) -> str:
    """Settings in one line."""
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def make_evaluator(config: EvaluateConfig, command: str) -> Evaluator:
    """What evaluates the net of `config` on its images.

    Raises:
        UserError: for what the machine has not, and where the net's classes are not those of the images.
    """
    check_devices(config.trainer)
    images = find_images(config.data, val_only=True)
    subject = make_subject(config)
    check_classes(subject, images, config.data.name)
    home = subject.name.partition("/")[0]
    if config.run and config.data.name == home:
        check_images(images, Path(config.run))
    return Evaluator(
        subject,
        images,
        data_name=config.data.name,
        command=command,
        devices=torch_devices(config.trainer),
        batch_size=config.batch_size,
        shard_size=config.shard_size,
        num_workers=chosen_workers(config.data.num_workers, config.trainer),
        decoder=config.data.decoder,
        suffix="" if config.data.name == home else f"@{config.data.name}",
        rerun=config.rerun,
    )


def check_images(images: ImageSet, run: Path) -> None:
    """Make sure that images under the name of a run's data set are those that the run was tested on.

    Raises:
        UserError: where they are others.
    """
    record = read_record(run)
    if images.fingerprint() != record.data["fingerprint"]:
        raise UserError(
            f"{images.root} holds other validation images than those that {record.name} was tested on, though of the "
            "same name; type data.name=<another name> to keep the two apart."
        )


def check_classes(subject: Subject, images: ImageSet, data: str) -> None:
    """Make sure that the net's outputs are the classes of the images.

    Raises:
        UserError: where their numbers differ, or, in a run of ours, a class is another.
    """
    ours = subject.num_classes
    if ours != len(images.classes):
        raise UserError(
            f"{subject.name} tells {ours} classes apart and data={data} has {len(images.classes)}; type the data set "
            "that it was trained on (data=... data.root=...)."
        )
    if "run" not in subject.of:
        return
    pairs = zip_longest(subject.classes or [], images.classes)
    odd = next(((index, *names) for index, names in enumerate(pairs) if names[0] != names[1]), None)
    if odd:
        raise UserError(
            f"class {odd[0]} is {odd[1]} in {subject.name} and {odd[2]} in data={data}; type the data set that it was "
            "trained on (data=... data.root=...)."
        )
