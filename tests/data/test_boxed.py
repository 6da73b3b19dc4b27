"""What the training of a box regressor sees."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from vggsuite.config import DataConfig, Decoder, Layout
from vggsuite.data.boxed import MOST_DRAWS, AimedView, BoxCentreCrops, BoxData, BoxTrainingViews
from vggsuite.data.boxes import Boxes, areas, clipped
from vggsuite.data.config import Cut
from vggsuite.data.layouts import class_folders
from vggsuite.data.samples import Files, Samples
from vggsuite.data.scale import Scale
from vggsuite.data.views import View

DRAWING: dict[str, Any] = {
    "scale": Scale(40, 60),
    "crop": 32,
    "flip": True,
    "colour_std": 0.1,
    "seed": 0,
    "decoder": Decoder.pillow,
}


@pytest.fixture
def painted(tmp_path: Path) -> tuple[Samples, Boxes]:
    """20 black images with a white rectangle, and its box."""
    rng, found = np.random.default_rng(0), []
    for number in range(20):
        width, height = rng.integers(60, 90, 2).tolist()
        left, top = rng.integers(0, 40, 2).tolist()
        edges = [left, top, left + int(rng.integers(12, 20)), top + int(rng.integers(12, 20))]
        image = Image.new("RGB", (width, height))
        ImageDraw.Draw(image).rectangle((edges[0], edges[1], edges[2] - 1, edges[3] - 1), fill="white")
        image.save(tmp_path / f"{number}.png")
        found.append([edges])
    names = [f"{number}.png" for number in range(20)]
    return Samples.all_of(Files(tmp_path, names), [0] * 20), Boxes.of_images(found)


def shown(pixels: np.ndarray) -> list[int]:
    """The edges of what is white."""
    columns, rows = (np.flatnonzero((pixels > 127).any(axis=axis)) for axis in (0, 1))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


@pytest.mark.parametrize("cut", Cut)
def test_a_target_is_where_the_crop_shows_it(cut: Cut, painted: tuple[Samples, Boxes]) -> None:
    samples, boxes = painted
    loaded = BoxTrainingViews(samples, boxes, cut, **DRAWING)
    pixels = torch.empty(20, 32, 32, 3, dtype=torch.uint8)
    *_, targets = loaded.fill(pixels, [(3, index) for index in range(20)])
    assert targets.shape == (20, 4)
    wholes = 0
    for picture, target in zip(pixels.numpy()[..., 0], targets.numpy(), strict=True):
        inside = clipped(target, 32, 32)
        np.testing.assert_allclose(shown(picture), inside, atol=1.01)
        wholes += np.allclose(inside, target)
    assert wholes == 20 if cut == Cut.clip else wholes > 5
    if cut == Cut.keep:
        assert wholes < 20


def test_the_same_views_whoever_asks_for_them(painted: tuple[Samples, Boxes]) -> None:
    samples, boxes = painted
    loaded = BoxTrainingViews(samples, boxes, Cut.redraw, **DRAWING)
    together = torch.empty(2, 32, 32, 3, dtype=torch.uint8)
    *_, targets = loaded.fill(together, [(1, 4), (1, 9)])
    alone = torch.empty(1, 32, 32, 3, dtype=torch.uint8)
    *_, target = loaded.fill(alone, [(1, 9)])
    assert torch.equal(alone[0], together[1])
    assert torch.equal(target[0], targets[1])


VIEWS = {"none": View(50, 50, 32, 32, (32, 32), 1), "half": View(0, 0, 32, 32, (32, 32), 1)} | {
    "whole": View(20, 0, 32, 32, (32, 32), 1)
}


@pytest.mark.parametrize(
    ("cut", "drawn", "taken", "target"),
    [
        (Cut.clip, ["none", "half", "whole"], "half", [24, 10, 32, 20]),
        (Cut.keep, ["none", "half", "whole"], "half", [24, 10, 40, 20]),
        (Cut.redraw, ["none", "half", "whole"], "whole", [4, 10, 20, 20]),
        (Cut.redraw, ["none", "half", *["none"] * MOST_DRAWS], "half", [24, 10, 32, 20]),
    ],
)
def test_crops_are_drawn_anew_as_asked(cut: Cut, drawn: list[str], taken: str, target: list[int]) -> None:
    views = iter(drawn)
    aimed = AimedView(np.array([[24.0, 10, 40, 20]]), lambda width, height: VIEWS[next(views)], cut)
    assert aimed(80, 80) == VIEWS[taken]
    assert aimed.target.tolist() == target


def test_of_several_boxes_the_one_that_is_seen_most_of_is_learnt() -> None:
    edges = np.array([[0.0, 0, 10, 10], [16, 0, 44, 30]])
    aimed = AimedView(edges, lambda width, height: VIEWS["half"], Cut.keep)
    aimed(80, 80)
    assert aimed.target.tolist() == [16, 0, 44, 30]
    assert areas(clipped(edges, 32, 32)).tolist() == [100, 16 * 30]


def test_centre_crops_bring_all_boxes_of_their_images(painted: tuple[Samples, Boxes]) -> None:
    samples, boxes = painted
    two = Boxes.of_images(
        [[*boxes.of(0).tolist(), [0, 0, 5, 5]], *(boxes.of(index).tolist() for index in range(1, 20))]
    )
    crops = BoxCentreCrops(samples, two, side=60, crop=32, decoder=Decoder.pillow)
    pixels = torch.empty(2, 32, 32, 3, dtype=torch.uint8)
    _, labels, edges = crops.fill(pixels, [1, 0])
    assert labels.tolist() == [0, 0]
    assert edges.shape == (2, 2, 4)
    assert edges[0, 1].isnan().all()
    assert edges[1].isfinite().all()


def test_images_without_boxes_are_left_out_after_the_split(tmp_path: Path, painted: tuple[Samples, Boxes]) -> None:
    samples, _ = painted
    for split in ("train", "val"):
        (tmp_path / "tree" / split / "a").mkdir(parents=True)
        for index in range(20):
            (tmp_path / "tree" / split / "a" / f"{index:02d}.png").write_bytes(samples.open(index).read())
    images = class_folders(tmp_path / "tree", 0.0)
    config = DataConfig(
        name="own", layout=Layout.folder, root=str(tmp_path), crop=32, scale=40, mean=[0.0] * 3, held_out=0.2
    )
    some = Boxes.of_images([[[0, 0, 9, 9]] if index % 3 else [] for index in range(20)])
    data = BoxData(images, config, boxes=some, cut=Cut.keep, batch_size=4, seed=0)
    everything = [Path(name).stem for name in [*data.train.names(), *data.val.names()]]
    assert sorted(everything) == [f"{index:02d}" for index in range(20) if index % 3]
    assert [Path(name).stem for name in data.val.names()] == ["16", "17", "19"]  # of the last four
    pixels, shift, labels, targets = next(iter(data.train_dataloader()))
    assert (len(pixels), len(shift), len(labels), targets.shape) == (4, 4, 4, (4, 4))
