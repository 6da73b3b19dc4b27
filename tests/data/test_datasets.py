"""Map-style data sets and the order of their images."""

from collections import Counter
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import pytest
import torch
from torchvision.transforms._presets import ImageClassification

from vggsuite.config import DataConfig, Layout
from vggsuite.data.datasets import EpochBatches, TrainingViews, WholeImages
from vggsuite.data.layouts import class_folders
from vggsuite.data.module import ImageData
from vggsuite.data.preprocessing import Preprocessing
from vggsuite.data.scale import Scale
from vggsuite.errors import UserError
from vggsuite.models.weights import PREPROCESSINGS

MakeTree = Callable[..., Path]
MEAN = [120.0, 110.0, 100.0]


def test_the_global_batches_are_the_same_for_any_number_of_devices() -> None:
    def batches(num_devices: int, epoch: int) -> list[list[tuple[int, int]]]:
        parts = [EpochBatches(25, batch_size=8, seed=3, rank=r, num_devices=num_devices) for r in range(num_devices)]
        for part in parts:
            part.set_epoch(epoch)
        return [sorted(chain(*together)) for together in zip(*parts, strict=True)]

    assert batches(1, 5) == batches(2, 5) == batches(4, 5)
    assert batches(1, 5) != batches(1, 6)
    assert len(batches(1, 5)) == 3
    drawn = Counter(index for batch in batches(1, 5) for _, index in batch)
    assert len(drawn) == 24
    assert set(drawn.values()) == {1}


def test_a_view_depends_on_seed_epoch_and_image_alone(make_tree: MakeTree) -> None:
    samples = class_folders(make_tree(), 0.2).train

    def view(seed: int, epoch: int) -> torch.Tensor:
        views = TrainingViews(samples, scale=Scale(36, 60), crop=32, flip=True, colour_std=0.1, seed=seed)
        views[(9, 0)]  # another draw before changes nothing
        pixels, shift, label = views[(epoch, 7)]
        assert pixels.dtype == torch.uint8
        assert pixels.shape == (3, 32, 32)
        assert label == samples.labels[7]
        return torch.cat([pixels.flatten().float(), shift])

    assert torch.equal(view(0, 1), view(0, 1))
    assert not torch.equal(view(0, 1), view(0, 2))
    assert not torch.equal(view(0, 1), view(1, 1))


def test_whole_images_are_rescaled(make_tree: MakeTree) -> None:
    pixels, index = WholeImages(class_folders(make_tree(), 0.5).val, side=37)[3]
    assert (min(pixels.shape[1:]), pixels.dtype, index) == (37, torch.uint8, 3)


def test_preprocessing_subtracts_the_mean_and_adds_the_shift() -> None:
    pixels = torch.full((2, 3, 4, 4), 200, dtype=torch.uint8)
    shift = torch.tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]])
    images = Preprocessing(MEAN)(pixels, shift)
    assert images[0, :, 0, 0].tolist() == [80, 90, 100]
    assert images[1, :, 0, 0].tolist() == [81, 92, 103]
    assert Preprocessing(MEAN).state_dict() == {}


def test_preprocessing_of_published_weights() -> None:
    """torchvision's own transform, and blue first."""
    pixels = torch.randint(0, 256, (1, 3, 224, 224), dtype=torch.uint8)
    torchvision = ImageClassification(crop_size=224, resize_size=224)(pixels)
    assert torch.allclose(Preprocessing(**PREPROCESSINGS["torchvision"])(pixels), torchvision, atol=1e-5)
    oxford = Preprocessing(**PREPROCESSINGS["oxford"])(pixels)
    assert oxford[0, :, 0, 0].tolist() == pytest.approx(
        [int(pixels[0, 2, 0, 0]) - 103.939, int(pixels[0, 1, 0, 0]) - 116.779, int(pixels[0, 0, 0, 0]) - 123.68],
        abs=1e-4,
    )


def data_config(root: Path, **changes: object) -> DataConfig:
    settings = {
        "name": "folder",
        "layout": Layout.folder,
        "root": str(root),
        "crop": 32,
        "mean": MEAN,
        "held_out": 0.2,
        "num_workers": 0,
    }
    return DataConfig(**(settings | changes))  # type: ignore[arg-type]


def test_the_held_out_slice_is_part_of_training_unless_the_paper_is_followed(make_tree: MakeTree) -> None:
    images = class_folders(make_tree(), 0.34)
    data = ImageData(images, data_config(images.root), batch_size=4, seed=0)
    assert set(data.train.paths) | set(data.val.paths) == set(images.train.paths)
    assert set(data.train.paths).isdisjoint(data.val.paths)
    paper = ImageData(images, data_config(images.root), batch_size=4, seed=0, select_on_test=True)
    assert paper.train == images.train
    assert paper.val == images.val


def test_the_loaders_serve_every_image_once(make_tree: MakeTree) -> None:
    images = class_folders(make_tree(), 0.34)
    data = ImageData(images, data_config(images.root), batch_size=3, seed=0)
    assert sum(len(batch[0]) for batch in data.train_dataloader()) == len(data.train) // 3 * 3
    assert sum(len(batch[0]) for batch in data.val_dataloader()) == len(data.val)


def test_a_batch_larger_than_the_data_set_is_refused(make_tree: MakeTree) -> None:
    images = class_folders(make_tree(), 0.34)
    with pytest.raises(UserError, match=r"recipe.batch_size=256 exceeds the 9 training images"):
        ImageData(images, data_config(images.root), batch_size=256, seed=0)
