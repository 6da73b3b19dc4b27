"""transfer.py as a person types it, on miniatures of every data set in its owners' layout."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import TINY, assert_refused, call_command, run_command, smooth_picture
from tests.data.test_caltech import CLASSES, CLASSES_256, write_images
from tests.data.test_voc import ACTION, OBJECTS, VOC2007, VOC2012, annotate, write_sets

pytestmark = pytest.mark.slow

# Of each data set what is not as in the original: so few classes and images.
MINIATURES = {
    "caltech101": ("data.expected.classes=3", "data.splits.train_per_class=6", "data.splits.test_per_class=4"),
    "caltech256": ("data.expected.classes=4", "data.splits.train_per_class=5"),
    "voc2007": ("data.expected={classes:2,images:7}",),
    "voc2012": ("data.expected={classes:2,images:9}",),
    "voc2012_action": ("data.expected.classes=2", "regions=[image,box]"),
    "folder": ("data.val_fraction=0.34",),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data sets, and the run of a tiny net where Table 3's run of A would lie."""
    home = tmp_path_factory.mktemp("home")
    write_images(home / "101_ObjectCategories", CLASSES, "image_{number:04d}", images=12)
    write_images(home / "256_ObjectCategories", CLASSES_256, "{number:04d}", images=9)
    write_sets(home / "VOCdevkit/VOC2007", "Main", ("aeroplane", "bird"), VOC2007)
    voc2012 = home / "VOCdevkit/VOC2012"
    write_sets(voc2012, "Main", ("aeroplane", "bird"), VOC2012)
    write_sets(voc2012, "Action", ("jumping", "phoning"), ACTION)
    (voc2012 / "Annotations").mkdir()
    for image, boxes in OBJECTS.items():
        annotate(voc2012, image, boxes)
    for label, name in enumerate(("cat", "dog", "owl")):
        (home / "own" / name).mkdir(parents=True)
        for number in range(9):
            smooth_picture(40, 48, level=80 * label + number).save(home / f"own/{name}/{number}.png")
    words = ("model=vgg_a", f"data.root={home / 'own'}", f"hydra.run.dir={home / 'runs/own/table3/a/seed_0'}")
    result = run_command("train.py", *TINY, *words)
    assert result.returncode == 0, result.stderr
    return home


@pytest.fixture
def runs(home: Path, tmp_path: Path) -> Path:
    """A copy of the run, to be written beside."""
    shutil.copytree(home / "runs", tmp_path / "runs")
    return tmp_path / "runs"


def transfer(home: Path, runs: Path, data: str, *words: str) -> subprocess.CompletedProcess[str]:
    root = home / "own" if data == "folder" else home
    own = (f"data={data}", f"data.root={root}", f"paths.runs={runs}", "source=own", "trainer=cpu", *MINIATURES[data])
    return call_command("transfer.py", *own, "data.num_workers=0", *words)


def record_in(runs: Path, data: str) -> dict[str, Any]:
    (file,) = runs.glob(f"{data}/*/seed_0/transfer.json")
    content: dict[str, Any] = json.loads(file.read_text())
    return content


@pytest.mark.parametrize("data", MINIATURES)
def test_each_data_set(data: str, home: Path, runs: Path) -> None:
    result = transfer(home, runs, data, "nets=[a]")
    assert result.returncode == 0, result.stderr
    record = record_in(runs, data)
    last = result.stdout.splitlines()[-1]
    assert f"{record['metrics']['mean']:.2f}%" in last
    assert record["nets"] == ["A"]
    assert len(record["splits"]) == (3 if data.startswith("caltech") else 1)
    folder = next(runs.glob(f"{data}/*/seed_0"))
    assert len((folder / "per_class.csv").read_text().splitlines()) == 1 + record["data"]["num_classes"]
    stamp = (folder / "scores.npz").stat().st_mtime_ns
    assert transfer(home, runs, data, "nets=[a]").stdout.splitlines() == [last]  # and nothing is made anew
    assert (folder / "scores.npz").stat().st_mtime_ns == stamp
    assert transfer(home, runs, data, "nets=[a]", "rerun=true").stdout == result.stdout


def test_a_run_and_the_net_that_it_is_are_the_same(home: Path, runs: Path) -> None:
    scores = []
    for words in (["nets=[a]"], [f"run={runs / 'own/table3/a/seed_0'}"]):
        assert transfer(home, runs, "folder", *words).returncode == 0
        scores.append(record_in(runs, "folder")["splits"])
        shutil.rmtree(runs / "folder")
    assert scores[0] == scores[1]


def test_pixels_and_random_weights(home: Path, runs: Path) -> None:
    for features in ("pixels", "random"):
        result = transfer(home, runs, "folder", "nets=[a]", f"features={features}")
        assert result.returncode == 0, result.stderr
    settings = [json.loads(file.read_text())["settings"] for file in sorted(runs.glob("folder/*/seed_0/transfer.json"))]
    assert [found["features"] for found in settings] == ["pixels", "random"]


def test_fine_tuning_is_a_run_for_each_split(home: Path, runs: Path) -> None:
    words = (
        "nets=[a]",
        "mode=finetune",
        "freeze=conv",
        "recipe.epochs=1",
        "recipe.batch_size=4",
        "data.splits.number=2",
    )
    result = transfer(home, runs, "caltech101", *words)
    assert result.returncode == 0, result.stderr
    record = record_in(runs, "caltech101")
    for split in record["splits"]:
        run = json.loads((runs / split["run"] / "result.json").read_text())
        assert run["recipe"]["freeze"] == "conv"
        assert run["init"]["layers"] == "all_but_last"
        assert run["metrics"]["num_images"] == split["num_test"]
        errors = (runs / split["run"] / "evaluations").glob("*/per_class.csv")
        found = [100 - float(line.split(",")[2]) for line in next(errors).read_text().splitlines()[1:]]
        assert split["score"] == pytest.approx(sum(found) / len(found), abs=0.01)


def test_a_retrained_net_is_fine_tuned_anew(home: Path, runs: Path) -> None:
    words = ("nets=[a]", "mode=finetune", "freeze=none", "recipe.epochs=1", "recipe.batch_size=4")
    found = []
    for _ in range(2):
        assert transfer(home, runs, "folder", *words).returncode == 0
        record = record_in(runs, "folder")
        found.append((record["of"][0]["sha256"], record["splits"][0]["run"]))
        run = json.loads((runs / found[-1][1] / "result.json").read_text())
        assert run["init"]["sha256"] == found[-1][0]
        file = runs / "own/table3/a/seed_0/checkpoints/best.ckpt"
        checkpoint = torch.load(file, weights_only=True)
        checkpoint["state_dict"]["net.classifier.0.weight"] *= 1.3
        torch.save(checkpoint, file)
    assert found[0][0] != found[1][0]
    assert found[0][1] == found[1][1]


def test_learning_curves_keep_the_test_images(home: Path, runs: Path) -> None:
    for few in (2, 4):
        assert transfer(home, runs, "caltech101", "nets=[a]", f"data.splits.keep_per_class={few}").returncode == 0
    records = [json.loads(file.read_text()) for file in sorted(runs.glob("caltech101/*/seed_0/transfer.json"))]
    assert sorted(record["splits"][0]["num_train"] for record in records) == [6, 12]
    assert len({record["splits"][0]["num_test"] for record in records}) == 1


@pytest.mark.parametrize(
    ("data", "words", "told"),
    [
        ("folder", (), "one of them says whose features"),
        ("folder", ("nets=[f]",), "allowed, each once: a, a_lrn, b, c, d, e"),
        ("folder", ("nets=[b]",), "make ablation-table DATA=own"),
        ("folder", ("nets=[a]", "metric=average_precision"), "allowed: metric=mean_class_recall."),
        ("voc2007", ("nets=[a]", "metric=mean_class_recall"), "images that have several classes each"),
        ("voc2007", ("nets=[a]", "mode=finetune"), "which the soft-max cannot learn"),
        ("folder", ("nets=[a]", "regions=[box]"), "has no boxes; allowed: regions=[image]"),
        ("folder", ("nets=[a]", "scales=four"), "allowed: three, five, or"),
        (
            "folder",
            ("nets=[a]", "mode=finetune", "freeze=[fc9]", "recipe.batch_size=4"),
            "freeze=['fc9'] is no part of the net",
        ),
        ("folder", ("nets=[a]", "data.splits.number=2"), "would be one split so many times"),
        ("caltech101", ("nets=[a]", "data.splits.train_per_class=12"), "has 12 images, and"),
        ("caltech101", ("nets=[a]", "data.root=/nowhere"), "python -m vggsuite.data.download caltech101 /nowhere"),
    ],
)
def test_what_cannot_be_done(data: str, words: tuple[str, ...], told: str, home: Path, runs: Path) -> None:
    assert_refused(transfer(home, runs, data, *words), told)
    assert not list(runs.glob(f"{data}/**/transfer.json"))
