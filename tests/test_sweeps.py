"""W&B sweeps: every file in sweeps/ composes, bad ones are told, and W&B's own programs run one against a stub."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import initialize_config_dir

from tests.conftest import ROOT, TINY, MakeTree, assert_refused, call_command, run_command
from tests.wandb_stub import ENTITY, PROJECT, WandbStub
from vggsuite.composing import register
from vggsuite.errors import UserError
from vggsuite.sweep_file import check_file, composed

SWEEPS = sorted(ROOT.glob("sweeps/*.yaml"))
# W&B's own program; its agent asks for work every half second instead of every five.
WANDB = "from wandb.cli.cli import cli; from wandb.wandb_agent import Agent; Agent.POLL_INTERVAL = 0.5; cli()"
DEPTH = yaml.safe_load((ROOT / "sweeps/depth.yaml").read_text())


def write_sweep(folder: Path, **changes: Any) -> Path:
    """The sweep of depth with some keys changed, or left out where None."""
    file = folder / "sweep.yaml"
    content = DEPTH | {"parameters": {"model": {"value": "vgg_a"}}} | changes
    file.write_text(
        yaml.safe_dump({key: value for key, value in content.items() if value is not None}, sort_keys=False)
    )
    return file


@pytest.mark.parametrize("file", SWEEPS, ids=lambda file: file.stem)
def test_every_point_of_every_sweep_composes(file: Path) -> None:
    commands = check_file(file)
    assert len(set(commands)) == len(commands)
    assert all(command.startswith("/usr/bin/env python src/train.py logger=wandb ") for command in commands)
    text = file.read_text()
    number = re.search(r"^# (\d+) runs\. wandb sweep sweeps/(\w+)\.yaml", text, re.MULTILINE)
    assert number is not None
    sweep = yaml.safe_load(text)
    assert int(number[1]) == (len(commands) if sweep["method"] == "grid" else sweep["run_cap"])
    assert number[2] == file.stem
    assert "# wandb agent --forward-signals <entity>/vggsuite/<id>" in text
    assert len(text.splitlines()) <= 25


def test_the_sweep_of_table_3_trains_every_row_after_its_parent() -> None:
    experiments = yaml.safe_load((ROOT / "sweeps/table3.yaml").read_text())["parameters"]["experiment"]["values"]
    assert sorted(experiments) == sorted(f"table3/{file.stem}" for file in ROOT.glob("conf/experiment/table3/*.yaml"))
    register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        configs = [composed([f"experiment={experiment}"]) for experiment in experiments]
    folders = [f"{config.paths.runs}/digits/{config.experiment}/seed_0" for config in configs]
    for number, config in enumerate(configs):
        assert config.init.run is None or config.init.run in folders[:number]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"methd": "grid"}, "methd is no key of a sweep file here; allowed: program, project"),
        ({"early_terminate": {"type": "hyperband", "min_iter": 3}}, "early_terminate is no key"),
        ({"method": "gird"}, "method=gird is not known here; allowed: grid, random, bayes"),
        ({"method": None}, "method=None is not known here"),
        ({"program": None}, "program=None is not known here; allowed: src/train.py"),
        ({"program": "src/trian.py"}, "program=src/trian.py is not known here"),
        ({"command": None}, "command=None lacks what Hydra needs; write - ${program}"),
        ({"command": ["${program}", "${args}"]}, "write - ${args_no_hyphens} as one of its words"),
        ({"command": [*DEPTH["command"], "${nothing}"]}, "command: macro=nothing is not known here; allowed: args"),
        ({"command": ["${program}", "${args_no_hyphens}"]}, "write - logger=wandb"),
        ({"metric": None}, "metric=None has no name and goal; write metric: {name: val/top1_error, goal: minimize}"),
        ({"metric": {"name": "val/top1_error"}}, "metric.goal=None is not known here; allowed: minimize"),
        ({"metric": {"goal": "minimize"}}, "metric.name=None is not known here"),
        ({"metric": {"name": "val_loss", "goal": "minimize"}}, "metric.name=val_loss is not known here; allowed: val/"),
        ({"metric": {"name": "val/loss", "gaol": "minimize"}}, "gaol is no key of metric"),
        ({"parameters": None}, "parameters has nothing to vary"),
    ],
)
def test_a_wrong_key_is_told(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(told)) as error:
        check_file(write_sweep(tmp_path, **changes))
    assert str(error.value).startswith(f"{tmp_path}/sweep.yaml: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("method", "parameter", "told"),
    [
        ("grid", "recipe.lr: {vaules: [0.1]}", "vaules is no key of parameter recipe.lr of a sweep file here; allowed"),
        ("grid", "recipe.lr: 0.1", "parameter recipe.lr is 0.1; write recipe.lr: {value: 0.1}"),
        ("grid", "recipe.lr: {}", "parameter recipe.lr has no values, which a grid needs"),
        ("grid", "recipe.lr: {min: 0.1, max: 0.2}", "parameter recipe.lr has no values, which a grid needs"),
        ("grid", "recipe.lr: {values: 0.1}", "parameter recipe.lr has values=0.1; write a list"),
        ("grid", "recipe: {parameters: {lr: {value: 1.0}}}", "parameter recipe is nested, which Hydra cannot read"),
        ("grid", "recipe: {parameters: {lr: {value: 1.0}}}", "write its settings as recipe.lr"),
        (
            "grid",
            "test.scale: {values: [37, null]}",
            "the value null, which arrives as the word None; leave test.scale",
        ),
        ("random", "recipe.lr: {}", "has no values; allowed: value, values, min and max, mu and sigma"),
        ("random", "recipe.lr: {min: 0.1}", "parameter recipe.lr has no values; allowed"),
        ("random", "recipe.lr: {distribution: normal, min: 0.1, max: 0.2}", "parameter recipe.lr has no values"),
        ("random", "recipe.lr: {distribution: nrmal, mu: 1, sigma: 2}", "recipe.lr.distribution=nrmal is not known"),
        ("random", "recipe.lr: {distribution: normal, mu: 1, sigma: 0}", "allowed: sigma above 0"),
        ("bayes", "recipe.lr: {min: 0.2, max: 0.1}", "the range 0.2 to 0.1; allowed: min below max"),
        ("bayes", "recipe.lr: {distribution: log_uniform_values, min: 0, max: 1}", "has min=0, which has no logarithm"),
        ("bayes", "recipe.lr: {min: 0, max: 0.1}", "has min=0, max=0.1; write two integers or two floats"),
        ("bayes", "recipe.lr: {min: 1e-4, max: 1e-2}", "the bound 1e-4, to YAML no number; write 1.0e-4, not 1e-4"),
        ("grid", "recipe.lrr: {value: 0.1}", "point logger=wandb recipe.lrr=0.1: recipe.lrr is no setting"),
        ("grid", "model: {values: [vgg_a, vgg_x]}", "point logger=wandb model=vgg_x: model=vgg_x does not exist"),
        ("grid", "data.scale: {values: [single, mutli]}", "data.scale=mutli: data.scale=mutli is no training scale"),
        ("grid", "model: {values: ['vgg_a,vgg_b']}", "point logger=wandb model=vgg_a,vgg_b: "),
        ("random", "recipe.lr: {min: 0.0, max: 0.1}", "recipe.lr=0.0: recipe.lr=0.0 is out of range"),
        ("random", "recipe.lr: {min: 0.1, max: .inf}", "the bound inf"),
        ("random", "recipe.lr: {distribution: log_normal, mu: 1000, sigma: 1.0}", "cannot be understood (math range"),
        ("grid", "recipe: {parameters: 5}", "cannot be understood"),
        ("random", "model.dropout: {min: 0.5, max: 1.5}", "model.dropout=1.5 is out of range"),
    ],
)
def test_a_wrong_parameter_is_told(method: str, parameter: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(told)) as error:
        check_file(write_sweep(tmp_path, method=method, parameters=yaml.safe_load(parameter)))
    assert "\n" not in str(error.value)


def test_a_search_is_checked_at_the_ends_of_its_ranges(tmp_path: Path) -> None:
    parameters = {
        "model": {"values": ["vgg_a", "vgg_b"]},
        "seed": {"min": 1, "max": 3},
        "recipe.lr": {"distribution": "log_uniform", "min": -1, "max": 0},
        "recipe.momentum": {"distribution": "normal", "mu": 0.5, "sigma": 0.125},
    }
    commands = check_file(write_sweep(tmp_path, method="random", parameters=parameters))
    assert commands[0].endswith(" model=vgg_a seed=1 recipe.lr=0.36787944117144233 recipe.momentum=0.125")
    changed = ("model=vgg_b", "seed=3", "recipe.lr=1.0", "recipe.momentum=0.875")
    for command, word in zip(commands[1:], changed, strict=True):
        assert len(set(command.split()) - set(commands[0].split())) == 1
        assert word in command.split()


@pytest.mark.parametrize(
    ("text", "told"), [("", "is no sweep"), ("a: [", "is no YAML (while parsing"), (None, "cannot be read")]
)
def test_a_file_that_is_no_sweep_is_told(text: str | None, told: str, tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UserError, match=re.escape(told)):
        check_file(file)


@pytest.mark.slow
def test_the_checker_goes_on_after_a_bad_file(tmp_path: Path) -> None:
    good = write_sweep(tmp_path)
    result = check(tmp_path / "none.yaml", good)
    assert_refused(result, f"{tmp_path}/none.yaml: cannot be read")
    command, number = result.stdout.splitlines()
    assert command == "/usr/bin/env python src/train.py logger=wandb model=vgg_a"
    assert number == f"{good}: 1 points, all of them compose"
    assert_refused(check(), "no sweep file is named")


def check(*files: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "vggsuite.sweep_file", *files], capture_output=True, text=True)


def wandb_environment(stub: WandbStub, folder: Path) -> dict[str, str]:
    """What W&B's clients need to talk to the stub alone, and to write below `folder` alone."""
    places = {f"WANDB_{place}DIR": str(folder / "wandb") for place in ("", "CACHE_", "DATA_", "CONFIG_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**stub.environment, **places, "PATH": path, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def start_wandb(stub: WandbStub, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """W&B's own program, both its outputs in one pipe."""
    (folder / "wandb").mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", WANDB, *arguments],
        cwd=ROOT,
        env=os.environ | wandb_environment(stub, folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def start_agent(stub: WandbStub, folder: Path, sweep: str) -> subprocess.Popen[str]:
    return start_wandb(stub, folder, "agent", "--forward-signals", f"{ENTITY}/{PROJECT}/{sweep}")


def upload_sweep(stub: WandbStub, folder: Path, settings: list[str], **parameters: Any) -> str:
    """Make a sweep by `wandb sweep`, of runs with these settings, and return its id."""
    *words, arguments = DEPTH["command"]
    file = write_sweep(folder, command=[*words, *settings, arguments], parameters=parameters)
    program = start_wandb(stub, folder, "sweep", str(file))
    output, _ = program.communicate(timeout=60)
    assert program.returncode == 0, output
    (sweep,) = stub.sweeps
    assert f"wandb agent {ENTITY}/{PROJECT}/{sweep}" in output
    return sweep


def settings_of(make_tree: MakeTree, folder: Path) -> list[str]:
    return [*TINY, f"data.root={make_tree()}", f"paths.runs={folder / 'runs'}"]


@pytest.mark.slow
def test_an_agent_runs_a_sweep(make_tree: MakeTree, tmp_path: Path) -> None:
    """By the genuine `wandb sweep` and `wandb agent`, with a run of its own for each point."""
    settings = [*settings_of(make_tree, tmp_path), "logger.log_model=true"]
    with WandbStub() as stub:
        sweep = upload_sweep(stub, tmp_path, settings, model={"values": ["vgg_a", "vgg_b"]})
        agent = start_agent(stub, tmp_path, sweep)
        output, _ = agent.communicate(timeout=180)
    assert agent.returncode == 0, output
    runs = list(stub.runs.values())
    assert [run.ends for run in runs] == [[(0, False)], [(0, False)]], output
    assert {run.sweep for run in runs} == {sweep}
    for run, net, depth in zip(runs, ("vgg_a", "vgg_b"), (11, 13), strict=True):
        assert run.config["model"]["value"] == net
        assert run.config["model.depth"]["value"] == depth
        assert run.config["recipe.batch_size"]["value"] == 4
        assert any("val/top1_error" in row for row in run.history)
        assert "val/top1_error" in run.summary
        artifacts = [artifact for artifact in stub.artifacts.values() if artifact.given["runName"] == run.name]
        assert {artifact.given["artifactTypeName"] for artifact in artifacts} == {"record", "model", "run_table"}
        assert all(artifact.committed for artifact in artifacts)
    assert len(list(tmp_path.glob("runs/folder/*/seed_0/result.json"))) == 2


@pytest.mark.slow
def test_an_agent_that_is_preempted_hands_its_run_on(make_tree: MakeTree, tmp_path: Path) -> None:
    """The run says so and does not count as finished; the next agent goes on with it, told all of its config."""
    settings = [*settings_of(make_tree, tmp_path), "recipe.patience=1000"]
    with WandbStub() as stub:
        sweep = upload_sweep(stub, tmp_path, settings, **{"recipe.epochs": {"value": 100}})
        agent = start_agent(stub, tmp_path, sweep)
        assert agent.stdout is not None
        seen: list[str] = []
        while "epoch 2/" not in "".join(seen):
            seen.append(agent.stdout.readline())
            assert agent.poll() is None, "".join(seen)
        agent.send_signal(signal.SIGTERM)
        agent.communicate(timeout=60)
        (run,) = stub.runs.values()
        assert run.ends == [(128 + signal.SIGTERM, True)]
        assert not list(tmp_path.glob("runs/**/result.json"))

        output, _ = start_agent(stub, tmp_path, sweep).communicate(timeout=120)
    assert [command["type"] for command in run.commands] == ["run", "resume"]
    assert "data.root" in run.commands[1]["args"]
    assert run.ends[1:] == [(0, False)], output
    assert len(list(tmp_path.glob("runs/folder/*/seed_0/result.json"))) == 1


@pytest.mark.slow
def test_a_failed_run_has_failed_on_wandb(make_tree: MakeTree, tmp_path: Path) -> None:
    settings = settings_of(make_tree, tmp_path)
    for image in tmp_path.glob("images/owl/*"):
        image.write_bytes(image.read_bytes()[:60])
    with WandbStub() as stub:
        result = run_command("train.py", *settings, "logger=wandb", cwd=ROOT, **wandb_environment(stub, tmp_path))
    assert result.returncode == 2, result.stderr
    ((code, preempting),) = (end for run in stub.runs.values() for end in run.ends)
    assert code != 0
    assert not preempting


@pytest.mark.slow
def test_a_finished_point_repeated_reports_its_record(make_tree: MakeTree, tmp_path: Path) -> None:
    """Else a sweep would get no figure for it."""
    settings = settings_of(make_tree, tmp_path)
    assert call_command("train.py", *settings).returncode == 0
    (record,) = tmp_path.glob("runs/**/result.json")
    stamp = record.stat().st_mtime_ns
    with WandbStub() as stub:
        agent = {"WANDB_SWEEP_ID": "sweep", "WANDB_RUN_ID": "point"}
        environment = wandb_environment(stub, tmp_path) | agent
        result = run_command("train.py", *settings, "logger=wandb", cwd=ROOT, **environment)
    assert result.returncode == 0, result.stderr
    assert "is finished" in result.stdout
    assert record.stat().st_mtime_ns == stamp
    (run,) = stub.runs.values()
    assert run.ends == [(0, False)]
    assert {"val/top1_error", "test/top1_error"} <= run.summary.keys()


@pytest.mark.slow
def test_each_job_of_a_multirun_is_a_run_of_wandb(make_tree: MakeTree, tmp_path: Path) -> None:
    words = [*settings_of(make_tree, tmp_path), "logger=wandb", "logger.offline=true", "model=vgg_a,vgg_b"]
    result = call_command("train.py", "--multirun", *words)
    assert result.returncode == 0, result.stderr
    assert len(list(tmp_path.glob("runs/**/wandb/offline-run-*"))) == 2
    assert len(list(tmp_path.glob("runs/folder/*/seed_0/wandb/offline-run-*/*.wandb"))) == 2
