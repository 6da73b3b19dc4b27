"""evaluate.py and fuse.py as a person types them: every protocol, published weights, bad input, kill -9, a heat map."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import ROOT, TINY, assert_refused, call_command, run_command, smooth_picture
from vggsuite.models.initialisation import draw_weights
from vggsuite.models.vgg import VGG
from vggsuite.results.predictions import load_posteriors, load_truth

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of images, and the runs of two tiny nets trained on them."""
    home = tmp_path_factory.mktemp("home")
    for label, name in enumerate(("cat", "dog", "owl")):
        (home / "images" / name).mkdir(parents=True)
        for number in range(9):
            picture = smooth_picture(40, 48 + number % 3, level=(80 * label + number) % 256)
            picture.save(home / "images" / name / f"{name}_{number}.png")
    words = ("model=vgg_a,vgg_b", f"data.root={home / 'images'}", f"paths.runs={home / 'runs'}", "data.scale=multi")
    result = call_command("train.py", "--multirun", *TINY, *words, "hydra.sweep.subdir=${model.depth}")
    assert result.returncode == 0, result.stderr
    return home


@pytest.fixture
def runs(home: Path, tmp_path: Path) -> Path:
    """A copy of the two runs, to be written into: `runs`/11 and `runs`/13."""
    shutil.copytree(home / "runs/folder", tmp_path / "runs")
    return tmp_path / "runs"


def evaluate(*words: str) -> subprocess.CompletedProcess[str]:
    return call_command("evaluate.py", *words)


@pytest.mark.parametrize("protocol", ["dense", "multi_crop", "both", "centre_crop", "ten_crop"])
def test_every_protocol_of_a_run(protocol: str, runs: Path) -> None:
    words = (f"run={runs / '11'}", f"protocol={protocol}", "scales=[36,40]", "batch_size=16")
    result = evaluate(*words)
    assert result.returncode == 0, result.stderr
    assert "9 images of folder" in result.stdout
    flip = "" if protocol == "centre_crop" else "-flip"
    folder = runs / f"11/evaluations/{protocol}-36-40{flip}"
    record = json.loads((folder / "evaluation.json").read_text())
    assert record["metrics"]["num_images"] == 9
    assert record["protocol"]["scales"] == [36, 40]
    assert f"top-1 error {record['metrics']['top1_error']:6.2f}%" in result.stdout
    stamp = (folder / "posteriors.npz").stat().st_mtime_ns
    assert evaluate(*words).stdout == result.stdout
    assert (folder / "posteriors.npz").stat().st_mtime_ns == stamp


def test_the_commands_from_another_folder(runs: Path, tmp_path: Path) -> None:
    """Relative paths are from where one is, and nothing is left there."""
    assert evaluate(f"run={runs / '13'}", "scales=[36]").returncode == 0
    result = run_command("evaluate.py", "run=runs/11", "scales=[36]", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    words = ("members=[runs/11,runs/13]", "scales=[36]", "output=runs/fused")
    result = run_command("fuse.py", *words, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "runs/fused/evaluation.json").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}


def test_the_training_ends_with_the_same_evaluation(runs: Path) -> None:
    """What train.py left is what evaluate.py computes: from the saved config, whatever today's defaults are."""
    (folder,) = (runs / "13/evaluations").iterdir()
    before = load_posteriors(folder)
    result = evaluate(f"run={runs / '13'}", "rerun=true", "batch_size=3")
    assert result.returncode == 0, result.stderr
    assert np.allclose(load_posteriors(folder), before, rtol=5e-3)


def test_a_fusion_of_runs_and_of_evaluations(runs: Path, tmp_path: Path) -> None:
    members = f"members=[{runs / '11'},{runs / '13'}]"
    words = (members, f"paths.runs={tmp_path / 'fused'}")
    refused = call_command("fuse.py", *words, "scales=multi")
    assert_refused(refused, f"python src/evaluate.py run={runs / '11'} protocol=dense scales=multi")
    for run in ("11", "13"):
        assert evaluate(f"run={runs / run}", "scales=multi").returncode == 0
    mean = runs / "11/evaluations/dense-37-55-73-flip"
    assert_refused(call_command("fuse.py", f"members=[{mean},{mean.parent / 'dense-55-flip'}]"), "would count double")
    result = call_command("fuse.py", *words, "scales=multi")
    assert result.returncode == 0, result.stderr
    (folder,) = (file.parent for file in tmp_path.glob("fused/folder/fusions/*/evaluation.json"))
    parts = [runs / run / "evaluations/dense-37-55-73-flip" for run in ("11", "13")]
    expected = np.mean([load_posteriors(part) for part in parts], axis=0)
    assert np.allclose(load_posteriors(folder), expected, rtol=5e-3)
    again = call_command("fuse.py", f"members=[{','.join(map(str, parts))}]", f"paths.runs={tmp_path / 'fused'}")
    assert again.stdout == result.stdout  # the same evaluations, named one by one: finished already


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("members=[]", "are too few"),
        ("members=[{runs}/11]", "are too few"),
        ("members=[{runs}/11,{runs}/11]", "twice"),
        ("members=[{runs}/11,/nowhere]", "holds neither a finished run nor an evaluation"),
        ("members=[{runs}/11,{runs}/13] scales=[5]", "below the net's smallest input"),
        (
            "members=[{runs}/11,{runs}/13] output={runs}/11",
            "which this one would replace",
        ),
        ("experiment=table6/both paths.runs={runs}", "table3/d_multi/seed_0, which holds neither"),
    ],
)
def test_bad_members_are_told_in_one_sentence(words: str, told: str, runs: Path) -> None:
    assert_refused(call_command("fuse.py", *words.format(runs=runs).split()), told)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("", "type run=<folder of a finished run>"),
        ("run=/nowhere", "run=/nowhere holds no finished run"),
        ("run={runs}", "holds no finished run, for want of result.json"),
        ("run={run} weights=vgg16", "one of them is evaluated"),
        ("run={run} model=vgg_e", "model is a run's own"),
        ("run={run} data.crop=64", "data.crop is a run's own"),
        ("run={run} data.root=/nowhere", "/nowhere is no folder"),
        ("run={run} data=digits", "tells 3 classes apart and data=digits has 10"),
        ("run={run} scales=[31]", "has Q = 31, below the net's smallest input of 32"),
        ("run={run} scales=[900]", "more than 16 crops"),
        ("run={run} scales=many", "scales=many is no list of test scales"),
        ("run={run} protocol=sparse", "protocol cannot be set to that"),
        ("run={run} protocol=ten_crop average=posteriors", "average=posteriors changes nothing"),
        ("run={run} protocol=multi_crop ceil_mode=true", "ceil_mode=True changes nothing"),
        ("run={run} batch_size=0", "batch_size=0 is out of range"),
        ("run={run} precision=auto", "allowed: precision=fp32, precision=bf16"),
        ("run={run} data.num_workers=-1", "data.num_workers=-1 is out of range"),
        ("run={run} data=folder data.name=../x data.root={runs}", "data.name=../x is out of range"),
        ("run={run} scales=[36] trainer=gpu", "trainer=cpu"),
        ("run={run} scales=[36] trainer.devices=99", "trainer.devices=99 asks for more"),
        ("run={run} +trainer.devics=2", "trainer.devics=2 is for training"),
        ("run={run} trainer.num_nodes=2", "trainer.num_nodes=2 is for training"),
        ("run={run} heatmap_class=cat", "type heatmap=<an image> too"),
        ("run={run} data.root=", "data.root= is empty"),
        ("run={run} heatmap=/nowhere.png", "/nowhere.png cannot be read as an image"),
        ("run={run} heatmap={picture} heatmap_class=fox", "heatmap_class=fox is none of the 3 classes; allowed: cat"),
        ("run={run} heatmap={picture} protocol=ten_crop", "type protocol=dense"),
        ("weights=vgg16", "type model=vgg_d"),
        ("weights=vgg16 model=vgg_d data.mean=[1,2,3]", "type preprocessing="),
        ("weights=vgg16 model=vgg_d model.dropout=2", "model.dropout=2.0 is out of range"),
        ("weights=/nowhere.pth model=vgg_d", "weights=/nowhere.pth is no file"),
        ("weights={checkpoint} model=vgg_a", "preprocessing=paper|torchvision|oxford"),
    ],
)
def test_bad_settings_are_told_in_one_sentence(words: str, told: str, runs: Path, home: Path) -> None:
    picture, run = home / "images/cat/cat_0.png", runs / "11"
    weights = runs / "weights.pth"
    torch.save({}, weights)
    filled = words.format(runs=runs, run=run, picture=picture, checkpoint=weights)
    assert_refused(call_command("evaluate.py", *filled.split()), told)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("missing", "for want of checkpoints/best.ckpt"),
        ("empty", "is damaged"),
        ("classes", "for want of classes.txt"),
        ("config", "config.yaml is damaged"),
        ("record", "result.json is damaged"),
        ("cut", "is damaged"),
        ("other", "is of another net, first in features.2"),
    ],
)
def test_a_damaged_checkpoint_is_told(damage: str, told: str, runs: Path) -> None:
    checkpoint = runs / "11/checkpoints/best.ckpt"
    match damage:
        case "missing":
            checkpoint.unlink()
        case "empty":
            torch.save([1], checkpoint)
        case "classes":
            (runs / "11/classes.txt").unlink()
        case "config":
            (runs / "11/config.yaml").write_text("")
        case "record":
            (runs / "11/result.json").write_text("{bad")
        case "cut":
            checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
        case "other":
            shutil.copy(runs / "13/checkpoints/best.ckpt", checkpoint)
    assert_refused(call_command("evaluate.py", f"run={runs / '11'}", "scales=[36]"), told)


def test_other_images_of_the_same_classes_are_told_from_the_runs_own(runs: Path, home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "images", tmp_path / "others/val")
    words = (f"run={runs / '11'}", "data=folder", "data.name=others", f"data.root={tmp_path / 'others'}")
    assert_refused(evaluate(words[0], words[3]), "holds other validation images than those that")
    result = evaluate(*words)
    assert result.returncode == 0, result.stderr
    assert "27 images of others" in result.stdout
    assert (runs / "11/evaluations/dense-55-flip@others/evaluation.json").is_file()
    (tmp_path / "others/val/cat").rename(tmp_path / "others/val/bat")
    assert_refused(call_command("evaluate.py", *words), "class 0 is cat in")


def test_published_weights(home: Path, tmp_path: Path) -> None:
    """A file in torchvision's form, with its preprocessing and its figure, on validation images alone."""
    torch.manual_seed(0)
    net = VGG(11, num_classes=3, width=1 / 32)
    draw_weights(net, "kaiming")
    torch.save(net.state_dict(), tmp_path / "vgg11-8a719046.pth")
    shutil.copytree(home / "images", tmp_path / "data/val")
    words = [
        *("model=vgg_a", "model.width=0.03125", f"weights={tmp_path / 'vgg11-8a719046.pth'}", "data=imagenet"),
        *(f"data.root={tmp_path / 'data'}", "data.num_workers=0", f"paths.runs={tmp_path / 'runs'}"),
        *("data.expected.classes=3", "data.expected.val=27", "protocol=centre_crop"),
    ]
    result = evaluate(*words)
    assert result.returncode == 0, result.stderr
    assert "published: top-1 error 30.98%, top-5 error 11.37% by centre_crop at Q = 256 (torchvision)" in result.stdout
    assert "warning: no published figure is comparable with centre_crop at Q = 256 on 27 images" in result.stdout
    (file,) = tmp_path.glob("runs/imagenet/weights/VGG11_Weights.IMAGENET1K_V1/evaluations/*/evaluation.json")
    assert "std" in json.loads(file.read_text())["of"][0]["preprocessing"]
    assert_refused(
        call_command("evaluate.py", *words, "model=vgg_b"), "is of another net, first in conv1_2 (features.2.weight)"
    )
    assert_refused(
        call_command("evaluate.py", *words, "data.expected.val=50000"), "holds 27 val where data=imagenet has 50000"
    )


def test_two_devices_give_the_figures_of_one(runs: Path) -> None:
    words = (f"run={runs / '11'}", "scales=[36]", "shard_size=2", "trainer=cpu")
    found = []
    for devices in (1, 2):
        shutil.rmtree(runs / "11/evaluations/dense-36-flip", ignore_errors=True)
        result = (call_command if devices == 1 else run_command)("evaluate.py", *words, f"trainer.devices={devices}")
        assert result.returncode == 0, result.stderr
        found.append(load_posteriors(runs / "11/evaluations/dense-36-flip"))
        record = json.loads((runs / "11/evaluations/dense-36-flip/evaluation.json").read_text())
        assert (record["cost"]["devices"], record["metrics"]["num_images"]) == (devices, 9)
    assert np.allclose(found[0], found[1], rtol=5e-3)


def test_an_unreadable_image_is_told_by_every_device(home: Path, runs: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "images", tmp_path / "images")
    for file in (tmp_path / "images").rglob("*_8.png"):
        file.write_bytes(file.read_bytes()[:90])
    words = [f"run={runs / '11'}", f"data.root={tmp_path / 'images'}", "data=folder", "data.name=broken", "trainer=cpu"]
    words += ["data.val_fraction=0.34", "data.num_workers=0", "scales=[36]"]
    for command, devices in ((call_command, 1), (run_command, 2)):
        assert_refused(
            command("evaluate.py", *words, f"trainer.devices={devices}"), "_8.png cannot be read as an image"
        )


def test_a_killed_evaluation_goes_on_and_a_second_process_waits(runs: Path) -> None:
    expected = evaluate(f"run={runs / '13'}", "protocol=multi_crop", "scales=[200]")
    assert expected.returncode == 0, expected.stderr
    shutil.rmtree(runs / "13/evaluations/multi_crop-200-flip")
    words = [f"run={runs / '13'}", "protocol=multi_crop", "scales=[200]", "shard_size=1", "batch_size=1"]
    command = [sys.executable, str(ROOT / "src/evaluate.py"), *words]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    shards = runs / "13/evaluations/multi_crop-200-flip/shards"
    deadline = time.monotonic() + 60
    while not list(shards.glob("*/shard_*.npz")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = {file: file.stat().st_mtime_ns for file in shards.glob("*/shard_*.npz")}
    assert 0 < len(kept) < 9
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate()[0] for process in both]
    assert outputs == [expected.stdout] * 2
    assert not shards.exists()


def test_a_heat_map_is_drawn(runs: Path, tmp_path: Path) -> None:
    smooth_picture(120, 90).save(tmp_path / "picture.png")
    words = (f"run={runs / '11'}", f"heatmap={tmp_path / 'picture.png'}", "scales=multi", "heatmap_class=owl")
    result = evaluate(*words)
    assert result.returncode == 0, result.stderr
    file, drawing = map(Path, result.stdout.removeprefix("saved: ").split())
    assert file == runs / f"11/heatmaps/{tmp_path.name}-picture.png-dense-37-55-73-flip-owl.png"
    assert drawing == file.with_suffix(".svg")
    assert "scores of owl" in drawing.read_text()
    with Image.open(file) as drawn:
        assert drawn.width > 2.5 * drawn.height  # a panel for each Q
        assert len(set(drawn.convert("RGB").resize((64, 32)).getdata())) > 100


def test_the_posteriors_name_their_images(runs: Path) -> None:
    (folder,) = (runs / "11/evaluations").iterdir()
    truth = load_truth(folder)
    assert truth.names[0] == "cat/cat_6.png"
    assert truth.labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3
    assert truth.classes.tolist() == ["cat", "dog", "owl"]
