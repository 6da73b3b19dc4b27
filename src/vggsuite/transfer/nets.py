"""The nets whose features are transferred."""

from dataclasses import replace
from pathlib import Path

import torch

from vggsuite.config import Features, ModelConfig, TransferConfig
from vggsuite.data.preprocessing import Preprocessing
from vggsuite.evaluation.run import Subject
from vggsuite.evaluation.subject import published_subject, subject_of_run
from vggsuite.models.factors import model_of
from vggsuite.models.initialisation import draw_weights
from vggsuite.models.state import digest
from vggsuite.results.record import read_record
from vggsuite.results.run_folder import require_finished
from vggsuite.transfer.settings import FACTORS, source_run

CROP = 224  # of published weights
RANDOM = "kaiming"  # of features=random: made for ReLUs; the paper's std of 0.01 would let a deep net's signal vanish


def find_nets(config: TransferConfig) -> list[Subject]:
    """The nets that `config` names, with their weights.

    Raises:
        UserError: for one that is not there.
    """
    if config.weights is not None:
        models = [ModelConfig(**FACTORS[net]) for net in config.nets] or [config.model]
        found = [published(config, model) for model in models]
    elif config.run is not None:
        found = [of_run(Path(config.run), "run")]
    else:
        making = f"make ablation-table DATA={config.source}"
        found = [of_run(source_run(config, net), "nets", making) for net in config.nets]
    return [redrawn(subject, config.seed) for subject in found] if config.features == Features.random else found


def published(config: TransferConfig, model: ModelConfig) -> Subject:
    """A net with published weights."""
    return published_subject(
        str(config.weights),
        model,
        crop=CROP,
        preprocessing=config.preprocessing,
        runs=Path(config.paths.runs),
        group="weights",
    )


def of_run(folder: Path, setting: str, making: str = "python src/train.py ...") -> Subject:
    """The net of a finished run, which `setting` names and the command `making` makes."""
    require_finished(folder, setting, making)
    record = read_record(folder)
    preprocessing = Preprocessing(record.data["mean"], record.data.get("std"))
    return subject_of_run(folder, model_of(record.model), crop=record.data["crop"], preprocessing=preprocessing)


def redrawn(subject: Subject, seed: int) -> Subject:
    """The same net, its weights drawn anew, batch normalisations as at the start."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        draw_weights(subject.net, RANDOM)
    for layer in subject.net.modules():
        if isinstance(layer, torch.nn.BatchNorm2d | torch.nn.PReLU):
            layer.reset_parameters()
    return replace(subject, of={"random": subject.name, "sha256": digest(subject.net.state_dict())})
