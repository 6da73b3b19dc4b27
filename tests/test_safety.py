"""Files of strangers: nothing in a checkpoint, an array, a record or a config is run or looked up."""

import ast
import io
import json
import os
import pickle
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.conftest import ROOT, TINY, assert_refused, call_command
from tests.data.test_unpack_imagenet import jpeg
from tests.fuzzing.settings import compose
from tests.results.conftest import IMAGES, make_record
from vggsuite.composing import to_config
from vggsuite.config import TrainConfig
from vggsuite.data.packed import read_split
from vggsuite.errors import UserError
from vggsuite.evaluation.inference import collect, saved_images
from vggsuite.files import save_arrays
from vggsuite.localisation.answers import load_answers
from vggsuite.localisation.candidates import load_candidates
from vggsuite.models.build import build_net
from vggsuite.results.predictions import load_truth
from vggsuite.results.run_folder import CHECKPOINT, CONFIG_FILE, save_config
from vggsuite.training.resuming import LAST
from vggsuite.transfer.descriptors import saved_keys

SECRET = "a-secret-of-the-environment"


class Hostile:
    """What makes a folder when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.marker,)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "marker"


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """What is typed to train the net of `run`."""
    return [*TINY, "model=vgg_a", f"data.root={tmp_path / 'images'}", f"hydra.run.dir={tmp_path / 'run'}"]


@pytest.fixture
def run(tmp_path: Path, words: list[str]) -> Path:
    """The folder of a finished run, made by hand."""
    config = to_config(compose("train", *words), TrainConfig)
    (tmp_path / "images").mkdir()
    folder = tmp_path / "run"
    (folder / CHECKPOINT).parent.mkdir(parents=True)
    save_config(config, ["cat", "dog"], folder)
    net = build_net(config.model, num_classes=2, crop=32)
    state = {f"net.{name}": value for name, value in net.state_dict().items()}
    torch.save({"epoch": 0, "state_dict": state}, folder / CHECKPOINT)
    data = IMAGES | {"name": "folder", "num_classes": 2, "train_fingerprint": "f", "crop": 32, "mean": [0.0] * 3}
    (folder / "result.json").write_text(json.dumps(asdict(make_record("table3/a", data=data))))
    return folder


def in_archive(hostile: Hostile) -> bytes:
    """As torch saves."""
    stream = io.BytesIO()
    torch.save({"epoch": 0, "state_dict": hostile, "global_step": 8, "callbacks": {"StateKeeper": hostile}}, stream)
    return stream.getvalue()


def plainly(hostile: Hostile) -> bytes:
    """As pickle does."""
    return pickle.dumps(hostile)


FORMS: list[Callable[[Hostile], bytes]] = [in_archive, plainly]


@pytest.mark.parametrize("form", FORMS)
def test_a_hostile_pickle_does_run_where_it_is_trusted(form: Callable[[Hostile], bytes], marker: Path) -> None:
    """Else the tests below would show nothing."""
    content = io.BytesIO(form(Hostile(marker)))
    (pickle if form is plainly else torch).load(content, **({} if form is plainly else {"weights_only": False}))
    assert marker.is_dir()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("file", [CHECKPOINT, LAST, Path("mine.pth")], ids=str)
def test_no_pickle_of_a_checkpoint_is_run(
    file: Path, form: Callable[[Hostile], bytes], run: Path, words: list[str], marker: Path
) -> None:
    (run / file).write_bytes(form(Hostile(marker)))
    match file.name:
        case "best.ckpt":
            result = call_command("evaluate.py", f"run={run}", f"data.root={images_of(run)}", "trainer=cpu")
        case "last.ckpt":
            (run / "result.json").unlink()
            images_of(run)
            result = call_command("train.py", *words)
        case _:
            weights = [f"weights={run / file}", "preprocessing=paper", "model=vgg_a", f"heatmap={a_picture(run)}"]
            result = call_command("evaluate.py", *weights, "trainer=cpu")
    told = "cannot be read as a file of PyTorch weights" if file.suffix == ".pth" else "is damaged"
    assert_refused(result, f"{file} {told}")
    assert not marker.exists()


def a_picture(run: Path) -> Path:
    file = run.parent / "picture.jpg"
    file.write_bytes(jpeg())
    return file


def images_of(run: Path) -> Path:
    """A few images of two classes, where the run had its own from."""
    for name in ("cat", "dog"):
        for number in range(6):
            file = run.parent / f"images/{name}/{number}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(jpeg())
    return run.parent / "images"


SAFE = {("np", "load"): "allow_pickle", ("torch", "load"): "weights_only"}
UNSAFE = {("yaml", "load"), ("yaml", "unsafe_load"), ("pickle", "load"), ("pickle", "loads"), ("marshal", "loads")}


@pytest.mark.parametrize("file", sorted((ROOT / "src/vggsuite").glob("**/*.py")), ids=lambda file: file.stem)
def test_every_loader_is_told_to_run_nothing(file: Path) -> None:
    for call in (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)):
        if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
            name = (call.func.value.id, call.func.attr)
            assert name not in UNSAFE
            assert name not in SAFE or SAFE[name] in [keyword.arg for keyword in call.keywords]


READERS: dict[str, Callable[[Path], Any]] = {
    "posteriors.npz": load_truth,
    "boxes.npz": load_answers,
    "candidates.npz": load_candidates,
    "shard_00000000.npz": saved_images,
    "shard_00000001.npz": lambda folder: collect(folder, 1),
    "part_0.npz": saved_keys,
    "val.npz": lambda folder: read_split(folder, "val"),
}


@pytest.mark.parametrize("name", READERS)
def test_no_pickle_of_an_array_is_run(name: str, tmp_path: Path, marker: Path) -> None:
    wanted = ("names", "labels", "classes", "counts", "edges", "scores", "indices", "vectors", "keys", "num_bytes")
    file = tmp_path / name
    save_arrays(file, **{array: np.array([Hostile(marker)], dtype=object) for array in wanted})
    with pytest.raises(UserError, match=f"{name} is damaged") as told:
        READERS[name](tmp_path)
    assert "\n" not in str(told.value)
    assert not marker.exists()
    np.load(file, allow_pickle=True)[wanted[0]]
    assert marker.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [("experiment", None), ("data", []), ("data", {"name": 1}), ("seed", "0"), ("test", {"flip": "${oc.env:HOME}"})],
)
def test_a_record_of_odd_types_is_refused(field: str, value: object, run: Path) -> None:
    record = json.loads((run / "result.json").read_text())
    (run / "result.json").write_text(json.dumps(record | {field: value}))
    assert_refused(call_command("evaluate.py", f"run={run}", "trainer=cpu"), f"result.json is damaged ({field}")


def test_nothing_that_is_told_steers_the_terminal(run: Path, tmp_path: Path) -> None:
    hostile = tmp_path / "a\x1b[2Jb\rc.png"
    hostile.write_bytes(b"")
    result = call_command("evaluate.py", f"run={run}", f"heatmap='{hostile}'", "trainer=cpu")
    assert_refused(result, "a\\x1b[2Jb\\rc.png cannot be read as an image")


CONFIGS = {
    "a python tag": ("!!python/object/apply:os.mkdir [{marker}]", "config.yaml is damaged (could not determine"),
    "a python name": ("!!python/name:os.mkdir", "config.yaml is damaged (could not determine"),
    "the environment": ("${{oc.env:SECRET}}", "config.yaml has '${oc.env:SECRET}', which a run's own config"),
    "another setting": ("${{data.root}}", "config.yaml has '${data.root}', which a run's own config"),
    "a nested one": (
        "folder\n  scale: [['${{oc.env:SECRET}}']]",
        "config.yaml has '${oc.env:SECRET}', which a run's own",
    ),
    "aliases": ("[&a [x], *a]", "config.yaml is damaged (it has an alias)"),
}
COMMANDS = {
    "evaluate": ("evaluate.py", "run={run}"),
    "train": ("train.py",),
    "localise train": ("localise.py", "train", "from={run}", "data=folder", "data.root=/nowhere"),
    "localise evaluate": ("localise.py", "evaluate", "run={run}"),
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("kind", CONFIGS)
def test_nothing_of_a_runs_config_is_run_or_resolved(
    kind: str, name: str, run: Path, words: list[str], marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", SECRET)
    value, told = CONFIGS[kind]
    config = (run / CONFIG_FILE).read_text()
    assert "  name: folder\n" in config
    odd = f"  name: {value.format(marker=marker)}\n"
    (run / CONFIG_FILE).write_text(config.replace("  name: folder\n", odd))
    (run / "localiser.json").write_text((run / "result.json").read_text())
    script, *typed = (word.format(run=run) for word in COMMANDS[name])
    result = call_command(script, *(words if name == "train" else typed))
    assert_refused(result, told)
    assert SECRET not in result.stdout + result.stderr
    assert not marker.exists()


def test_a_runs_config_makes_no_objects(run: Path, marker: Path) -> None:
    """What `instantiate` would make of a logger is left alone: the run's config says of net and data alone."""
    config = (run / CONFIG_FILE).read_text()
    assert "logger: {}\n" in config
    target = f"logger:\n  _target_: os.mkdir\n  path: {marker}\n"
    (run / CONFIG_FILE).write_text(config.replace("logger: {}\n", target))
    result = call_command("evaluate.py", f"run={run}", f"heatmap={a_picture(run)}", "trainer=cpu")
    assert result.returncode == 0, result.stderr
    assert not marker.exists()
