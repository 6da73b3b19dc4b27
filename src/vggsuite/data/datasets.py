"""Data sets over `Samples`, a batch at a time, and the order of their images; all randomness is from (seed, epoch,
index)."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from vggsuite.config import Decoder
from vggsuite.data import views
from vggsuite.data.pictures import read_view
from vggsuite.data.samples import Samples
from vggsuite.data.scale import Scale

Position = tuple[int, int]  # epoch and index


class TrainingViews:
    """One random view of each image.

    Indexed by (epoch, index), so that what is drawn depends on the seed, the epoch and the image alone: neither on the
    number of workers or devices nor on what was drawn before.
    """

    def __init__(
        self, samples: Samples, *, scale: Scale, crop: int, flip: bool, colour_std: float, seed: int, decoder: Decoder
    ) -> None:
        self.samples, self.scale, self.crop, self.flip = samples, scale, crop, flip
        self.colour_std, self.seed, self.decoder = colour_std, seed, decoder

    def fill(self, pixels: Tensor, positions: Sequence[Position]) -> tuple[int, Tensor, Tensor]:
        """Write the views at `positions` to `pixels`, uint8 [N, crop, crop, 3]; return by how many Pillow was needed,
        the RGB shifts [N, 3] in grey levels, and the labels [N]."""
        colours = np.empty((len(positions), 3))
        num_by_pillow = 0
        for place, (epoch, index) in enumerate(positions):
            rng = np.random.default_rng((self.seed, epoch, index))
            colours[place] = rng.standard_normal(3)

            def draw(width: int, height: int, rng: np.random.Generator = rng) -> views.View:
                return views.random_view(width, height, rng, scale=self.scale, crop=self.crop, flip=self.flip)

            view, by = read_view(self.samples, index, self.decoder, draw)
            pixels[place].numpy()[:] = view
            num_by_pillow += by == Decoder.pillow
        shifts = torch.from_numpy(views.colour_shifts(colours, self.colour_std))
        return num_by_pillow, shifts, labels_at(self.samples, [index for _, index in positions])


class CentreCrops:
    """The centre crop of each image at test scale `side`."""

    def __init__(self, samples: Samples, *, side: int, crop: int, decoder: Decoder) -> None:
        self.samples, self.side, self.crop, self.decoder = samples, side, crop, decoder

    def fill(self, pixels: Tensor, indices: Sequence[int]) -> tuple[int, Tensor]:
        """Write the crops at `indices` to `pixels`, uint8 [N, crop, crop, 3]; return by how many Pillow was needed,
        and the labels [N]."""
        num_by_pillow = 0
        for place, index in enumerate(indices):
            view, by = read_view(
                self.samples, index, self.decoder, lambda w, h: views.centre_view(w, h, self.side, self.crop)
            )
            pixels[place].numpy()[:] = view
            num_by_pillow += by == Decoder.pillow
        return num_by_pillow, labels_at(self.samples, indices)


class WholeImages(Dataset[tuple[Tensor, int]]):
    """Each whole image at test scale `side`: (uint8 pixels [height, width, 3], index)."""

    def __init__(self, samples: Samples, *, side: int, decoder: Decoder) -> None:
        self.samples, self.side, self.decoder = samples, side, decoder

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        pixels, _ = read_view(self.samples, index, self.decoder, lambda w, h: views.whole_view(w, h, self.side))
        return torch.from_numpy(pixels), index


def labels_at(samples: Samples, indices: Sequence[int]) -> Tensor:
    return torch.from_numpy(samples.labels[list(indices)])


class EpochBatches(Sampler[list[Position]]):
    """The batches of (epoch, index) of one device: its part of every global batch of a fresh order each epoch, in
    `accumulate` equal pieces. An incomplete last one is left out.

    Images that lie each in a file of its own, in one shard as it were, are shuffled thoroughly, and the global batches
    are the same for any number of devices and pieces. Of images in several shards the order of the shards is drawn,
    each node takes as many images of them as the others, one shard after the other, and shuffles `window` images at a
    time, so that it reads few shards at once and, but for one where its part ends, none that another node reads. Then
    the global batches are the same for any number of devices of a node.

    Args:
        shards: the indices of the images of each.
        batch_size: the global one.
        seed: of the order.
        window: how many images a node shuffles at a time.
        accumulate: pieces of a device's part of a batch.
        rank: the device's place among all, node after node.
        num_devices: of all nodes.
        num_nodes: that share them.
    """

    def __init__(
        self,
        shards: Sequence[np.ndarray],
        *,
        batch_size: int,
        seed: int,
        window: int,
        accumulate: int = 1,
        rank: int = 0,
        num_devices: int = 1,
        num_nodes: int = 1,
    ) -> None:
        self.shards, self.batch_size, self.seed, self.window = shards, batch_size, seed, window
        self.accumulate, self.rank, self.num_devices = accumulate, rank, num_devices
        self.num_parts = num_nodes if len(shards) > 1 else 1
        self.num_batches = sum(map(len, shards)) // batch_size
        self.epoch, self.num_skipped = 0, 0
        self.sampler = self  # Lightning calls `set_epoch` on a batch sampler's sampler

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def skip(self, num_pieces: int) -> None:
        """Let the next pass over the batches begin after that many pieces of them."""
        self.num_skipped = num_pieces

    def __len__(self) -> int:
        return self.num_batches * self.accumulate

    def __iter__(self) -> Iterator[list[Position]]:
        pieces, self.num_skipped = range(self.num_skipped, len(self)), 0
        devices = self.num_devices // self.num_parts
        part, place = divmod(self.rank, devices)
        order, size = self.order(part), self.batch_size // self.num_parts
        for batch, piece in (divmod(number, self.accumulate) for number in pieces):
            ours = order[batch * size : (batch + 1) * size][place::devices]
            yield [(self.epoch, index) for index in ours[piece :: self.accumulate].tolist()]

    def order(self, part: int) -> np.ndarray:
        """The indices that all batches of this epoch take from a part of the images."""
        rng = np.random.default_rng((self.seed, self.epoch))
        sequence = np.concatenate([self.shards[shard] for shard in rng.permutation(len(self.shards))])
        length = len(sequence) // self.num_parts
        own = sequence[part * length : (part + 1) * length]
        window = self.window if len(self.shards) > 1 else len(own)
        for start in range(0, length, window):
            rng.shuffle(own[start : start + window])
        return own
