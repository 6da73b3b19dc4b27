"""What has to be run for Tables 8, 9 and 10: trainings of box regressors, their tests, and fusions of these."""

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from vggsuite.composing import to_config
from vggsuite.files import file_digest
from vggsuite.localisation.config import BoxEvaluateConfig, BoxFuseConfig, BoxProtocol
from vggsuite.localisation.settings import classifier_of, merging_of, output_folder, settle_evaluation, settle_training
from vggsuite.results import run_folder
from vggsuite.results.localisation_points import TESTED, TRAINED
from vggsuite.results.localisation_records import BOXES_FILE, LOCALISATION_FILE, LOCALISER_FILE, read_localisation
from vggsuite.results.record import EVALUATION_FILE, RECORD_FILE, as_member, read_evaluation

Key = tuple[str, ...]


def experiments_of(number: int) -> dict[str, str]:
    """The experiments of Table 8, 9 or 10 with the commands of localise.py that make them, each after those that it
    needs."""
    trained = dict.fromkeys(TRAINED if number == 8 else TRAINED[2:], "train")
    if number == 8:
        return trained
    return trained | {name: "fuse" if name.startswith("table9/fusion") else "evaluate" for name in TESTED}


def made_and_needed(command: str, cfg: DictConfig, folder: str) -> tuple[Key, set[Key]]:
    """What a command of localise.py makes, and what it needs: a box regressor its classification run, a test its
    regressor and the labels, a fusion the tests."""
    match command:
        case "train":
            return (folder,), {(str(cfg.init.run),)}
        case "evaluate":
            return (str(cfg.output),), {(str(cfg.run),), (str(cfg.labels),)}
    return (str(cfg.output),), {(str(member),) for member in cfg.members}


def is_finished(words: Sequence[str], cfg: DictConfig, makes: Path) -> bool:
    """Whether the record of a command of localise.py is there, of what it needs as that is now.

    Raises:
        UserError: where a run of other settings is in its place.
    """
    match words[0]:
        case "train":
            return is_trained(words, cfg, makes)
        case "evaluate":
            return is_tested(words, cfg, makes)
    folders = [makes, *map(Path, cfg.members)]
    if not all(has_test(folder) for folder in folders):
        return False
    fusion, *members = (read_localisation(folder) for folder in folders)
    merging = merging_of(to_config(cfg, BoxFuseConfig).merging, BoxProtocol(fusion.protocol))
    as_now = all((member.labels, member.data) == (fusion.labels, fusion.data) for member in members)
    of = [weights for member in members for weights in member.of]
    return as_now and fusion.of == of and fusion.settings["merging"] == merging


def is_trained(words: Sequence[str], cfg: DictConfig, folder: Path) -> bool:
    if not (Path(cfg.init.run) / RECORD_FILE).is_file():
        return False
    return run_folder.is_finished(settle_training(cfg.copy(), words[1:]), folder, LOCALISER_FILE)


def is_tested(words: Sequence[str], cfg: DictConfig, folder: Path) -> bool:
    labels, run = Path(cfg.labels), Path(cfg.run)
    made = (labels / EVALUATION_FILE).is_file() and (run / LOCALISER_FILE).is_file()
    if not (has_test(folder) and made):
        return False
    config = settle_evaluation(cfg.copy(), words[1:], BoxEvaluateConfig)
    output_folder(config, words[1:])  # refuses one by other settings
    test = read_localisation(folder)
    (of,) = test.of
    weights = (of["sha256"], of["classifier"]["sha256"])
    now = tuple(file_digest(place / run_folder.CHECKPOINT) for place in (run, classifier_of(config)))
    return weights == now and as_member(read_evaluation(labels)).items() <= test.labels.items()


def has_test(folder: Path) -> bool:
    return all((folder / file).is_file() for file in (LOCALISATION_FILE, BOXES_FILE))
