"""Fine-tuning: a net trained on with a new last layer, one training run for each split."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import yaml
from tqdm import tqdm

from vggsuite import cli
from vggsuite.checks import validate
from vggsuite.composing import compose_command, to_config
from vggsuite.config import PROJECT_ROOT, ModelConfig, Resume, TrainConfig, TransferConfig
from vggsuite.data.labelled import LabelledImages
from vggsuite.errors import UserError
from vggsuite.evaluation.run import Subject
from vggsuite.files import write_atomically
from vggsuite.models.factors import model_of
from vggsuite.naming import literal
from vggsuite.protocol import Protocol
from vggsuite.results.predictions import load_posteriors
from vggsuite.results.record import RECORD_FILE, evaluation_folder, read_record
from vggsuite.results.run_folder import leaves
from vggsuite.training.interrupting import interruptible
from vggsuite.training.resuming import saved_state
from vggsuite.training.run import train
from vggsuite.transfer.scoring import Outcome, outcome_of

MODELS = PROJECT_ROOT / "conf/model"
NAMING = ("family", "depth", "shortcuts", "lrn", "conv1x1", "kernel")  # factors that name a net, the first ones first
IDENTITY_FILE = "transfer_identity.json"  # in a training's folder, once it has finished
PASSED_ON = ("data.expected.", "trainer.", "logger.")  # words as they were typed
# Settings of `data` that are not the source net's.
OF_IMAGES = (
    "name",
    "root",
    "scale",
    "flip",
    "colour_std",
    "held_out",
    "val_fraction",
    "decoder",
    "num_workers",
    "skip",
    "splits",
)


def fine_tune(
    config: TransferConfig,
    subject: Subject,
    images: LabelledImages,
    *,
    identity: str,
    typed: Sequence[str],
    choices: Mapping[str, str],
) -> list[Outcome]:
    """Train a net on each split, and test it densely at the one scale that goes with S. Each training is a run of its
    own, as train.py makes it: what was interrupted goes on, what is finished stays.

    Args:
        identity: of weights, images and settings; a finished run of others is repeated.
        typed: the command line.
        choices: of the config groups.
    """
    if config.trainer["devices"] > 1:
        raise UserError(
            f"trainer.devices={config.trainer['devices']} is too many for mode=finetune, which trains one split after "
            "the other in one process; allowed: trainer.devices=1."
        )
    words = training_words(config, subject, typed=typed, choices=choices)
    outcomes = []
    for number, split in enumerate(tqdm(images.splits, desc="fine-tuning", unit="split", disable=None)):
        with cli.composing():
            cfg, place = compose_command("train", [*words, f"data.splits.chosen={number}"])
        training, folder = to_config(cfg, TrainConfig), Path(place)
        validate(training)
        with interruptible():
            train(afresh_if_outdated(training, folder, subject, identity), folder, multirun=True)
        write_atomically(folder / IDENTITY_FILE, identity)
        run = read_record(folder)
        found = load_posteriors(evaluation_folder(folder, Protocol.of(run.test)))
        chosen = {"run": run.name, **run.selection, "epochs": run.cost["epochs"]}
        outcomes.append(outcome_of(config.metric, images, split, found, **chosen))
    return outcomes


def afresh_if_outdated(training: TrainConfig, folder: Path, subject: Subject, identity: str) -> TrainConfig:
    """The config of a training, told to begin afresh where what lies in its folder is of other weights or images."""
    if (folder / RECORD_FILE).is_file():
        file = folder / IDENTITY_FILE
        current = file.is_file() and file.read_text() == identity
        return training if current else replace(training, rerun=True)
    state = saved_state(training, folder)
    same = state is None or state.history.origin.get("sha256") == subject.of["sha256"]
    return training if same else replace(training, resume=Resume.never)


def training_words(
    config: TransferConfig, subject: Subject, *, typed: Sequence[str], choices: Mapping[str, str]
) -> list[str]:
    """The command line of train.py that trains the net on, but for the split."""
    pixels = subject.preprocessing
    std = pixels.std.flatten().tolist() if pixels.divides else None
    data = {key: value for key, value in leaves(asdict(config.data)).items() if key.split(".")[0] in OF_IMAGES}
    if config.data.skip is None:
        del data["skip"]  # which would be part of a run's name
    data |= {"crop": subject.net.crop, "mean": pixels.mean.flatten().tolist(), "std": std}
    settings = {
        **{f"model.{name}": value for name, value in asdict(subject.model).items()},
        **{f"data.{name}": value for name, value in data.items()},
        **{f"recipe.{name}": value for name, value in asdict(config.recipe).items() if name != "fine_tune"},
        **{f"paths.{name}": value for name, value in vars(config.paths).items()},
        "seed": config.seed,
        "save_minutes": config.save_minutes,
        "rerun": config.rerun,
    }
    return [
        f"model={named_alike(subject.model)}",  # and every factor is typed below
        *(f"{group}={choices[group]}" for group in ("data", "recipe", "trainer", "logger")),
        *(word for word in typed if word.lstrip("+~").startswith(PASSED_ON)),
        *(f"{name}={literal(value)}" for name, value in settings.items()),
        *origin(config, subject),
    ]


def named_alike(model: ModelConfig) -> str:
    """The file of conf/model/ whose net is the most alike, and which names the training."""
    files = {file.stem: model_of(yaml.safe_load(file.read_text())) for file in sorted(MODELS.glob("*.yaml"))}

    def number_alike(name: str) -> int:
        same = [getattr(files[name], factor) == getattr(model, factor) for factor in NAMING]
        return sum(2**place * alike for place, alike in enumerate(reversed(same)))

    return max(files, key=number_alike)


def origin(config: TransferConfig, subject: Subject) -> list[str]:
    """The words that say where the net comes from."""
    if "run" in subject.of:
        return ["init=finished_run", "init.layers=all_but_last", f"init.run={literal(str(subject.folder))}"]
    asked = [f"init.preprocessing={config.preprocessing}"] if config.preprocessing else []
    return ["init=weights", f"init.weights={literal(config.weights)}", *asked]
