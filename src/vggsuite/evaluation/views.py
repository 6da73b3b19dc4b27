"""Where the crops of a rescaled image lie: pure functions from sizes to corners (top, left) in pixels."""

import torch
from torch import Tensor

from vggsuite.protocol import GRID_SIDE, Method

Corner = tuple[int, int]


def corners(method: Method, *, height: int, width: int, crop: int) -> list[Corner]:
    """The corners of the crops that `method` takes of an image of `height` x `width` pixels."""
    match method:
        case Method.multi_crop:
            return grid(height, width, crop, GRID_SIDE)
        case Method.ten_crop:
            return [*grid(height, width, crop, 2), centre(height, width, crop)]
        case Method.centre_crop:
            return [centre(height, width, crop)]
    raise ValueError(f"{method} takes no crops")


def grid(height: int, width: int, crop: int, side: int) -> list[Corner]:
    """A regular grid of `side` x `side` crops, evenly spaced from edge to edge. The paper says "regular 5x5 grid" and
    no more (section 3.2)."""
    return [(top, left) for top in spaced(height - crop, side) for left in spaced(width - crop, side)]


def spaced(last: int, count: int) -> list[int]:
    """`count` >= 2 whole numbers, evenly spaced from 0 to `last`."""
    return [round(position * last / (count - 1)) for position in range(count)]


def centre(height: int, width: int, crop: int) -> Corner:
    """The corner of the crop in the middle."""
    return (height - crop) // 2, (width - crop) // 2


def crop_at(images: Tensor, corner: Corner, crop: int) -> Tensor:
    """The crops [N, 3, crop, crop] at `corner` of images [N, 3, H, W], viewed in place."""
    top, left = corner
    return images[..., top : top + crop, left : left + crop]


def with_mirrored(images: Tensor) -> Tensor:
    """Images [N, 3, H, W] and after them their mirror images: [2N, 3, H, W]."""
    return torch.cat([images, images.flip(-1)])
