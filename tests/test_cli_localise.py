"""localise.py as a person types it, on a miniature with boxes in Kaggle's and in the class folders' layout."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.conftest import assert_refused, call_command, run_command

pytestmark = pytest.mark.slow

CLASSES = ("cat", "dog", "owl")
TINY = (
    *("data=folder", "data.name=mini", "data.crop=32", "data.held_out=0.3", "data.num_workers=0", "model.num_pools=3"),
    *("model.width=0.02", "recipe.epochs=1", "recipe.batch_size=4", "trainer=cpu"),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set with boxes, a classification run on it, and a box regressor that began as that."""
    home = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(0)
    for split, count in (("train", 10), ("val", 5)):
        rows = ["ImageId,PredictionString"]
        for label, name in enumerate(CLASSES):
            (home / "mini" / split / name).mkdir(parents=True)
            for number in range(count):
                image = Image.new("RGB", (60, 50 + number), (60 * label, 90, 30))
                left, top = rng.integers(5, 25, 2).tolist()
                ImageDraw.Draw(image).rectangle((left, top, left + 19, top + 19), fill="white")
                image.save(home / "mini" / split / name / f"{name}_{number}.png")
                if number:  # the first of each class has no box
                    rows.append(f"{name}_{number},{name} {left} {top} {left + 20} {top + 20} ")
        (home / "mini" / f"LOC_{split}_solution.csv").write_text("\n".join(rows) + "\n")
    words = ("model=vgg_a", f"data.root={home / 'mini'}", f"hydra.run.dir={home / 'runs/mini/table3/a/seed_0'}")
    result = call_command("train.py", *TINY, *words)
    assert result.returncode == 0, result.stderr
    result = localise(home, "train", *train_words(home))
    assert result.returncode == 0, result.stderr
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    """A copy of it, to be written into."""
    shutil.copytree(made, tmp_path / "home")
    return tmp_path / "home"


def train_words(home: Path) -> list[str]:
    return [
        *(f"from={home / 'runs/mini/table3/a/seed_0'}", "data=folder", "data.name=mini", f"data.root={home / 'mini'}"),
        *("recipe.epochs=1", "recipe.batch_size=4", "data.num_workers=0"),
    ]


def localise(home: Path, command: str, *words: str) -> subprocess.CompletedProcess[str]:
    trainer = () if command == "fuse" else ("trainer=cpu",)
    return call_command("localise.py", command, f"paths.runs={home / 'runs'}", *trainer, *words)


def regressor(home: Path) -> Path:
    (record,) = (home / "runs/mini/localise").glob("*/seed_0/localiser.json")
    return record.parent


def test_of_each_run(home: Path) -> list[str]:
    """What every test of the miniature's regressor is told."""
    return [f"run={regressor(home)}", f"data.root={home / 'mini'}"]


test_of_each_run.__test__ = False  # type: ignore[attr-defined]


def test_a_box_regressor_is_trained(made: Path) -> None:
    folder = regressor(made)
    record = json.loads((folder / "localiser.json").read_text())
    assert (record["regression"], record["finetune"]) == ("pcr", "all")
    assert folder.parent.name.startswith("table3-a-pcr-all")
    assert record["init"]["layers"] == "all_but_last"
    assert record["boxes"]["counts"]["train"]["images_without"] == 3
    assert record["boxes"]["counts"]["val"]["images_without"] == 3
    assert record["metrics"]["num_images"] == 12
    assert len(record["boxes"]["mean_box"]) == 4
    assert record["command"].startswith("python src/localise.py train ")
    header, first = (folder / "metrics.csv").read_text().splitlines()[:2]
    assert "val/gt_class_error" in header
    assert first


def test_a_finished_one_is_left_alone(made: Path) -> None:
    result = localise(made, "train", *train_words(made))
    assert "is finished; rerun=true repeats it" in result.stdout


@pytest.mark.parametrize(("regression", "outputs"), [("scr", 4), ("pcr", 12)])
def test_fc_layers_alone_learn_where_that_is_said(regression: str, outputs: int, home: Path) -> None:
    import torch

    words = ("finetune=fc", f"regression={regression}", "recipe.lr=0.001")
    result = localise(home, "train", *train_words(home), *words)
    assert result.returncode == 0, result.stderr
    (file,) = (home / "runs/mini/localise").glob(f"*{regression}-fc*/seed_0/checkpoints/best.ckpt")
    ours = torch.load(file, weights_only=True)["state_dict"]
    theirs = torch.load(home / "runs/mini/table3/a/seed_0/checkpoints/best.ckpt", weights_only=True)["state_dict"]
    assert ours["net.classifier.6.bias"].shape == (outputs,)
    for name in theirs:
        if name.startswith("net.features"):
            assert torch.equal(ours[name], theirs[name])
    assert not torch.equal(ours["net.classifier.0.weight"], theirs["net.classifier.0.weight"])


@pytest.mark.parametrize("protocol", ["ground_truth", "dense", "crops"])
def test_each_protocol(protocol: str, home: Path) -> None:
    scales = "scales=37" if protocol == "ground_truth" else "scales=[37,42]"
    result = localise(home, "evaluate", *test_of_each_run(home), f"protocol={protocol}", scales)
    assert result.returncode == 0, result.stderr
    (file,) = (regressor(home) / "localisations").glob(f"{protocol}-37{'' if scales == 'scales=37' else '-42'}*/*.json")
    record = json.loads(file.read_text())
    assert f"{record['metrics']['gt_class_error']:.2f}%" in result.stdout
    assert ("top5_error" in record["metrics"]) == (protocol != "ground_truth")
    assert record["data"]["counts"]["images_without"] == 3
    with np.load(file.with_name("boxes.npz")) as arrays:
        assert arrays["wrong_gt_class"].mean() * 100 == pytest.approx(record["metrics"]["gt_class_error"])
        assert arrays["edges"].shape == (12, 1 if protocol == "ground_truth" else 4, 4)  # three guesses and the class
    stamp = file.stat().st_mtime_ns
    again = localise(home, "evaluate", *test_of_each_run(home), f"protocol={protocol}", scales)
    assert again.stdout == result.stdout
    assert file.stat().st_mtime_ns == stamp
    others = localise(home, "evaluate", *test_of_each_run(home), f"protocol={protocol}", scales, "rerun=true")
    assert others.stdout == result.stdout


def test_held_out_images_are_tested_given_the_class(home: Path) -> None:
    result = localise(home, "evaluate", *test_of_each_run(home), "split=held_out")
    assert result.returncode == 0, result.stderr
    assert ": 9 images" in result.stdout
    assert "top-5" not in result.stdout


def test_a_fusion_is_of_the_union_of_boxes(home: Path) -> None:
    folders = []
    for scale in (37, 42):
        folders.append(home / f"test_{scale}")
        words = (*test_of_each_run(home), f"scales={scale}", f"output={folders[-1]}", "merging.threshold=0.5")
        assert localise(home, "evaluate", *words).returncode == 0
    both = home / "both"
    words = (*test_of_each_run(home), "scales=[37,42]", f"output={both}", "merging.threshold=0.5")
    assert localise(home, "evaluate", *words).returncode == 0
    fused = home / "fused"
    words = (f"members=[{folders[0]},{folders[1]}]", f"output={fused}", "merging.threshold=0.5")
    result = localise(home, "fuse", *words)
    assert result.returncode == 0, result.stderr
    with np.load(fused / "boxes.npz") as one, np.load(both / "boxes.npz") as other:
        np.testing.assert_allclose(one["edges"], other["edges"], atol=1e-3)  # two scales of one net, either way
    assert localise(home, "fuse", *words).stdout == result.stdout
    refused = localise(home, "fuse", f"members=[{folders[0]}]")
    assert_refused(refused, "are too few")
    assert_refused(localise(home, "fuse", f"members=[{folders[0]},{home}]"), "holds no test of boxes")


def test_an_output_is_not_replaced_by_another_test(home: Path) -> None:
    own = (*test_of_each_run(home), f"output={home / 'test'}")
    first = localise(home, "evaluate", *own)
    assert first.returncode == 0, first.stderr
    for word in ("protocol=crops", "scales=42", "merging.threshold=0.1", "split=held_out"):
        assert_refused(localise(home, "evaluate", *own, word), "holds a test by other settings")
    assert localise(home, "evaluate", *own).stdout == first.stdout
    assert localise(home, "evaluate", *own, "protocol=crops", "rerun=true").returncode == 0


def test_what_was_killed_is_not_mistaken_for_another_protocol(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vggsuite.localisation import evaluation

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    own = (*test_of_each_run(home), f"output={home / 'test'}")
    expected = localise(home, "evaluate", *test_of_each_run(home), f"output={home / 'other'}", "protocol=crops").stdout
    with monkeypatch.context() as patch:  # when all is computed and nothing is told
        patch.setattr(evaluation, "candidates_of", killed)
        assert localise(home, "evaluate", *own, "protocol=dense").returncode == 130
    assert list((home / "test").glob("shards/*/*/shard_*.npz"))
    found = localise(home, "evaluate", *own, "protocol=crops").stdout
    assert found.splitlines()[1:] == expected.splitlines()[1:]


def test_a_repeated_classification_run_is_noticed(home: Path) -> None:
    with (home / "runs/mini/table3/a/seed_0/checkpoints/best.ckpt").open("ab") as file:
        file.write(b"others")
    config = regressor(home) / "config.yaml"
    (parent,) = (line for line in config.read_text().splitlines() if line.startswith("  run: "))
    config.write_text(config.read_text().replace(parent, f"  run: {home / 'runs/mini/table3/a/seed_0'}"))
    assert_refused(localise(home, "evaluate", *test_of_each_run(home)), "was repeated since")


def test_pictures_are_drawn(home: Path) -> None:
    own = home / "own.png"
    Image.new("RGB", (90, 70), "grey").save(own)
    for image, told in (("3", None), ("dog_1", "dog_1"), (str(own), "own")):
        result = localise(home, "show", *test_of_each_run(home), f"image={image}")
        assert result.returncode == 0, result.stderr
        file = Path(result.stdout.strip().removeprefix("saved: "))
        assert told is None or told in file.name
        with Image.open(file) as picture:
            assert np.asarray(picture.convert("L")).std() > 5
    assert_refused(localise(home, "show", *test_of_each_run(home), "image=nothing"), "image=nothing is neither")
    assert_refused(localise(home, "show", *test_of_each_run(home), "image=13"), "allowed: 1 to 12")


def test_a_new_process_needs_nothing_but_the_command(home: Path) -> None:
    words = (f"paths.runs={home / 'runs'}", "trainer=cpu", *test_of_each_run(home), "protocol=ground_truth")
    result = run_command("localise.py", "evaluate", *words, cwd=home)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("command", "words", "told"),
    [
        ("train", ("scale=single_384",), "was trained at S = 37"),
        ("train", ("model.dropout=0.1",), "model.dropout is a run's own"),
        ("train", ("recipe.freeze=all_but_last",), "recipe.freeze=all_but_last is what finetune=all says"),
        ("train", ("boxes.root=/nowhere", "rerun=true"), "holds no boxes of the train images"),
        ("train", ("regression=both",), "regression"),
        ("evaluate", ("scales=20",), "below the net's smallest input of 32"),
        ("evaluate", ("protocol=ground_truth", "scales=[37,42]"), "protocol=ground_truth has one crop"),
        ("evaluate", ("protocol=ground_truth", "labels=/x"), "labels=/x changes nothing with protocol=ground_truth"),
        ("evaluate", ("labels=/nowhere",), "labels=/nowhere holds no evaluation"),
        ("evaluate", ("classifier=/nowhere",), "classifier=/nowhere holds no finished run"),
        ("evaluate", ("merging.threshold=-1",), "merging.threshold=-1.0 is out of range"),
        ("evaluate", ("data.crop=48",), "data.crop is a run's own"),
    ],
)
def test_what_cannot_be_done_is_told(command: str, words: tuple[str, ...], told: str, made: Path) -> None:
    own = train_words(made) if command == "train" else test_of_each_run(made)
    assert_refused(localise(made, command, *own, *words), told)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "nothing is no command; usage: python src/localise.py train|evaluate|fuse|show"),
        (("draw",), "draw is no command"),
        (("train",), "from= is missing"),
        (("train", "from=/nowhere"), "from=/nowhere holds no finished run"),
        (("evaluate",), "run= is missing"),
        (("evaluate", "run=/nowhere"), "run=/nowhere holds no finished run, for want of localiser.json"),
    ],
)
def test_a_command_says_what_it_lacks(words: tuple[str, ...], told: str) -> None:
    assert_refused(call_command("localise.py", *words), told)


def test_a_run_of_other_data_wants_its_recipe(made: Path) -> None:
    words = [f"from={made / 'runs/mini/table3/a/seed_0'}"]
    assert_refused(localise(made, "train", *words), "type data=folder")


def test_data_without_boxes_is_told(home: Path) -> None:
    for split in ("train", "val"):
        (home / f"mini/LOC_{split}_solution.csv").unlink()
    words = (*train_words(home), "rerun=true")
    assert_refused(localise(home, "train", *words), "holds no boxes of the train images")
    assert_refused(localise(home, "evaluate", *test_of_each_run(home)), "holds no boxes of the val images")


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("cat_1,cat 5 5 999 30 ", "reaching outside"),
        ("cat_1,cat 30 5 10 30 ", "inverted or outside"),
        ("cat_99,cat 5 5 9 30 ", "without an image"),
    ],
)
def test_faulty_boxes_are_refused_or_counted(row: str, fault: str, home: Path) -> None:
    with (home / "mini/LOC_val_solution.csv").open("a") as file:
        file.write(row + "\n")
    words = (*test_of_each_run(home), "protocol=ground_truth", "rerun=true")
    assert_refused(localise(home, "evaluate", *words), fault)
    result = localise(home, "evaluate", *words, "boxes.faulty=mend")
    assert result.returncode == 0, result.stderr
