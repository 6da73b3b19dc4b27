"""Fine-tuning: a net trained on with a new last layer, one training run for each split."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from vggsuite import cli
from vggsuite.checks import validate
from vggsuite.config import TrainConfig, TransferConfig, compose_command, to_config
from vggsuite.data.labelled import LabelledImages
from vggsuite.errors import UserError
from vggsuite.evaluation.run import Subject
from vggsuite.naming import literal
from vggsuite.protocol import Protocol
from vggsuite.results.predictions import load_posteriors
from vggsuite.results.record import evaluation_folder, read_record
from vggsuite.results.run_folder import leaves
from vggsuite.training.interrupting import interruptible
from vggsuite.training.run import train
from vggsuite.transfer.nets import table1_name
from vggsuite.transfer.scoring import Outcome, outcome_of
from vggsuite.transfer.settings import FACTORS

PASSED_ON = ("data.expected.", "trainer.", "logger.")  # words as they were typed
NET_FILES = {name.upper().replace("_", "-"): name for name in FACTORS}  # below conf/model/, by the name in Table 1
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
    "splits",
)


def fine_tune(
    config: TransferConfig,
    subject: Subject,
    images: LabelledImages,
    *,
    typed: Sequence[str],
    choices: Mapping[str, str],
) -> list[Outcome]:
    """Train a net on each split, and test it densely at the one scale that goes with S. Each training is a run of its
    own, as train.py makes it: what was interrupted goes on, what is finished stays.

    Args:
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
            train(training, folder, multirun=True)
        run = read_record(folder)
        found = load_posteriors(evaluation_folder(folder, Protocol.of(run.test)))
        chosen = {"run": run.name, **run.selection, "epochs": run.cost["epochs"]}
        outcomes.append(outcome_of(config.metric, images, split, found, **chosen))
    return outcomes


def training_words(
    config: TransferConfig, subject: Subject, *, typed: Sequence[str], choices: Mapping[str, str]
) -> list[str]:
    """The command line of train.py that trains the net on, but for the split."""
    pixels = subject.preprocessing
    std = pixels.std.flatten().tolist() if pixels.divides else None
    data = {key: value for key, value in leaves(asdict(config.data)).items() if key.split(".")[0] in OF_IMAGES}
    data |= {"crop": subject.net.crop, "mean": pixels.mean.flatten().tolist(), "std": std}
    settings = {
        **{f"model.{name}": value for name, value in subject.factors.items()},
        **{f"data.{name}": value for name, value in data.items()},
        **{f"recipe.{name}": value for name, value in asdict(config.recipe).items() if name != "fine_tune"},
        **{f"paths.{name}": value for name, value in vars(config.paths).items()},
        "seed": config.seed,
        "save_minutes": config.save_minutes,
        "rerun": config.rerun,
    }
    return [
        f"model=vgg_{NET_FILES.get(table1_name(subject), 'a')}",
        *(f"{group}={choices[group]}" for group in ("data", "recipe", "trainer", "logger")),
        *(word for word in typed if word.lstrip("+~").startswith(PASSED_ON)),
        *(f"{name}={literal(value)}" for name, value in settings.items()),
        *origin(config, subject),
    ]


def origin(config: TransferConfig, subject: Subject) -> list[str]:
    """The words that say where the net comes from."""
    if "run" in subject.of:
        return ["init=finished_run", "init.layers=all_but_last", f"init.run={literal(str(subject.folder))}"]
    asked = [f"init.preprocessing={config.preprocessing}"] if config.preprocessing else []
    return ["init=weights", f"init.weights={literal(config.weights)}", *asked]
