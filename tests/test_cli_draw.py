"""draw.py as a person types it: each figure, of a real training, is what it says."""

import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import TINY, assert_refused, call_command, smooth_picture
from vggsuite.models.vgg import VGG

pytestmark = pytest.mark.slow
KINDS = ("filters", "feature_maps", "heatmap", "confusion", "mistakes", "views", "learning_rate")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of three epochs, of a net that confuses three classes."""
    folder = tmp_path_factory.mktemp("draw")
    for label, name in enumerate(("cat", "dog", "owl")):
        (folder / "images" / name).mkdir(parents=True)
        for number in range(6):
            smooth_picture(40, 48 + number, level=80 * label + number).save(
                folder / f"images/{name}/{name}_{number}.png"
            )
    words = [*TINY, f"data.root={folder / 'images'}", f"hydra.run.dir={folder / 'runs/tiny'}", "recipe.epochs=3"]
    result = call_command("train.py", *words, "model=vgg_a")
    assert result.returncode == 0, result.stderr
    return folder / "runs/tiny"


def draw(run: Path, figure: str, *words: str) -> list[Path]:
    """The files that are drawn."""
    result = call_command("draw.py", f"run={run}", f"figure={figure}", *words)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    return [Path(file) for file in result.stdout.removeprefix("saved: ").split()]


def texts(file: Path) -> str:
    """All text of an SVG."""
    return " ".join("".join(each.itertext()) for each in ET.parse(file).iter("{http://www.w3.org/2000/svg}text"))


TOLD = {
    "filters": "conv1_1, 1 filters of 3x3",
    "feature_maps": "conv5_2",
    "heatmap": "Q = 37",
    "confusion": "6 images, top-1 error",
    "mistakes": "mistakes among 6 images",
    "views": "cat_4.png (40 x 52) as training sees it: crops of 32 pixels",
    "learning_rate": "the learning rate falls when",
}


@pytest.mark.parametrize("figure", KINDS)
def test_every_figure_is_drawn_as_a_picture_and_as_a_drawing(run: Path, figure: str) -> None:
    picture, drawing = draw(run, figure)
    assert (picture.suffix, drawing.suffix) == (".png", ".svg")
    assert picture.is_relative_to(run)
    with Image.open(picture) as image:
        assert len(set(image.convert("RGB").resize((64, 64)).get_flattened_data())) > 10
    assert TOLD[figure] in texts(drawing)


def test_the_same_figure_is_the_same_file(run: Path, tmp_path: Path) -> None:
    first = [file.read_bytes() for file in draw(run, "views", f"output={tmp_path / 'views.svg'}")]
    again = [file.read_bytes() for file in draw(run, "views", f"output={tmp_path / 'again'}")]
    assert first == again
    assert {file.name for file in tmp_path.iterdir()} == {"views.png", "views.svg", "again.png", "again.svg"}


def test_an_image_is_a_file_or_a_test_image(run: Path, tmp_path: Path) -> None:
    smooth_picture(90, 60).save(tmp_path / "mine.png")
    assert "mine.png (90 x 60)" in texts(draw(run, "views", f"image={tmp_path / 'mine.png'}", "number=2")[1])
    assert "dog_5.png" in texts(draw(run, "views", "image=dog_5", "number=2")[1])


def test_images_of_one_name_are_told_apart_by_their_folders(run: Path) -> None:
    for owner in ("dog", "owl"):
        shutil.copy(run.parents[1] / f"images/{owner}/{owner}_5.png", run.parents[1] / f"images/{owner}/twin_9.png")
    result = call_command("draw.py", f"run={run}", "figure=views", "image=twin_9")
    pair = [drawn for owner in ("dog", "owl") for drawn in draw(run, "views", f"image={owner}/twin_9", "number=1")]
    for file in run.parents[1].glob("images/*/twin_9.png"):
        file.unlink()
    assert_refused(
        result, "image=twin_9 is the name of 2 test images; allowed: image=dog/twin_9.png, image=owl/twin_9."
    )
    assert len({*pair}) == 4
    assert "owl/twin_9.png" in texts(pair[3])


def test_a_name_is_no_formula(run: Path, tmp_path: Path) -> None:
    smooth_picture(90, 60).save(tmp_path / "a$x^{$.png")
    assert "a$x^{$.png" in texts(draw(run, "views", f"image='{tmp_path}/a$x^{{$.png'", "number=1")[1])


def test_a_class_is_chosen_for_a_heat_map(run: Path) -> None:
    assert "scores of owl" in texts(draw(run, "heatmap", "heatmap_class=owl")[1])


def test_what_ranks_say_is_a_mistake_is_one(run: Path) -> None:
    """A tie in the rounded posteriors, too."""
    (file,) = run.glob("evaluations/*/posteriors.npz")
    with np.load(file) as content:
        arrays = dict(content)
    before = file.read_bytes()
    np.savez(file, **arrays | {"ranks": np.ones_like(arrays["ranks"])})
    told = texts(draw(run, "mistakes")[1])
    file.write_bytes(before)
    assert "the surest of 6 mistakes among 6 images" in told


def test_mistakes_are_those_of_the_evaluation(run: Path) -> None:
    (file,) = run.glob("evaluations/*/confusion.csv")
    counts = np.array([line.split(",")[1:] for line in file.read_text().splitlines()[1:]], int)
    wrong = counts.sum() - counts.trace()
    assert f"the surest of {wrong} mistakes" in texts(draw(run, "mistakes", "number=1")[1])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["figure=drawings"], "figure cannot be set to that: Invalid value 'drawings', expected one of"),
        (["figure=filters", "number=3"], "number=3 changes nothing with figure=filters; allowed with figure=feature"),
        (["figure=filters", "scales=multi"], "scales=multi changes nothing with figure=filters; allowed with"),
        (["figure=confusion", "data.root=/nowhere"], "data.root=/nowhere changes nothing with figure=confusion"),
        (["figure=views", "heatmap=mine.png"], "heatmap=mine.png changes nothing with figure=views; leave it out"),
        (
            ["figure=feature_maps", "scales=multi"],
            "scales=multi are several, and feature maps are of one; type scales=[",
        ),
        (["figure=views", "number=0"], "number=0 is out of range; allowed: 1 to 32"),
        (["figure=views", "image=9"], "image=9 is neither a file nor a test image of data=folder; allowed: a file"),
        (["figure=views", "image=fox"], "image=fox is neither"),
        (["figure=confusion", "scales=[40]"], "make it first with: python src/evaluate.py run="),
        (["figure=heatmap", "protocol=ten_crop"], "type protocol=dense"),
        (["figure=heatmap", "heatmap_class=fox"], "heatmap_class=fox is none of the 3 classes; allowed: cat"),
        (["figure=views", "heatmap_class=cat"], "type figure=heatmap"),
        (["figure=filters", "output=/dev/null/filters"], "cannot be written"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_drawn_is_refused(run: Path, words: list[str], told: str) -> None:
    assert_refused(call_command("draw.py", f"run={run}", *words), told)


@pytest.mark.parametrize(("form", "first"), [("torchvision", (255, 0, 0)), ("oxford", (0, 0, 255))])
def test_published_weights_have_filters_but_no_mistakes(form: str, first: tuple[int, int, int], tmp_path: Path) -> None:
    """Filters that answer to the first channel alone are red, or blue where that is what a net takes first."""
    state = VGG(11, num_classes=3, width=1 / 32).state_dict()
    state["features.0.weight"][:, :1] = 1
    state["features.0.weight"][:, 1:] = 0
    torch.save(state, tmp_path / "vgg11.pth")
    words = (f"weights={tmp_path / 'vgg11.pth'}", "model=vgg_a", "model.width=0.03125", f"preprocessing={form}")
    result = call_command("draw.py", *words, "figure=filters", f"output={tmp_path / 'filters'}")
    assert (result.returncode, result.stderr) == (0, "")
    with Image.open(tmp_path / "filters.png") as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3).tolist()
    assert pixels.count(list(first)) > 1000
    assert pixels.count(list(first[::-1])) == 0
    assert_refused(
        call_command("draw.py", *words, "figure=mistakes"),
        "figure=mistakes is of a run; type run=<folder of a finished run> instead of weights",
    )
