"""From uint8 pixels to what the net sees, on the batch and on its device."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Preprocessing(nn.Module):
    """Subtract the mean RGB pixel (section 2.1), the only preprocessing of the paper; published weights may also want a
    division by a standard deviation, or the channels in the order B, G, R.

    Args:
        mean: of R, G and B, in grey levels of 0-255.
        std: of R, G and B, in grey levels; None for no division.
        bgr: whether the net takes blue first.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float] | None = None, *, bgr: bool = False) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std or [1.0, 1.0, 1.0]).view(1, 3, 1, 1), persistent=False)
        self.divides, self.bgr = std is not None, bgr

    def forward(self, pixels: Tensor, shift: Tensor | None = None) -> Tensor:
        """Float images [N, 3, H, W] from uint8 `pixels` [N, 3, H, W] and RGB shifts [N, 3], in grey levels of 0-255."""
        offset = -self.mean if shift is None else shift[:, :, None, None] - self.mean
        images = pixels + offset  # one pass from uint8 to float
        if self.divides:
            images = images / self.std
        return images.flip(1) if self.bgr else images
