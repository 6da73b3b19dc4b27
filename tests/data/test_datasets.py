"""Map-style data sets and the order of their images."""

from collections import Counter
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.transforms._presets import ImageClassification

from tests.conftest import training_views
from vggsuite.config import DataConfig, Decoder, Layout
from vggsuite.data.datasets import EpochBatches, WholeImages
from vggsuite.data.layouts import class_folders
from vggsuite.data.module import ImageData
from vggsuite.data.preprocessing import Preprocessing
from vggsuite.data.samples import Samples
from vggsuite.errors import UserError
from vggsuite.models.weights import PREPROCESSINGS

MakeTree = Callable[..., Path]
MEAN = [120.0, 110.0, 100.0]


def batches_of(shards: list[np.ndarray], epoch: int = 0, **settings: int) -> list[list[int]]:
    """The global batches, each sorted, as all devices together draw them."""
    parts = []
    for rank in range(settings.get("num_devices", 1)):
        part = EpochBatches(shards, **({"batch_size": 8, "seed": 3, "window": 10} | settings), rank=rank)
        part.set_epoch(epoch)
        parts.append(part)
    together = [[index for _, index in chain(*pieces)] for pieces in zip(*parts, strict=True)]
    return [sorted(chain(*group)) for group in batched(together, settings.get("accumulate", 1))]


def batched(items: list[list[int]], size: int) -> list[list[list[int]]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


FILES = [np.arange(25)]
SHARDS = np.split(np.random.default_rng(0).permutation(45), [8, 20, 26, 40])


def test_the_global_batches_are_the_same_for_any_number_of_devices_and_pieces() -> None:
    for shards in (FILES, SHARDS):
        alone = batches_of(shards, epoch=5)
        assert alone == batches_of(shards, epoch=5, num_devices=2) == batches_of(shards, epoch=5, num_devices=4)
        assert alone == batches_of(shards, epoch=5, accumulate=4) == batches_of(shards, 5, num_devices=2, accumulate=2)
        assert alone != batches_of(shards, epoch=6)
    assert batches_of(FILES) == batches_of(FILES, num_nodes=2, num_devices=4)


@pytest.mark.parametrize("num_nodes", [1, 2, 4])
def test_an_epoch_takes_every_image_once_but_an_incomplete_batch(num_nodes: int) -> None:
    for shards in (FILES, SHARDS):
        size = sum(map(len, shards))
        drawn = Counter(chain(*batches_of(shards, num_nodes=num_nodes, num_devices=4)))
        assert len(drawn) == size // 8 * 8
        assert set(drawn.values()) == {1}


def test_a_node_reads_shards_of_its_own_one_after_the_other() -> None:
    shards = np.split(np.arange(1000), 20)
    settings = {"batch_size": 20, "seed": 1, "window": 100, "num_devices": 4, "num_nodes": 2}
    read = []
    for rank in range(4):
        order = [index for batch in EpochBatches(shards, rank=rank, **settings) for _, index in batch]
        read.append([index // 50 for index in order])
        assert max(len(set(read[-1][start : start + 25])) for start in range(0, 250, 25)) <= 4  # of the window's two
    assert set(read[0]) == set(read[1])
    assert set(read[0]).isdisjoint(read[2])
    odd = [set(), set()]  # type: list[set[int]]
    for rank in range(2):
        batches = EpochBatches(
            np.split(np.arange(90), [30, 60]), batch_size=8, seed=1, window=9, rank=rank, num_devices=2, num_nodes=2
        )
        odd[rank] = {index // 30 for batch in batches for _, index in batch}
    assert len(odd[0] & odd[1]) == 1  # the shard where the nodes' parts meet


def test_the_window_shuffles_well_and_a_shard_alone_is_shuffled_whole() -> None:
    assert batches_of([np.arange(40)], window=1) == batches_of([np.arange(40)], window=40)
    batches = batches_of(np.split(np.arange(1000), 20), batch_size=10, window=500)
    assert np.mean([len({index // 50 for index in batch}) for batch in batches]) > 6  # of ten shards in a window


def test_batches_can_be_skipped_once() -> None:
    batches = EpochBatches(FILES, batch_size=8, seed=3, window=1, accumulate=2)
    everything = list(batches)
    batches.skip(3)
    assert list(batches) == everything[3:]
    assert list(batches) == everything


def view_at(samples: Samples, seed: int, epoch: int, index: int) -> torch.Tensor:
    views = training_views(samples, seed=seed)
    pixels = torch.empty(2, 32, 32, 3, dtype=torch.uint8)
    num_by_pillow, shift, labels = views.fill(pixels, [(9, 0), (epoch, index)])  # another draw before changes nothing
    assert num_by_pillow == 2  # PNG files
    assert labels.tolist() == samples.labels[[0, index]].tolist()
    return torch.cat([pixels[1].flatten().float(), shift[1]])


def test_a_view_depends_on_seed_epoch_and_image_alone(make_tree: MakeTree) -> None:
    samples = class_folders(make_tree(), 0.2).train
    assert torch.equal(view_at(samples, 0, 1, 7), view_at(samples, 0, 1, 7))
    assert not torch.equal(view_at(samples, 0, 1, 7), view_at(samples, 0, 2, 7))
    assert not torch.equal(view_at(samples, 0, 1, 7), view_at(samples, 1, 1, 7))


def test_whole_images_are_rescaled(make_tree: MakeTree) -> None:
    pixels, index = WholeImages(class_folders(make_tree(), 0.5).val, side=37, decoder=Decoder.turbo)[3]
    assert (min(pixels.shape[:2]), pixels.dtype, index) == (37, torch.uint8, 3)


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
    }
    return DataConfig(**(settings | changes))  # type: ignore[arg-type]


def test_the_held_out_slice_is_part_of_training_unless_the_paper_is_followed(make_tree: MakeTree) -> None:
    images = class_folders(make_tree(), 0.34)
    data = ImageData(images, data_config(images.root), batch_size=4, seed=0)
    train, val = set(data.train.names()), set(data.val.names())
    assert train | val == set(images.train.names())
    assert train.isdisjoint(val)
    paper = ImageData(images, data_config(images.root), batch_size=4, seed=0, select_on_test=True)
    assert paper.train is images.train
    assert paper.val is images.val


def test_the_loaders_serve_every_image_once(make_tree: MakeTree) -> None:
    images = class_folders(make_tree(), 0.34)
    data = ImageData(images, data_config(images.root), batch_size=3, seed=0)
    assert sum(len(batch[0]) for batch in data.train_dataloader()) == len(data.train) // 3 * 3
    assert sum(len(batch[0]) for batch in data.val_dataloader()) == len(data.val)


def test_a_batch_larger_than_the_data_set_is_refused(make_tree: MakeTree) -> None:
    images = class_folders(make_tree(), 0.34)
    with pytest.raises(UserError, match=r"recipe.batch_size=256 exceeds the 9 training images"):
        ImageData(images, data_config(images.root), batch_size=256, seed=0)
