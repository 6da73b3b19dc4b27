"""From uint8 pixels to what the net sees, on the batch and on its device."""

import torch
from torch import Tensor, nn


class Preprocessing(nn.Module):
    """Subtract the mean RGB pixel (section 2.1), the only preprocessing of the paper; no division by a std."""

    mean: Tensor

    def __init__(self, mean: list[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor, shift: Tensor | None = None) -> Tensor:
        """Float images [N, 3, H, W] from uint8 `pixels` [N, 3, H, W] and RGB shifts [N, 3], in grey levels of 0-255."""
        images = pixels.float() - self.mean
        return images if shift is None else images + shift[:, :, None, None]
