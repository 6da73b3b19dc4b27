"""Data sets over `Samples`, a batch at a time, and the order of their images; all randomness is from (seed, epoch,
index)."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from vggsuite.config import Decoder
from vggsuite.data import views
from vggsuite.data.pictures import Choose, read_view
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
        """Write the views at `positions` to `pixels`; see `fill`. Further: RGB shifts [N, 3] in grey levels, labels."""
        indices = [index for _, index in positions]
        draws = [np.random.default_rng((self.seed, *position)) for position in positions]
        colours = np.array([rng.standard_normal(3) for rng in draws])
        random_view = partial(views.random_view, scale=self.scale, crop=self.crop, flip=self.flip)
        choices = [partial(random_view, rng=rng) for rng in draws]
        count, labels = fill(pixels, self.samples, indices, choices, self.decoder)
        return count, torch.from_numpy(views.colour_shifts(colours, self.colour_std)), labels


class CentreCrops:
    """The centre crop of each image at test scale `side`."""

    def __init__(self, samples: Samples, *, side: int, crop: int, decoder: Decoder) -> None:
        self.samples, self.side, self.crop, self.decoder = samples, side, crop, decoder

    def fill(self, pixels: Tensor, indices: Sequence[int]) -> tuple[int, Tensor]:
        """Write the crops at `indices` to `pixels`; see `fill`."""
        central = partial(views.centre_view, side=self.side, crop=self.crop)
        return fill(pixels, self.samples, indices, [central] * len(indices), self.decoder)


def fill(
    pixels: Tensor, samples: Samples, indices: Sequence[int], choices: Sequence[Choose], decoder: Decoder
) -> tuple[int, Tensor]:
    """Write what each of `choices` takes of the image of `samples` at the same place of `indices` to `pixels`, uint8
    [N, crop, crop, 3].

    Returns:
        for how many images Pillow was needed though `decoder` is another, and the labels [N].
    """
    count = 0
    for place, index, choose in zip(pixels.numpy(), indices, choices, strict=True):
        place[:], by = read_view(samples, index, decoder, choose)
        count += by != decoder
    return count, torch.from_numpy(samples.labels[list(indices)])


class WholeImages(Dataset[tuple[Tensor, int]]):
    """Each whole image, or what `boxes` leave of it, at test scale `side`: (uint8 pixels [height, width, 3], index).

    Args:
        samples: the images.
        side: Q.
        decoder: of the images.
        boxes: int [N, 4] in pixels of the image: left, top, right and bottom, the latter two not included.
    """

    def __init__(self, samples: Samples, *, side: int, decoder: Decoder, boxes: np.ndarray | None = None) -> None:
        self.samples, self.side, self.decoder, self.boxes = samples, side, decoder, boxes

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if self.boxes is None:
            choose: Choose = partial(views.whole_view, side=self.side)
        else:
            choose = partial(views.box_view, box=self.boxes[index].tolist(), side=self.side)
        pixels, _ = read_view(self.samples, index, self.decoder, choose)
        return torch.from_numpy(pixels), index


class EpochBatches(Sampler[list[Position]]):
    """The batches of (epoch, index) of one device: its part of every global batch of a fresh order each epoch, in
    `accumulate` equal pieces. An incomplete last one is left out.

    Images in files of their own, or in one shard, are shuffled whole; global batches are then the same for any number
    of devices, nodes and pieces. Of several shards the order is drawn; each node takes an equal, contiguous part of
    that sequence and shuffles `window` images of it at a time. It thus reads few shards at once, none of them another
    node's but where parts meet; global batches are the same for any number of devices of a node.

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
        order = self.order()
        for piece in pieces:
            yield self.batch(piece, order)

    def batch(self, number: int, order: np.ndarray | None = None) -> list[Position]:
        """The batch of that number of this epoch, whose `order` need not be drawn again where it is known."""
        order = self.order() if order is None else order
        batch, piece = divmod(number, self.accumulate)
        size, devices = self.batch_size // self.num_parts, self.num_devices // self.num_parts
        ours = order[batch * size : (batch + 1) * size][self.rank % devices :: devices]
        return [(self.epoch, index) for index in ours[piece :: self.accumulate].tolist()]

    def order(self) -> np.ndarray:
        """The images of the node's part in this epoch, of which its batches are taken: int64 [images of the part]."""
        part = self.rank // (self.num_devices // self.num_parts)
        rng = np.random.default_rng((self.seed, self.epoch))
        sequence = np.concatenate([self.shards[shard] for shard in rng.permutation(len(self.shards))])
        length = len(sequence) // self.num_parts
        own = sequence[part * length : (part + 1) * length]
        window = self.window if len(self.shards) > 1 else len(own)
        for start in range(0, length, window):
            rng.shuffle(own[start : start + window])
        return own
