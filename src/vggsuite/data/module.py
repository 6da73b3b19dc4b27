"""One data module for every data set: splits off the held-out slice, and serves views of the images."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import lightning as L
import numpy as np

from vggsuite.config import DataConfig
from vggsuite.data.datasets import CentreCrops, EpochBatches, TrainingViews
from vggsuite.data.layouts import ImageSet, split_samples
from vggsuite.data.loader import ViewLoader, Views
from vggsuite.data.samples import Samples
from vggsuite.data.scale import parse_scale
from vggsuite.errors import UserError

VAL_BATCH = 256


class ImageData(L.LightningDataModule):
    """Loaders of what training sees of a data set.

    `train`: the published training split less the held-out slice; `val`: that slice, by which learning-rate drops and
    the best checkpoint are chosen. The published validation split, `images.val`, is what is reported; with
    `select_on_test` it serves as `val` as well, and the held-out slice stays in training, as the paper did.

    Args:
        images: the data set.
        config: how images are seen.
        batch_size: the global one, over all devices.
        seed: of the order of the images and of what is drawn for each.
        num_workers: processes that read images, for each device.
        select_on_test: see above.
    """

    def __init__(
        self,
        images: ImageSet,
        config: DataConfig,
        *,
        batch_size: int,
        seed: int,
        num_workers: int = 0,
        select_on_test: bool = False,
    ) -> None:
        super().__init__()
        self.images, self.config, self.batch_size, self.seed = images, config, batch_size, seed
        self.num_workers = num_workers
        self.scale = parse_scale(config.scale, config.crop)
        self.train, self.val = images.train, images.val
        if not select_on_test:
            self.train, self.val = split_samples(images.train, config.held_out)
        self.check_numbers()

    def check_numbers(self) -> None:
        """Make sure that there are images enough.

        Raises:
            UserError: for less than a batch to train on, and for none to select by.
        """
        if len(self.train) < self.batch_size:
            raise UserError(
                f"recipe.batch_size={self.batch_size} exceeds the {len(self.train)} training images; allowed: up to "
                "that."
            )
        if not len(self.val):
            raise UserError(f"data.held_out={self.config.held_out} leaves no image to select by; raise it.")

    def train_views(self) -> Views:
        """One random view of each training image; (RGB shift [N, 3], labels [N]) come with them."""
        return TrainingViews(self.train_samples(), **self.drawing())

    def train_samples(self) -> Samples:
        """The training images, in the way that they are read."""
        one_by_one = self.config.shuffle_window < len(self.train)  # else shards are read all over
        return replace(self.train, read_ahead=one_by_one)

    def drawing(self) -> dict[str, Any]:
        """How random views are drawn."""
        config = self.config
        return {
            "scale": self.scale,
            "crop": config.crop,
            "flip": config.flip,
            "colour_std": config.colour_std,
            "seed": self.seed,
            "decoder": config.decoder,
        }

    def val_views(self) -> Views:
        """The centre crop of each held-out image at the middle of S; labels [N] come with them."""
        return CentreCrops(self.val, side=self.scale.middle, crop=self.config.crop, decoder=self.config.decoder)

    def train_dataloader(self) -> ViewLoader:
        """Batches of (uint8 [N, 3, crop, crop], what comes with the views), N the device's part of a batch."""
        accumulate = self.trainer.accumulate_grad_batches if self.trainer else 1
        batches = EpochBatches(
            self.train.shards(),
            batch_size=self.batch_size,
            seed=self.seed,
            window=self.config.shuffle_window,
            accumulate=accumulate,
            rank=self.rank,
            num_devices=self.num_devices,
            num_nodes=self.trainer.num_nodes if self.trainer else 1,
        )
        return self.loader(self.train_views(), batches, self.batch_size // self.num_devices // accumulate)

    def val_dataloader(self) -> ViewLoader:
        """Batches of (uint8 [N, 3, crop, crop], what comes with the views): this device's share."""
        share = np.concatenate(self.val.shards())[self.rank :: self.num_devices].tolist()
        batches = [share[start : start + VAL_BATCH] for start in range(0, len(share), VAL_BATCH)]
        return self.loader(self.val_views(), batches, VAL_BATCH)

    @property
    def rank(self) -> int:
        """This process's place among the devices of the run."""
        return self.trainer.global_rank if self.trainer else 0

    @property
    def num_devices(self) -> int:
        return self.trainer.world_size if self.trainer else 1

    def loader(self, views: Views, batches: Iterable[list[Any]], batch_size: int) -> ViewLoader:
        return ViewLoader(
            views,
            batches,
            batch_size=batch_size,
            num_workers=self.num_workers,
            pinned=self.trainer is not None and self.trainer.strategy.root_device.type == "cuda",
        )
