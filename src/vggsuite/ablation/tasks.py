"""What has to be run for the paper's tables: trainings, evaluations and fusions, and what each of them needs."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from vggsuite import cli
from vggsuite.ablation import localising
from vggsuite.checks import validate
from vggsuite.composing import compose_command, to_config
from vggsuite.config import AblationConfig, EvaluateConfig, FuseConfig, Layers, TrainConfig, TransferConfig
from vggsuite.errors import UserError
from vggsuite.evaluation.members import find_members, finished_fusion, fusion_folder
from vggsuite.evaluation.settings import finished, protocol_of, settle
from vggsuite.files import file_digest
from vggsuite.naming import quoted
from vggsuite.protocol import Method
from vggsuite.results.experiments import DEGRADATION, FAMILY, experiments_of
from vggsuite.results.localisation_points import TITLES as LOCALISATIONS
from vggsuite.results.printing import Table
from vggsuite.results.record import RECORD_FILE, SCORES_FILE, TRANSFER_FILE, read_transfer
from vggsuite.results.run_folder import CHECKPOINT, is_finished
from vggsuite.results.tables import OF_TABLE_7
from vggsuite.results.transfer_points import TITLES as TRANSFERS
from vggsuite.results.transfer_points import Point, points_of, words_of
from vggsuite.transfer.settings import check, source_run

# The command that runs each group of experiments (`experiments_of`), in the order in which they are run.
SCRIPTS: dict[Table, str] = {
    3: "train.py",
    4: "evaluate.py",
    5: "evaluate.py",
    6: "fuse.py",
    FAMILY: "train.py",
    7: "evaluate.py",
    DEGRADATION: "train.py",
}
BUILT_ON: dict[Table, tuple[Table, ...]] = {
    3: (3,),
    4: (3, 4),
    5: (3, 5),
    6: (3, 4, 5, 6),
    7: (3, 4, 5, 6, FAMILY, 7),
    11: (3,),
    12: (3,),
    **dict.fromkeys(LOCALISATIONS, (3, 4, 5, 6)),
    DEGRADATION: (DEGRADATION,),
}
SET_HERE = ("paths.", "data=", "seed=", "experiment=")
PASSED_ON = ("trainer=", "trainer.accelerator=", "trainer.devices=")  # from a training to its evaluations

Key = tuple[str, ...]  # what a task makes: the folder of a run or of a fusion, or a run, protocol and scales


@dataclass(frozen=True)
class Task:
    """One command of the suite.

    Attributes:
        script: the entry point.
        experiment: what it is for.
        seed: of the run.
        words: its command line.
        cfg: its config, resolved.
        makes: see `Key`.
        needs: what other tasks make.
    """

    script: str
    experiment: str
    seed: int
    words: Sequence[str]
    cfg: DictConfig
    makes: Key
    needs: frozenset[Key]

    @property
    def name(self) -> str:
        return f"{self.experiment} seed {self.seed}"

    def is_finished(self) -> bool:
        """Whether its record is there, of these settings.

        Raises:
            UserError: where a run of other settings is in its place.
        """
        match self.script:
            case "train.py":
                return is_finished(to_config(self.cfg, TrainConfig), Path(self.makes[0]))
            case "evaluate.py":
                return is_evaluated(self.cfg, self.words)
            case "localise.py":
                return localising.is_finished(self.words, self.cfg, Path(self.makes[0]))
            case "transfer.py":
                return is_transferred(Path(self.makes[0]), Path(self.cfg.paths.runs))
            case _:
                return is_fused(to_config(self.cfg, FuseConfig))


def tasks_of(tables: Iterable[Table], config: AblationConfig, *, data: str, typed: Sequence[str]) -> list[Task]:
    """What these tables show, and all that it takes, in the paper's order.

    Args:
        tables: their numbers, or names.
        config: of the ablation.
        data: the data set, a file below conf/data/.
        typed: the ablation's command line, of which `paths` hold for all tasks.

    Raises:
        UserError: for what the commands of the tasks refuse.
    """
    overrides = shlex.split(config.overrides)
    check_words(config, overrides, typed)
    paths = [word for word in typed if word.startswith("paths.")]
    tables = list(tables)
    shown = {experiment for table in tables for experiment in shown_in(table)}
    tasks: dict[Key, Task] = {}
    asked: list[Key] = []
    needed = {group for table in tables for group in BUILT_ON[table]}
    for group in (group for group in SCRIPTS if group in needed):
        for seed, experiment in product(seeds_of(config.seeds), experiments_of(group)):
            words = [f"experiment={experiment}", f"data={data}", f"seed={seed}", *paths]
            task = make_task(SCRIPTS[group], experiment, seed, words, overrides)
            tasks.setdefault(task.makes, task)  # Tables 4 and 5 share two evaluations
            if experiment in shown:
                asked.append(task.makes)
    for number, seed in product(sorted(LOCALISATIONS.keys() & set(tables)), seeds_of(config.seeds)):
        for experiment, command in localising.experiments_of(number).items():
            words = [command, f"experiment={experiment}", f"data={data}", f"seed={seed}", *paths]
            task = make_task("localise.py", experiment, seed, words, overrides)
            tasks.setdefault(task.makes, task)
            asked.append(task.makes)
    for number in sorted(TRANSFERS.keys() & set(tables)):
        for seed, point in product(seeds_of(config.seeds), points_of(number, data, config.transfer_to)):
            task = transfer_task(point, data, seed, paths, overrides)
            tasks[task.makes] = task
            asked.append(task.makes)
    wanted = with_needs(asked, tasks)
    return [task for key, task in tasks.items() if key in wanted]


def check_words(config: AblationConfig, overrides: Sequence[str], typed: Sequence[str]) -> None:
    """Refuse what has its place elsewhere, and what is out of range.

    Raises:
        UserError: naming the word, and what to type.
    """
    for word in overrides:
        if word.startswith(SET_HERE):
            raise UserError(
                f"overrides has {word}, which is set for all tasks; type paths.<which>=, data=, seeds= or tables= "
                "beside overrides instead."
            )
    for word in typed:
        if word.startswith("data."):
            raise UserError(f"{word} is a setting of train.py; type overrides='{word}'.")
    speed = config.multiply_adds_per_second
    if speed is not None and speed <= 0:
        raise UserError(f"multiply_adds_per_second={speed} is no speed; allowed: a number above 0 (1e14), or null.")


def seeds_of(asked: Any) -> list[int]:
    """The seeds that `seeds` means: so many from 0, or those that it lists.

    Raises:
        UserError: for what is neither.
    """
    listed = list(asked) if isinstance(asked, list) else [asked]
    if all(type(seed) is int and seed >= 0 for seed in listed) and listed and asked != 0:
        return listed if isinstance(asked, list) else list(range(asked))
    raise UserError(
        f"seeds={asked} is no number of seeds; allowed: 1 or more (3: seeds 0, 1, 2), or a list (seeds=[0,4])."
    )


def with_needs(asked: Iterable[Key], tasks: Mapping[Key, Task]) -> set[Key]:
    """The keys of the tasks that are asked for, and of all that these need."""
    wanted: set[Key] = set()
    left = list(asked)
    while left:
        key = left.pop()
        if key not in wanted:
            wanted.add(key)
            left += tasks[key].needs & tasks.keys()
    return wanted


def shown_in(table: Table) -> set[str]:
    """The experiments that a table shows, transfers and localisation aside."""
    if table in TRANSFERS or table in LOCALISATIONS:
        return set()
    if table == 7:
        return {*OF_TABLE_7.values(), *experiments_of(FAMILY)}
    return set(experiments_of(table))


def transfer_task(point: Point, source: str, seed: int, paths: Sequence[str], overrides: Sequence[str]) -> Task:
    """The task of a figure of Table 11 or 12, by nets trained on `source`."""
    words = [*words_of(point, source), f"seed={seed}", *paths]
    return make_task("transfer.py", point.name, seed, words, overrides)


def make_task(script: str, experiment: str, seed: int, own: Sequence[str], overrides: Sequence[str]) -> Task:
    """The task of an experiment; `overrides` are those of its run, and of the boxes that box regressors learn."""
    boxes = [word for word in overrides if word.startswith("boxes.")]
    overrides = [word for word in overrides if word not in boxes]
    if script == "train.py":
        words = [*own, *overrides]
    else:
        setting = "from_overrides" if own[0] == "train" else "overrides"
        told = [f"{setting}={quoted(shlex.join(overrides))}"] if overrides else []
        boxes = boxes if own[0] in ("train", "evaluate") else []
        passed_on = () if script == "fuse.py" or own[0] == "fuse" else PASSED_ON  # a fusion needs no device
        words = [*own, *boxes, *(word for word in overrides if word.startswith(passed_on)), *told]
    with cli.composing():
        if script == "localise.py":
            cfg, folder = compose_command(f"localise_{words[0]}", words[1:])
        else:
            cfg, folder = compose_command(Path(script).stem, words)
    match script:
        case "train.py":
            makes, needs = of_training(cfg, folder)
        case "evaluate.py":
            makes, needs = of_evaluation(cfg)
        case "localise.py":
            makes, needs = localising.made_and_needed(words[0], cfg, folder)
        case "transfer.py":
            makes, needs = of_transfer(cfg, folder)
        case _:
            makes, needs = of_fusion(cfg)
    return Task(script, experiment, seed, words, cfg, makes, frozenset(needs))


def of_training(cfg: DictConfig, folder: str) -> tuple[Key, set[Key]]:
    """What a training makes, and the run that it starts from."""
    config = to_config(cfg, TrainConfig)
    validate(config)
    return (folder,), set() if config.init.layers == Layers.none else {(str(config.init.run),)}


def of_evaluation(cfg: DictConfig) -> tuple[Key, set[Key]]:
    """What an evaluation makes, and what it needs: its run, and where it is the mean of two methods, theirs."""
    parts = (Method.dense, Method.multi_crop) if cfg.protocol == Method.both else ()
    return evaluation_key(cfg.run, cfg), {(cfg.run,), *(evaluation_key(cfg.run, cfg, part) for part in parts)}


def of_transfer(cfg: DictConfig, folder: str) -> tuple[Key, set[Key]]:
    """What a transfer makes, and the runs whose features it takes."""
    config = to_config(cfg, TransferConfig)
    check(config)
    return (folder,), {(str(source_run(config, net)),) for net in config.nets}


def of_fusion(cfg: DictConfig) -> tuple[Key, set[Key]]:
    """What a fusion makes, and the evaluations of its members."""
    return (cfg.output,), {evaluation_key(member, cfg) for member in cfg.members}


def evaluation_key(run: str, cfg: DictConfig, protocol: Method | None = None) -> Key:
    return run, str(protocol or cfg.protocol), str(cfg.scales)


def is_evaluated(cfg: DictConfig, words: Sequence[str]) -> bool:
    if not (Path(cfg.run) / RECORD_FILE).is_file():
        return False
    config = settle(cfg.copy(), words, EvaluateConfig)
    return finished(config, protocol_of(config), words) is not None


def is_fused(config: FuseConfig) -> bool:
    try:
        members = list(find_members(config).values())
    except UserError:  # some are still to be made
        return False
    return finished_fusion(fusion_folder(config, members), members) is not None


def is_transferred(folder: Path, runs: Path) -> bool:
    """Whether a transfer has finished in `folder`, of the nets below `runs` as they are now."""
    if not all((folder / file).is_file() for file in (TRANSFER_FILE, SCORES_FILE)):
        return False
    nets = [weights for weights in read_transfer(folder).of if "run" in weights]
    return all(is_current(weights, runs / weights["run"]) for weights in nets)


def is_current(weights: dict[str, str], run: Path) -> bool:
    """Whether these are the weights of a run as it is now."""
    return (run / CHECKPOINT).is_file() and file_digest(run / CHECKPOINT) == weights["sha256"]
