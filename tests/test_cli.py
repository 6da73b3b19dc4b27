"""The commands as a person types them: bad input, a run and its table, several processes, an interrupted run."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.conftest import ROOT, TINY, MakeTree, assert_refused, call_command, run_command
from vggsuite import cli
from vggsuite.errors import UserError
from vggsuite.finished_run import load_checkpoint
from vggsuite.results.record import find_records

pytestmark = pytest.mark.slow


def train(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run_command("train.py", *arguments, cwd=ROOT, **environment)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("data.scal=multi", "data.scal"),
        ("model=vgg_x", "vgg_d"),
        ("experiment=table9/x", "table3/a"),
        ("modle=vgg_d", "modle"),
        ("recipe.batch_size=abc", "recipe.batch_size"),
        ("init.distribution=gauss", "glorot"),
        ("recipe.lr", "recipe.lr"),
        ("data.scale=mutli", "data.scale=mutli"),
        ("data.scale=-5", "data.scale=-5"),
        ("data.scale=31", "smaller than the crop of 32"),
        ("data.scale=[80,40]", "runs backwards"),
        ("data.decoder=opencv", "turbo"),
        ("data.shuffle_window=0", "data.shuffle_window=0 is out of range"),
        ("data.num_workers=-1", "data.num_workers=-1 is out of range; allowed: 0 or more, or null"),
        ("recipe.checkpoint_activations=true model.batch_norm=true", "allowed: either of them"),
        ("model.depth=12", "8, 11, 13, 16, 19"),
        ("trainer=gpu", "trainer=cpu"),
        ("trainer.devices=999 trainer=cpu", "trainer.devices=999"),
        ("trainer.devices=0", "trainer.devices=0"),
        ("recipe.batch_size=33 trainer=cpu trainer.devices=2", "recipe.batch_size=33"),
        ("recipe.batch_size=0", "recipe.batch_size=0"),
        ("experiment=table3/b data=folder", "python src/train.py experiment=table3/a"),
        ("+trainer.devics=2", "devics"),
        ("model=1", "a setting that names a file of conf/ takes a word"),
        ("data.mean=[[1],2,3]", "data.mean=[[1], 2.0, 3.0] is no list of single values"),
    ],
)
def test_bad_settings_are_told_in_one_sentence(override: str, told: str, make_tree: MakeTree, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    words = override.split()
    if "data=folder" not in words:
        words.append("data=digits")
    if "experiment=table3/b" in words:
        words += [f"data.root={make_tree()}", *TINY[1:]]
    assert_refused(call_command("train.py", f"paths.runs={runs}", *words), told)
    assert not list(runs.glob("*"))


def nothing(root: Path) -> None:
    """Leave the tree as it is."""


def empty(root: Path) -> None:
    for file in sorted(root.rglob("*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()


def one_class_without_images(root: Path) -> None:
    for file in (root / "dog").iterdir():
        file.unlink()


def classes_differ(root: Path) -> None:
    (root / "val").mkdir()
    (root / "train").mkdir()
    for name in ("cat", "dog"):
        (root / name).rename(root / "train" / name)
    (root / "owl").rename(root / "val" / "owl")


def unreadable(root: Path) -> None:
    (root / "owl" / "owl_002.png").write_bytes((root / "owl" / "owl_002.png").read_bytes()[:60])


@pytest.mark.parametrize(
    ("damage", "extra", "told"),
    [
        (nothing, ["data.root=/nowhere/at/all"], "/nowhere/at/all is no folder"),
        (empty, [], "holds no class folders"),
        (one_class_without_images, [], "dog holds no images"),
        (classes_differ, [], "differ in their classes"),
        (unreadable, [], "owl_002.png cannot be read as an image"),
        (unreadable, ["data.num_workers=1"], "owl_002.png cannot be read as an image"),
        (nothing, ["recipe.batch_size=100"], "exceeds the"),
        (nothing, ["init=finished_run", "init.run=/nowhere"], "init.run=/nowhere holds no finished run"),
        (nothing, ["+data.expected={classes: 4}"], "data.expected.classes=3"),
    ],
)
def test_bad_data_is_told_in_one_sentence(
    damage: Callable[[Path], None], extra: list[str], told: str, make_tree: MakeTree, tmp_path: Path
) -> None:
    root = make_tree()
    damage(root)
    result = call_command("train.py", *TINY, f"data.root={root}", f"paths.runs={tmp_path / 'runs'}", *extra)
    assert_refused(result, told)
    assert not list(tmp_path.glob("runs/**/result.json"))
    if damage is not unreadable:
        assert not list(tmp_path.glob("runs/*"))


def test_two_seeds_and_their_table_from_another_folder(make_tree: MakeTree, tmp_path: Path) -> None:
    settings = [*TINY, f"data.root={make_tree(images=9)}", f"paths.runs={tmp_path / 'runs'}"]
    words = ("experiment=table3/a", *settings, "seed=0,1", "hydra/launcher=local")
    result = run_command("train.py", "--multirun", *words, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    files = sorted(tmp_path.glob("runs/folder/table3/*/seed_*/result.json"))
    assert len(files) == 2
    folder = files[0].parent
    assert {"config.yaml", "overrides.yaml", "metrics.csv", "classes.txt", "evaluations", "checkpoints"} <= set(
        os.listdir(folder)
    )
    record = json.loads(files[0].read_text())
    assert record["metrics"]["num_images"] == record["data"]["num_test"] == 9
    assert record["environment"]["git_commit"] is None or len(record["environment"]["git_commit"]) == 40
    stamps = [file.stat().st_mtime_ns for file in files]
    again = call_command("train.py", "--multirun", "experiment=table3/a", *settings, "seed=0,1")
    assert again.stdout.count("is finished") == 2
    assert [file.stat().st_mtime_ns for file in files] == stamps

    variant = " ".join(word for word in TINY[1:] if not word.startswith("data.num_workers"))
    table = run_command(
        *("table.py", "data=folder", f"overrides='{variant}'", f"paths.runs={tmp_path / 'runs'}"),
        *(f"output={tmp_path / 'tables'}",),
        cwd=tmp_path,
    )
    assert table.returncode == 0, table.stderr
    assert "NOT ImageNet" in table.stdout
    assert "+- " in table.stdout
    assert (tmp_path / "tables/table3.tex").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"images", "runs", "tables"}


def test_a_pack_trains_the_net_that_its_files_train(make_tree: MakeTree, tmp_path: Path) -> None:
    """To the bit where all images are in one shard, with or without workers."""
    settings = [*TINY, f"data.root={make_tree(images=9, ending='JPEG')}"]
    data = [word for word in settings if word.startswith("data")]
    result = run_command("pack.py", *data, f"output={tmp_path / 'pack'}", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1].endswith(f"data=folder data.root={tmp_path / 'pack'}")
    assert set(os.listdir(tmp_path)) == {"images", "pack"}
    weights: list[torch.Tensor] = []
    for way in ([], [f"data.root={tmp_path / 'pack'}"], [f"data.root={tmp_path / 'pack'}", "data.num_workers=2"]):
        runs = tmp_path / f"runs{len(weights)}"
        result = call_command("train.py", *settings, *way, f"paths.runs={runs}")
        assert result.returncode == 0, result.stderr
        assert "read by Pillow" not in result.stdout
        (file,) = runs.glob("**/result.json")
        assert json.loads(file.read_text())["cost"]["share_read_by_pillow"] == 0
        weights.append(torch.cat([value.flatten() for value in load_checkpoint(file.parent).weights.values()]))
    assert torch.equal(weights[0], weights[1])
    assert torch.equal(weights[0], weights[2])


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("images_per_shard=0", "images_per_shard=0 is out of range; allowed: 1 or more"),
        ("smallest_side=-1", "smallest_side=-1 is out of range"),
        ("quality=101", "allowed: 1 to 100"),
        ("num_threads=0", "num_threads=0 is out of range"),
        ("data=folder data.root=/nowhere", "/nowhere is no folder"),
        ("shards=3", "shards"),
        ("output=/proc/pack", "/proc/pack cannot be written"),
    ],
)
def test_a_packing_that_cannot_be_is_refused(override: str, told: str) -> None:
    assert_refused(call_command("pack.py", *override.split()), told)


def test_an_interrupted_run_goes_on_and_two_do_not_write_one_folder(make_tree: MakeTree, tmp_path: Path) -> None:
    settings = [*TINY, f"data.root={make_tree()}", f"hydra.run.dir={tmp_path / 'run'}", "recipe.epochs=100000"]
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "src/train.py"), *settings],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    while "epoch 2/" not in process.stdout.readline():
        assert process.poll() is None
    assert_refused(call_command("train.py", *settings), "is being written by another process")
    process.send_signal(signal.SIGTERM)
    assert process.communicate()[1] == "stopped by SIGTERM; the same command goes on from there\n"
    assert process.returncode == 143
    assert not (tmp_path / "run/result.json").exists()
    shorter = [*settings[:-1], "recipe.epochs=2"]
    assert_refused(call_command("train.py", *shorter), "holds an interrupted run with recipe.epochs=100000, not 2")
    assert call_command("train.py", *shorter, "resume=never").returncode == 0
    assert (tmp_path / "run/result.json").is_file()
    assert not (tmp_path / "run/checkpoints/last.ckpt").exists()


def test_a_finished_run_of_other_settings_is_not_passed_off(make_tree: MakeTree, tmp_path: Path) -> None:
    settings = [*TINY, f"data.root={make_tree()}", f"hydra.run.dir={tmp_path / 'run'}"]
    assert call_command("train.py", *settings).returncode == 0
    other = [*settings, "recipe.lr=0.5"]
    assert_refused(call_command("train.py", *other), "holds a finished run with recipe.lr=0.01, not 0.5")
    assert call_command("train.py", *other, "rerun=true").returncode == 0


def test_a_finished_run_is_repeated_and_compared(make_tree: MakeTree, tmp_path: Path) -> None:
    words = [*TINY, f"data.root={make_tree()}", f"paths.runs={tmp_path / 'runs'}"]
    assert call_command("train.py", *words).returncode == 0
    (run,) = (file.parent for file in tmp_path.glob("runs/**/result.json"))
    repeated = call_command("train.py", f"repeat={run}")
    assert repeated.returncode == 0
    assert f"{run} was repeated in {run / 'repeat'}: the weights are equal bit for bit." in repeated.stdout
    assert "What else is different" not in repeated.stdout
    assert list(find_records(tmp_path / "runs")) == [run]
    assert_refused(call_command("train.py", f"repeat={run}", "recipe.lr=1"), "recipe.lr is the repeated run's own")
    assert_refused(call_command("train.py", f"repeat={run.parent}"), f"repeat={run.parent} holds no finished run")
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("\nseed: 0\n", "\nseed: 1\n"))
    other = call_command("train.py", f"repeat={run}", "rerun=true", "data.num_workers=1")
    assert other.returncode == 1
    assert "the weights differ by up to 0." in other.stdout


PICTURES = ("train/views", "test/filters", "test/confusion", "test/mistakes")


@pytest.mark.parametrize("logger", ["tensorboard", "wandb"])
def test_the_other_loggers_show_the_same_under_the_same_names(logger: str, make_tree: MakeTree, tmp_path: Path) -> None:
    extra = ["logger.offline=true"] if logger == "wandb" else []
    words = [*TINY, f"data.root={make_tree()}", f"hydra.run.dir={tmp_path / 'run'}", f"logger={logger}", *extra]
    result = call_command("train.py", *words)
    assert result.returncode == 0, result.stderr
    files = {"tensorboard": "run/tensorboard/events.*", "wandb": "run/wandb/offline-run-*/*.wandb"}
    file, *_ = tmp_path.glob(files[logger])
    assert (tmp_path / "run/metrics.csv").is_file()
    scalars = ("train/loss", "train/lr", "train/images_per_second", "val/top1_error", "test/top1_error")
    if logger == "wandb":
        written = file.read_bytes()
        assert all(name.encode() in written for name in scalars)
        shown = {str(each.relative_to(file.parent / "files/media")) for each in file.parent.glob("files/media/**/*.*")}
        assert all(any(name.startswith(f"images/{picture}_") for name in shown) for picture in PICTURES)
        assert any(name.startswith("table/test/table_") for name in shown)
    else:
        found = EventAccumulator(str(file.parent)).Reload().Tags()
        assert set(scalars) <= set(found["scalars"])
        assert set(PICTURES) == set(found["images"])
        assert found["tensors"] == ["test/table/text_summary"]


def test_wandb_without_a_key_says_what_to_do(make_tree: MakeTree, tmp_path: Path) -> None:
    words = [*TINY, f"data.root={make_tree()}", f"hydra.run.dir={tmp_path / 'run'}", "logger=wandb"]
    result = train(*words, HOME=str(tmp_path), WANDB_API_KEY="", NETRC=str(tmp_path / "netrc"))
    assert result.returncode == 2
    assert "logger.offline=true" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize("script", ["train.py", "evaluate.py", "fuse.py", "table.py"])
def test_help_names_the_settings(script: str) -> None:
    result = call_command(script, "--help")
    assert result.returncode == 0
    assert "paths:" in result.stdout


def test_a_failing_job_leaves_the_others_alone(make_tree: MakeTree, tmp_path: Path) -> None:
    words = [*TINY, f"data.root={make_tree()}", f"paths.runs={tmp_path / 'runs'}", "recipe.batch_size=4,999"]
    for launcher in ([], ["hydra/launcher=local"]):
        result = call_command("train.py", "--multirun", *words, *launcher, "rerun=true")
        assert result.returncode == 2
        assert "recipe.batch_size=999 exceeds" in result.stdout + result.stderr
        assert len(list(tmp_path.glob("runs/**/result.json"))) == 1


def test_a_mismatched_pair_of_torch_and_torchvision_is_told(make_tree: MakeTree, tmp_path: Path) -> None:
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision/__init__.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    words = [*TINY, f"data.root={make_tree()}", f"paths.runs={tmp_path / 'runs'}"]
    assert_refused(train(*words, PYTHONPATH=str(tmp_path)), "pip install -r requirements.lock")


@pytest.mark.parametrize(
    ("word", "told"), [("table=13", "allowed: 3, 4, 5, 6, 7, 8, 9, 10, 11, 12"), ("confidence=95", "between 0 and 1")]
)
def test_a_table_that_cannot_be_made_is_told(word: str, told: str) -> None:
    assert_refused(call_command("table.py", word), told)


@pytest.mark.parametrize("in_charge", [True, False])
def test_an_error_reaches_a_foreign_launcher(in_charge: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """In whose process nobody would look at `cli.told`."""
    monkeypatch.setattr(cli, "told", [])
    monkeypatch.setattr(cli, "in_charge", in_charge)
    with nullcontext() if in_charge else pytest.raises(UserError), cli.user_errors():
        raise UserError("x=1 is too much.")
    assert len(cli.told) == 1
