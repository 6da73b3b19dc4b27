"""What has to be run for Tables 8, 9 and 10: trainings of box regressors, their tests, and fusions of these."""

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from vggsuite.files import file_digest
from vggsuite.localisation.settings import settle_training
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


def is_finished(words: Sequence[str], cfg: DictConfig) -> bool:
    """Whether the record of a command of localise.py is there, of what it needs as that is now.

    Raises:
        UserError: where a run of other settings is in its place.
    """
    match words[0]:
        case "train":
            return is_trained(words, cfg)
        case "evaluate":
            return is_tested(cfg)
    folders = [Path(cfg.output), *map(Path, cfg.members)]
    if not all(has_test(folder) for folder in folders):
        return False
    fusion, *members = (read_localisation(folder) for folder in folders)
    same_labels = all(member.labels == fusion.labels for member in members)
    return same_labels and fusion.of == [weights for member in members for weights in member.of]


def is_trained(words: Sequence[str], cfg: DictConfig) -> bool:
    if not (Path(cfg.init.run) / RECORD_FILE).is_file():
        return False
    cfg = cfg.copy()
    folder = Path(cfg.paths.runs, cfg.data.name, f"{cfg.experiment}{cfg.variant}", f"seed_{cfg.seed}")
    return run_folder.is_finished(settle_training(cfg, words[1:]), folder, LOCALISER_FILE)


def is_tested(cfg: DictConfig) -> bool:
    folder, labels, run = Path(cfg.output), Path(cfg.labels), Path(cfg.run)
    checkpoint = run / run_folder.CHECKPOINT
    if not (has_test(folder) and (labels / EVALUATION_FILE).is_file() and checkpoint.is_file()):
        return False
    test = read_localisation(folder)
    told = as_member(read_evaluation(labels))
    return test.of[0]["sha256"] == file_digest(checkpoint) and told.items() <= test.labels.items()


def has_test(folder: Path) -> bool:
    return all((folder / file).is_file() for file in (LOCALISATION_FILE, BOXES_FILE))
