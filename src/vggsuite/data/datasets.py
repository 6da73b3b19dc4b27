"""Map-style data sets over `Samples`, and the order of their images; all randomness is from (seed, epoch, index)."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from vggsuite.data import views
from vggsuite.data.images import read_image
from vggsuite.data.layouts import Samples
from vggsuite.data.scale import Scale


class TrainingViews(Dataset[tuple[Tensor, Tensor, int]]):
    """One random view of each image: (uint8 pixels [3, crop, crop], RGB shift [3] in grey levels, label).

    Indexed by (epoch, index), so that what is drawn depends on the seed, the epoch and the image alone: neither on the
    number of workers or devices nor on what was drawn before.
    """

    def __init__(self, samples: Samples, *, scale: Scale, crop: int, flip: bool, colour_std: float, seed: int) -> None:
        self.samples, self.scale, self.crop, self.flip = samples, scale, crop, flip
        self.colour_std, self.seed = colour_std, seed

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, position: tuple[int, int]) -> tuple[Tensor, Tensor, int]:
        epoch, index = position
        rng = np.random.default_rng((self.seed, epoch, index))
        image = read_image(self.samples.paths[index])
        pixels = views.training_crop(image, rng, scale=self.scale, crop=self.crop, flip=self.flip)
        shift = views.colour_shift(rng, self.colour_std)
        return channels_first(pixels), torch.from_numpy(shift), self.samples.labels[index]


class CentreCrops(Dataset[tuple[Tensor, int]]):
    """The centre crop of each image at test scale `side`: (uint8 pixels [3, crop, crop], label)."""

    def __init__(self, samples: Samples, *, side: int, crop: int) -> None:
        self.samples, self.side, self.crop = samples, side, crop

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        pixels = views.centre_crop(read_image(self.samples.paths[index]), self.side, self.crop)
        return channels_first(pixels), self.samples.labels[index]


class WholeImages(Dataset[tuple[Tensor, int]]):
    """Each whole image at test scale `side`: (uint8 pixels [3, height, width], index)."""

    def __init__(self, samples: Samples, *, side: int) -> None:
        self.samples, self.side = samples, side

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return channels_first(views.rescaled(read_image(self.samples.paths[index]), self.side)), index


class EpochBatches(Sampler[list[tuple[int, int]]]):
    """The batches of (epoch, index) of one device: its part of every global batch of a fresh permutation each epoch,
    in `accumulate` equal pieces.

    The global batches are the same for any number of devices and pieces. An incomplete last one is left out.
    """

    def __init__(
        self,
        num_images: int,
        *,
        batch_size: int,
        seed: int,
        accumulate: int = 1,
        rank: int = 0,
        num_devices: int = 1,
    ) -> None:
        self.num_images, self.batch_size, self.seed, self.accumulate = num_images, batch_size, seed, accumulate
        self.rank, self.num_devices, self.epoch = rank, num_devices, 0
        self.sampler = self  # Lightning calls `set_epoch` on a batch sampler's sampler

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.num_images // self.batch_size * self.accumulate

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.num_images).tolist()
        for start in range(0, self.num_images - self.batch_size + 1, self.batch_size):
            ours = order[start + self.rank : start + self.batch_size : self.num_devices]
            for piece in range(self.accumulate):
                yield [(self.epoch, index) for index in ours[piece :: self.accumulate]]


def channels_first(pixels: np.ndarray) -> Tensor:
    """uint8 [height, width, 3] as a tensor [3, height, width] of its own memory."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
