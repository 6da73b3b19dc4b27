"""What the settings of localisation come to, before torch is imported."""

import math
import shlex
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from vggsuite.checks import data_ranges, require_ranges, validate
from vggsuite.composing import to_config
from vggsuite.config import Family, Head, Layers, ModelConfig, Selection
from vggsuite.data.scale import parse_scale, parse_test_scales
from vggsuite.errors import UserError
from vggsuite.evaluation.settings import PLACE, adopt_run, check_forward
from vggsuite.files import file_digest
from vggsuite.localisation.config import (
    BoxEvaluateConfig,
    BoxProtocol,
    BoxTestConfig,
    LocaliserConfig,
    Match,
    MergingConfig,
    TestSplit,
)
from vggsuite.localisation.naming import FREEZE
from vggsuite.results.localisation_records import LOCALISATION_FILE, LOCALISER_FILE, read_localisation, read_localiser
from vggsuite.results.run_folder import CHECKPOINT, require_finished, saved_config

# The largest match score (DIoU) of boxes that are merged: chosen on held-out digits (docs/localisation.md).
THRESHOLDS = {BoxProtocol.dense: 0.9, BoxProtocol.crops: 0.5}
# Settings that tell a test from others of its protocol and scales.
OF_NAME = ("labels=", "classifier=", "merging.", "precision=", "boxes.", "data=", "data.name=", "data.val_fraction=")
OF_TRAINING = ("flip", "colour_std", "held_out", "shuffle_window")  # of data, that a training may change


def settle_training(cfg: DictConfig, typed: Sequence[str]) -> LocaliserConfig:
    """The config of the training of a box regressor, with net and data of the classification run that it begins as.

    Raises:
        UserError: for what does not go together, and where that run has not finished.
    """
    if cfg.init.run is None:
        raise UserError(
            "from= is missing, the finished classification run that a box regressor begins as; type from=<its folder>, "
            "or experiment=table8/pcr_all."
        )
    parent = Path(cfg.init.run)
    require_finished(parent, "from", command_for(cfg, parent))
    composed = cfg.data.layout
    adopt_run(cfg, typed, parent, (*PLACE, *OF_TRAINING))
    if cfg.data.layout != composed:
        raise UserError(
            f"from={parent} was trained on {cfg.data.name}, whose recipe is not that of data={composed}; type "
            f"data={cfg.data.layout}."
        )
    trained = cfg.data.scale
    if cfg.scale is not None:
        cfg.data.scale = cfg.scale
    config = to_config(cfg, LocaliserConfig)
    low, high = parse_scale(trained, config.data.crop)
    ours = parse_scale(config.data.scale, config.data.crop)
    if not low <= ours.low <= ours.high <= high:
        raise UserError(
            f"scale={config.data.scale} is S = {scale_words(ours)}, and {parent} was trained at S = "
            f"{scale_words((low, high))}; leave scale out, or name a run of the same S (from=...)."
        )
    check_training(config)
    return config


def command_for(cfg: DictConfig, parent: Path) -> str:
    """What makes the run of a table that a box regressor begins as."""
    table = parent.parent.parent.name
    if table != "table3":
        return "python src/train.py ..."
    return f"python src/train.py experiment={table}/{parent.parent.name} data={cfg.data.name} seed={cfg.seed}"


def scale_words(scale: Sequence[int]) -> str:
    low, high = scale
    return str(low) if low == high else f"{low} to {high}"


def check_training(config: LocaliserConfig) -> None:
    """Check ranges and what goes together, as `validate`.

    Raises:
        UserError: naming the value, what is allowed, and the override to type.
    """
    validate(config)
    check_places(config.model, f"the run of from={config.init.run}")
    if config.test.training_error:
        raise UserError("test.training_error=true is for classification (train.py); leave it out.")
    if config.init.layers != Layers.all_but_last:
        raise UserError(
            f"init.layers={config.init.layers} would leave the last layer out, or copy it, which regresses boxes; "
            "allowed: init.layers=all_but_last."
        )
    if config.recipe.freeze != FREEZE[config.finetune]:
        raise UserError(
            f"recipe.freeze={config.recipe.freeze} is what finetune={config.finetune} says already; type finetune=all "
            "or finetune=fc."
        )


def check_places(model: ModelConfig, what: str) -> None:
    """Check that each place of a net's score map is a crop of the image, as boxes need it: of FC layers, on maps whose
    sides are whole shares of the image's.

    Raises:
        UserError: where it is not, of the net of `what`.
    """
    if model.family != Family.vgg or model.head != Head.fc:
        raise UserError(
            f"model.family={model.family} model.head={model.head} have no crop behind each place of their map, whose "
            f"box {what} could tell; allowed: model.family=vgg model.head=fc."
        )


def settle_evaluation(cfg: DictConfig, typed: Sequence[str], kind: type[BoxEvaluateConfig]) -> BoxEvaluateConfig:
    """The config of a test, with net and data of the box regressor's run.

    Raises:
        UserError: for what does not go together, and where the run has not finished.
    """
    if OmegaConf.is_missing(cfg, "run"):
        raise UserError("run= is missing, the folder of a trained box regressor; type run=<folder>.")
    folder = Path(cfg.run)
    require_finished(folder, "run", "python src/localise.py train ...", record_file=LOCALISER_FILE)
    adopt_run(cfg, typed, folder)
    adopt_boxes(cfg, typed, folder)
    config = to_config(cfg, kind)
    check_test(config)
    check_forward(config.trainer, config.precision)
    require_ranges(
        config,
        [
            *data_ranges(config.data),
            ("batch_size", "1 or more", config.batch_size >= 1),
            ("shard_size", "1 or more", config.shard_size >= 1),
        ],
    )
    if config.protocol == BoxProtocol.ground_truth:
        refuse_idle(typed, "labels=", "classifier=", "merging.", state="protocol=ground_truth")
    if config.split == TestSplit.held_out:
        refuse_idle(typed, "labels=", state="split=held_out")
        refuse_trained_on(folder)
    return config


def adopt_boxes(cfg: DictConfig, typed: Sequence[str], folder: Path) -> None:
    """Put into `cfg` where the run in `folder` had its boxes from, and what it did with faulty ones, unless that was
    typed."""
    saved = saved_config(folder)
    for name in ("root", "faulty"):
        if not any(word.lstrip("+~").startswith(f"boxes.{name}=") for word in typed):
            OmegaConf.update(cfg, f"boxes.{name}", OmegaConf.select(saved, f"boxes.{name}"))


def refuse_trained_on(folder: Path) -> None:
    """Refuse to test a run on a held-out slice that it did not hold out."""
    if read_localiser(folder).selection["by"] == Selection.paper:
        raise UserError(
            f"split=held_out is of images that {folder} was trained on, as recipe.selection=paper has it; test it on "
            "split=val."
        )


def refuse_idle(typed: Sequence[str], *names: str, state: str) -> None:
    """Refuse what was typed and changes nothing in this state."""
    for word in typed:
        if word.lstrip("+~").startswith(names):
            raise UserError(f"{word} changes nothing with {state}; leave one of them out.")


def check_test(config: BoxTestConfig) -> None:
    """Check the settings that all tests share."""
    threshold = config.merging.threshold
    fine = threshold is None or 0 <= threshold < math.inf
    require_ranges(config, [("merging.threshold", "a number from 0 on, or null", fine)])
    if threshold is None and config.merging.match != Match.diou:
        raise UserError(
            f"merging.match={config.merging.match} has no usual threshold; type merging.threshold=<the largest match "
            "score of boxes that are merged> too."
        )
    if config.output == "":
        raise UserError("output= is empty; type output=<a path>, or leave it out.")


def test_scales(config: BoxEvaluateConfig) -> list[int]:
    """Every Q that `config` asks for; "two" is S - 32 and S for a crop of 224, as in Table 9.

    Raises:
        UserError: for scales that the net cannot be tested at, or several of one crop.
    """
    crop = config.data.crop
    train = parse_scale(config.data.scale, crop)
    if config.scales == "two" and train.low < train.high:
        raise UserError(
            f"scales=two is S - 32 and S of a fixed S, and this net was trained at S from {train.low} to {train.high}; "
            "type scales=single, multi, or pixels."
        )
    asked = train.several(crop)[:2] if config.scales == "two" else config.scales
    scales = parse_test_scales(asked, train, crop)
    if config.protocol == BoxProtocol.ground_truth and len(scales) > 1:
        raise UserError(
            f"scales={config.scales} is several, and protocol=ground_truth has one crop; type scales=single, or one "
            "number."
        )
    return scales


def merging_of(config: MergingConfig, protocol: BoxProtocol) -> dict[str, Any]:
    """How boxes are merged, in the words of `vggsuite.localisation.merging.merge`, which are also a record's."""
    threshold = THRESHOLDS.get(protocol) if config.threshold is None else config.threshold
    return {"threshold": threshold, "match": str(config.match), "averaging": str(config.averaging)}


def name_of_test(config: BoxTestConfig, folder: Path) -> str:
    """A test's folder as it lies below the runs, or its own name where it lies elsewhere."""
    runs, place = Path(config.paths.runs).resolve(), folder.resolve()
    return place.relative_to(runs).as_posix() if place.is_relative_to(runs) else place.name


def output_folder(config: BoxEvaluateConfig, typed: Sequence[str]) -> Path:
    """Where the test is left: `config.output`, or a folder in the run's own that is named by what it is.

    Raises:
        UserError: for an output that holds something else.
    """
    if config.output is None:
        told = sorted(word for word in typed if word.lstrip("+~").startswith(OF_NAME))
        digest = f"-{sha256(shlex.join(told).encode()).hexdigest()[:8]}" if told else ""
        words = [config.protocol, *map(str, test_scales(config)), *(["held_out"] if config.split != "val" else [])]
        return Path(config.run) / "localisations" / f"{'-'.join(words)}{digest}"
    return free_output(config, config.output, config.protocol, [test_scales(config)], config.split)


def free_output(
    config: BoxTestConfig,
    output: str,
    protocol: BoxProtocol,
    scales: Sequence[Sequence[int]],
    split: TestSplit,
) -> Path:
    """The folder of a test that is named by hand.

    Raises:
        UserError: for one that holds something else than this test.
    """
    folder = Path(output)
    if not (folder / LOCALISATION_FILE).is_file():
        if folder.is_dir() and any(folder.glob("*.json")):
            raise UserError(f"output={folder} holds something else than a test of boxes; name another.")
        return folder
    there = read_localisation(folder)
    asked = [str(protocol), str(split), list(map(list, scales)), merging_of(config.merging, protocol)]
    found = [
        there.protocol,
        there.data["split"],
        [weights["scales"] for weights in there.of],
        there.settings.get("merging", asked[-1]),
    ]
    if found != asked and not config.rerun:
        raise UserError(
            f"output={folder} holds a test by other settings ({there.command}), which this one would replace; name "
            "another, or type rerun=true."
        )
    return folder


def classifier_of(config: BoxEvaluateConfig) -> Path:
    """The folder of the classification run that rates boxes: the one named, or that which the regressor began as.

    Raises:
        UserError: where it has not finished, or is another than it was.
    """
    if config.classifier is not None:
        folder = Path(config.classifier)
        require_finished(folder, "classifier")
        return folder
    record = read_localiser(Path(config.run))
    folder = Path(str(OmegaConf.select(saved_config(Path(config.run)), "init.run")))
    if not folder.is_dir():
        folder = Path(config.paths.runs) / record.init["run"]
    require_finished(folder, "classifier")
    if file_digest(folder / CHECKPOINT) != record.init["sha256"]:
        raise UserError(
            f"{folder} was repeated since {config.run} began as it; repeat that too (rerun=true), or type "
            f"classifier={folder} to have it rate boxes as it is now."
        )
    return folder
