"""Nets of other families as a person uses them: runs, every protocol, fusion, transfer, figures, refusals."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import TINY, assert_refused, call_command, smooth_picture
from vggsuite.results.predictions import load_posteriors

pytestmark = pytest.mark.slow
WORDS = tuple(word for word in TINY if not word.startswith("model.width"))  # of which each net has its own here
NETS = {"alexnet": "0.05", "googlenet": "0.125", "resnet18": "0.05", "plain20": "0.0625"}
PRELU = ("model=vgg_25", "model.width=0.02", "model.batch_norm=true", "model.shortcuts=true", "model.activation=prelu")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of images, and a run of each of `NETS`, and of VGG with other factors, trained on them."""
    home = tmp_path_factory.mktemp("home")
    for label, name in enumerate(("cat", "dog", "owl")):
        (home / "images" / name).mkdir(parents=True)
        for number in range(9):
            picture = smooth_picture(40, 48 + number % 3, level=(80 * label + number) % 256)
            picture.save(home / "images" / name / f"{name}_{number}.png")
    for name, width in NETS.items():
        train(home, name, f"model={name}", f"model.width={width}")
    train(home, "vgg", *PRELU, "model.head=global_average_pool", "test.training_error=true")
    return home


def train(home: Path, name: str, *words: str) -> None:
    places = (f"data.root={home / 'images'}", f"paths.runs={home / 'runs'}", f"hydra.run.dir={home / 'runs' / name}")
    result = call_command("train.py", *WORDS, *places, *words)
    assert result.returncode == 0, result.stderr


def evaluate(home: Path, name: str, *words: str) -> Path:
    result = call_command("evaluate.py", f"run={home / 'runs' / name}", "batch_size=16", *words)
    assert result.returncode == 0, result.stderr
    return home / "runs" / name / "evaluations"


@pytest.mark.parametrize("name", [*NETS, "vgg"])
def test_a_record_tells_the_net_and_what_it_costs(name: str, home: Path) -> None:
    model = json.loads((home / "runs" / name / "result.json").read_text())["model"]
    assert model["family"] == name.replace("plain20", "resnet").replace("resnet18", "resnet")
    assert 0 < model["parameters"] < model["multiply_adds"]


@pytest.mark.parametrize("name", [*NETS, "vgg"])
def test_every_protocol(name: str, home: Path) -> None:
    places = evaluate(home, name, "protocol=both", "scales=[36,40]")
    parts = [load_posteriors(places / f"{part}-36-40-flip") for part in ("dense", "multi_crop")]
    assert np.allclose(load_posteriors(places / "both-36-40-flip"), np.mean(parts, axis=0), atol=2e-3)
    evaluate(home, name, "protocol=ten_crop", "scales=[40]")


def test_the_training_error_is_of_the_images_learnt_from(home: Path) -> None:
    record = json.loads((home / "runs/vgg/result.json").read_text())
    assert record["metrics"]["train"]["num_images"] == record["data"]["num_train"]
    (place,) = (home / "runs/vgg/evaluations").glob("dense-*@train")
    made = json.loads((place / "evaluation.json").read_text())
    assert made["metrics"] == record["metrics"]["train"]
    assert made["data"]["fingerprint"] != record["data"]["fingerprint"]


def test_two_families_are_fused(home: Path) -> None:
    for name in ("alexnet", "resnet18"):
        evaluate(home, name, "scales=[36]")
    members = f"members=[{home / 'runs/alexnet'},{home / 'runs/resnet18'}]"
    result = call_command("fuse.py", members, "scales=[36]", f"output={home / 'runs/fused'}")
    assert result.returncode == 0, result.stderr
    assert "9 images of folder" in result.stdout


@pytest.mark.parametrize(
    ("name", "figure"),
    [
        ("alexnet", "heatmap"),
        ("googlenet", "feature_maps"),
        ("plain20", "filters"),
        ("vgg", "feature_maps"),
        ("vgg", "heatmap"),
    ],
)
def test_figures(name: str, figure: str, home: Path, tmp_path: Path) -> None:
    words = (
        [] if figure == "filters" else ["image=0", "scales=[48]", *(["number=2"] if figure == "feature_maps" else [])]
    )
    result = call_command(
        "draw.py", f"run={home / 'runs' / name}", f"figure={figure}", f"output={tmp_path / 'f'}", *words
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "f.png").stat().st_size > 1000


@pytest.mark.parametrize("name", ["googlenet", "vgg"])
def test_features_are_transferred(name: str, home: Path) -> None:
    words = (f"run={home / 'runs' / name}", "data=folder", f"data.root={home / 'images'}", "scales=[36]")
    splits = ("data.val_fraction=0.34", "data.held_out=0.3", "trainer=cpu", f"paths.runs={home / 'runs'}")
    result = call_command("transfer.py", *words, *splits)
    assert result.returncode == 0, result.stderr
    assert "mean class recall" in result.stdout
    assert_refused(call_command("transfer.py", *words, *splits, "relu=false"), "relu=false takes a hidden FC layer's")


def test_what_they_cannot_do_is_told(home: Path) -> None:
    run = f"run={home / 'runs/resnet18'}"
    assert_refused(
        call_command("evaluate.py", run, "ceil_mode=true"),
        "ceil_mode=true changes nothing of model.family=resnet, which says itself how its pools round; allowed with "
        "model.family=vgg or alexnet",
    )
    place = (f"data.root={home / 'images'}", f"paths.runs={home / 'runs'}")
    assert_refused(
        call_command("train.py", *WORDS, *place, "model=resnet18", "init=net_a", f"init.run={home / 'runs/alexnet'}"),
        "init=net_a cannot copy conv1_1",
    )
    assert_refused(
        call_command("train.py", *WORDS, *place, "model=googlenet", "model.activation=prelu"),
        "model.activation=prelu has no part in model.family=googlenet, where it is relu; allowed: model.depth,",
    )
    assert_refused(
        call_command("train.py", *WORDS, *place, "model=resnet50", "recipe.checkpoint_activations=true"),
        "recipe.checkpoint_activations=true would count every batch twice",
    )
