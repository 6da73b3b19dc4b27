"""What tables need, in which stages it runs, and how long that may take."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import initialize_config_dir
from omegaconf import DictConfig

from hydra_plugins.vggsuite_launchers.jobs import Job, JobLauncher, Outcome
from tests.conftest import ROOT, TINY, MakeTree, assert_refused, call_command, run_command
from vggsuite.ablation.plan import plan
from vggsuite.ablation.stages import run_stages
from vggsuite.ablation.tasks import Task, seeds_of, tasks_of
from vggsuite.composing import compose_command, register
from vggsuite.config import AblationConfig
from vggsuite.errors import UserError
from vggsuite.evaluation.dense import score_map
from vggsuite.models.net import multiply_adds
from vggsuite.models.vgg import VGG


@cache
def composed(name: str, words: tuple[str, ...]) -> tuple[DictConfig, str]:
    """What Hydra makes of a command: a tenth of a second, and most tests ask for the same ones."""
    return compose_command(name, words)


def tasks(*tables: int | str, data: str = "digits", **settings: Any) -> list[Task]:
    register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "vggsuite.ablation.tasks.compose_command", lambda name, words: deepcopy(composed(name, tuple(words)))
        )
        return tasks_of(tables, AblationConfig(**settings), data=data, typed=["paths.runs=/nowhere"])


@pytest.mark.parametrize(
    ("tables", "trained", "evaluated", "fused"),
    [
        ((3,), 12, 0, 0),
        ((4,), 11, 10, 0),
        ((5,), 7, 6, 0),
        ((6,), 9, 12, 4),
        ((7,), 18, 14, 2),
        ((3, 4, 5, 6, 7), 21, 16, 4),
        (("degradation",), 14, 0, 0),
    ],
)
def test_a_table_needs_what_it_shows_and_all_that_comes_before(
    tables: tuple[int | str, ...], trained: int, evaluated: int, fused: int
) -> None:
    made = tasks(*tables)
    numbers = [sum(task.script == script for task in made) for script in ("train.py", "evaluate.py", "fuse.py")]
    assert numbers == [trained, evaluated, fused]
    keys = [task.makes for task in made]
    assert all(task.needs <= set(keys[:place]) for place, task in enumerate(made))


@pytest.mark.parametrize(
    ("table", "chosen", "transferred", "trained"),
    [(11, None, 23, 7), (11, ["letters"], 17, 7), (12, None, 2, 7), (12, ["letters"], 0, 0)],
)
def test_a_transfer_needs_the_runs_of_its_nets(
    table: int, chosen: list[str] | None, transferred: int, trained: int
) -> None:
    made = tasks(table, transfer_to=chosen)
    assert [sum(task.script == script for task in made) for script in ("transfer.py", "train.py")] == [
        transferred,
        trained,
    ]
    keys = [task.makes for task in made]
    assert all(task.needs <= set(keys[:place]) for place, task in enumerate(made))
    assert all(
        "table3/d_multi/seed_0" in str(task.needs) for task in made if task.experiment.startswith("table11/d on")
    )


@pytest.mark.parametrize(("table", "regressors", "tests", "fusions"), [(8, 4, 0, 0), (9, 2, 6, 2), (10, 2, 6, 2)])
def test_localisation_needs_its_runs_and_the_best_labels(table: int, regressors: int, tests: int, fusions: int) -> None:
    made = tasks(table)
    commands = [task.words[0] for task in made if task.script == "localise.py"]
    assert [commands.count(command) for command in ("train", "evaluate", "fuse")] == [regressors, tests, fusions]
    keys = [task.makes for task in made]
    assert all(task.needs <= set(keys[:place]) for place, task in enumerate(made))
    for task in made:
        if task.words[0] == "evaluate":
            assert ("/nowhere/digits/table6/both/seed_0",) in task.needs


@pytest.mark.parametrize("table", [6, 8, 9])
def test_overrides_of_the_trainer_go_to_what_has_one(table: int) -> None:
    made = tasks(table, overrides="trainer=cpu recipe.epochs=1")
    for task in made:
        assert ("trainer=cpu" in task.words) == ("fuse" not in (task.script.removesuffix(".py"), task.words[0]))
        assert "+recipe.epochs-1" in str(task.makes)


def test_seeds_and_overrides_reach_every_task() -> None:
    made = tasks(5, seeds=2, overrides="recipe.epochs=3 trainer=cpu \"data.root='/a b'\"")
    assert sorted({task.seed for task in made}) == [0, 1]
    for task in made:
        assert "paths.runs=/nowhere" in task.words
        assert "trainer=cpu" in task.words
        assert task.cfg.variant == "+recipe.epochs-3"
        assert ("recipe.epochs=3" in task.words) == (task.script == "train.py")
    assert all(f"seed_{task.seed}" in str(key) for task in made for key in task.needs)


@pytest.mark.parametrize(("asked", "seeds"), [(3, [0, 1, 2]), (1, [0]), ([0, 4], [0, 4]), ([0], [0])])
def test_seeds_are_a_number_or_a_list(asked: Any, seeds: list[int]) -> None:
    assert seeds_of(asked) == seeds


@pytest.mark.parametrize("asked", [0, -1, "many", [], [-1], True, 1.5])
def test_other_seeds_are_refused(asked: Any) -> None:
    with pytest.raises(UserError, match="is no number of seeds; allowed: 1 or more"):
        seeds_of(asked)


class FakeLauncher(JobLauncher):
    """Notes the stages, and finishes what does not fail."""

    def __init__(self, done: set[str], fails: Callable[[str, int], bool]) -> None:
        self.done, self.fails = done, fails
        self.stages: list[list[str]] = []

    def run(self, jobs: Sequence[Job]) -> Sequence[Outcome]:
        self.stages.append([job.name for job in jobs])
        attempts = [sum(job.name in stage for stage in self.stages) for job in jobs]
        failed = [self.fails(job.name, attempt) for job, attempt in zip(jobs, attempts, strict=True)]
        self.done |= {job.name for job, fails in zip(jobs, failed, strict=True) if not fails}
        return [Outcome("exit code 3" if fails else None) for fails in failed]


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of the tasks that count as finished."""
    names: set[str] = set()
    monkeypatch.setattr(Task, "is_finished", lambda task: task.name in names)
    return names


def test_stages_wait_for_what_they_need(done: set[str]) -> None:
    done.add("table3/a_lrn seed 0")
    launcher = FakeLauncher(done, lambda name, attempt: False)
    run_stages(tasks(3), launcher)
    names = [[name.removeprefix("table3/").removesuffix(" seed 0") for name in stage] for stage in launcher.stages]
    assert names == [["a"], ["b", "c", "d", "e"], ["c_384", "d_384", "e_384"], ["c_multi", "d_multi", "e_multi"]]
    run_stages(tasks(3), launcher)
    assert len(launcher.stages) == 4


def test_what_fails_is_tried_once_more(done: set[str]) -> None:
    launcher = FakeLauncher(done, lambda name, attempt: name.startswith("table3/d ") and attempt == 1)
    run_stages(tasks(3), launcher)
    stages = [number for number, stage in enumerate(launcher.stages) if "table3/d seed 0" in stage]
    assert stages == [1, 2]
    assert len(done) == 12


def test_what_fails_twice_is_named_with_what_waits_for_it(done: set[str]) -> None:
    launcher = FakeLauncher(done, lambda name, attempt: name.startswith("table3/d "))
    with pytest.raises(UserError) as error:
        run_stages(tasks(5), launcher)
    assert str(error.value).startswith("1 of 13 tasks failed twice: table3/d seed 0 FAILED (exit code 3); not started ")
    assert "for want of them: table3/d_384 seed 0, table3/d_multi seed 0, table5/d_dense seed 0" in str(error.value)
    assert "table5/e_both seed 0" in done


def test_a_job_without_a_record_has_failed(done: set[str]) -> None:
    class Forgetful(FakeLauncher):
        def run(self, jobs: Sequence[Job]) -> Sequence[Outcome]:
            return [Outcome() for _ in jobs]

    with pytest.raises(UserError, match="table3/a seed 0 left no record"):
        run_stages(tasks(3), Forgetful(done, lambda name, attempt: False))


@pytest.mark.parametrize(("depth", "published"), [(11, 7.61), (13, 11.31), (16, 15.47), (19, 19.63)])
def test_multiply_adds_are_the_published_ones(depth: int, published: float) -> None:
    """Those of torchvision's weights, in 10^9."""
    with torch.device("meta"):
        net = VGG(depth).eval()
    assert multiply_adds(net, 224) / 1e9 == pytest.approx(published, abs=0.01)
    assert multiply_adds(partial(score_map, net), 448) > 4 * multiply_adds(net, 224)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("no_gpu")
def test_the_plan_tells_stages_and_times(done: set[str]) -> None:
    done.add("table3/a seed 0")
    text = plan(tasks(4), [], on_cluster=False, assumed=1e9)
    lines = [line.split() for line in text.splitlines()]
    assert ["train.py", "table3/a", "0", "finished"] in lines
    by_name = {line[1]: line for line in lines[2:-2]}
    assert [by_name[f"table3/{name}"][3] for name in ("b", "d", "d_384", "d_multi")] == ["1", "1", "2", "3"]
    assert by_name["table4/d_multi"][3] == "4"
    assert "CPU: 1e+09 multiply-adds a second, which you assume." in text
    assert text.splitlines()[-1].startswith("20 of 21 would run, 9 h")


@pytest.mark.usefixtures("no_gpu")
def test_a_gpu_is_not_estimated_by_a_cpu() -> None:
    text = plan(tasks(3, data="imagenet"), [], on_cluster=True)
    assert "none is here to be timed; multiply_adds_per_second=<number> assumes a speed" in text
    assert text.endswith("12 of 12 would run, for an unknown time of a device.")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["tables=[3,13]"],
            "tables=[3, 13] is not among those that can be printed; allowed: 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, "
            "degradation, or tables=[3,4]",
        ),
        (["seeds=0"], "seeds=0 is no number of seeds"),
        (["overrides='seed=3'"], "overrides has seed=3, which is set for all tasks"),
        (["overrides='recipe.lrr=3'"], "recipe.lrr is no setting of this command"),
        (["hydra/launcher=sluurm"], "hydra/launcher=sluurm does not exist; allowed: "),
        (["hydra/launcher=ray"], "hydra/launcher=ray needs a plugin of Hydra's; type: pip install hydra-ray-launcher"),
        (["overrides='a b'"], "Error parsing override 'a'; missing EQUAL"),
        (["data=imagnet"], "data=imagnet does not exist"),
        (["data.root=/x"], "data.root=/x is a setting of train.py; type overrides='data.root=/x'"),
        (["multiply_adds_per_second=0"], "multiply_adds_per_second=0.0 is no speed"),
        (
            ["hydra/launcher=basic"],
            "hydra/launcher=basic runs sweeps alone; allowed here: hydra/launcher=local, hydra/launcher=slurm",
        ),
    ],
)
def test_what_cannot_be_is_told(words: list[str], told: str) -> None:
    assert_refused(call_command("ablation.py", *words), told)


class HereLauncher(JobLauncher):
    """Runs the jobs in this process."""

    def run(self, jobs: Sequence[Job]) -> Sequence[Outcome]:
        done = [call_command(job.script.name, *job.words) for job in jobs]
        return [Outcome(each.stderr if each.returncode else None) for each in done]


@pytest.mark.slow
def test_a_table_from_nothing_and_once_more(make_tree: MakeTree, tmp_path: Path) -> None:
    """The second time nothing is run, from whatever folder."""
    overrides = " ".join([*TINY[1:], f"data.root={make_tree(images=9)}", "recipe.batch_size=9"])
    places = [f"paths.runs={tmp_path / 'runs'}", f"output={tmp_path / 'tables'}"]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        made = tasks_of([5], AblationConfig(overrides=overrides), data="folder", typed=places)
    run_stages(made, HereLauncher())
    assert len(list(tmp_path.glob("runs/folder/table3/*/seed_0/result.json"))) == 7
    words = ["data=folder", "tables=5", *places, f"overrides='{overrides}'"]
    again = run_command("ablation.py", *words, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "13 of 13 tasks are finished" in again.stdout
    assert "Stage" not in again.stdout
    assert "Table 5, dense evaluation and multi-crop" in again.stdout
    assert "NOT ImageNet" in again.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"images", "runs", "tables"}


@pytest.mark.slow
def test_the_launcher_that_is_chosen_runs_the_stages(
    make_tree: MakeTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nets that do not train: what fails is tried again, and named, and the table is printed all the same."""
    overrides = " ".join([*TINY[1:], f"data.root={make_tree()}", "recipe.batch_size=999"])
    words = ["data=folder", "tables=3", f"paths.runs={tmp_path / 'runs'}", f"output={tmp_path / 'tables'}"]
    monkeypatch.chdir(tmp_path)
    result = call_command("ablation.py", *words, f"overrides='{overrides}'")
    assert result.returncode == 2
    assert result.stdout.count("starts on CPU slot") == 4
    assert "#3  error: recipe.batch_size=999 exceeds" in result.stdout
    assert result.stderr.startswith("error: 2 of 12 tasks failed twice: table3/a seed 0 FAILED (exit code 2, see ")
    assert "not started for want of them: table3/b seed 0" in result.stderr
    assert "Table 3, dense evaluation" in result.stdout
