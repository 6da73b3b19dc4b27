"""From encoded bytes to a view's pixels, in either of two ways that differ in speed alone."""

import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image

from vggsuite.config import Decoder
from vggsuite.data import images, jpeg
from vggsuite.data.jpeg import Header
from vggsuite.data.samples import Samples
from vggsuite.data.views import View

antialiased: Any = torch._C._nn._upsample_bilinear2d_aa  # F.interpolate(antialias=True), but takes any scale


def read_view(
    samples: Samples, index: int, decoder: Decoder, choose: Callable[[int, int], View]
) -> tuple[np.ndarray, Decoder]:
    """What the view that `choose` takes of the image's width and height shows: uint8 [height, width, 3]; and who
    decoded it. What is no plain JPEG takes the reference way with either decoder.

    Raises:
        UserError: naming an image that cannot be read.
    """
    with images.naming_unreadable(samples.location(index)), samples.open(index) as file:
        data = file.read()
        header = jpeg.read_header(data) if decoder == Decoder.turbo else None
        if not header:
            image = images.decode(io.BytesIO(data))
            return by_pillow(image, choose(*image.size)), Decoder.pillow
        view = choose(*header.size)
        try:
            return by_turbo(data, header, view), Decoder.turbo
        except ValueError:  # Pillow mends what is wrong with it, or says what it is
            return by_pillow(images.decode(io.BytesIO(data)), view), Decoder.pillow


def by_pillow(image: Image.Image, view: View) -> np.ndarray:
    """The reference: Pillow resamples the view's rectangle of the whole image, antialiased."""
    right, bottom = min(view.left + view.width, image.width), min(view.top + view.height, image.height)
    box = (view.left, view.top, right, bottom)
    return mirrored(np.array(image.resize(view.size, Image.Resampling.BILINEAR, box=box)), view.flip)


def by_turbo(data: bytes, header: Header, view: View) -> np.ndarray:
    """libjpeg-turbo decodes what the view needs of a JPEG, and torch resamples it, antialiased.

    Raises:
        ValueError: for what cannot be decoded.
    """
    step = view.height / view.size[1]
    rows = min(header.size[1], math.ceil(view.top + view.height + max(view.reduction, step)))
    decoded = jpeg.decode_upright(data, header, rows=rows, reduction=view.reduction)
    return mirrored(resample(decoded, view), view.flip)


def resample(decoded: np.ndarray, view: View) -> np.ndarray:
    """What `view` shows of an image of which the upper part at least was decoded, uint8 [H, W, 3], as Pillow would
    resample it, but for the rows and columns beyond the upper and left edge of the view, which are not seen.
    """
    height, width = decoded.shape[:2]
    left, top = view.left // view.reduction, view.top // view.reduction
    steps = [extent / view.reduction / length for extent, length in zip(view[2:4], view.size, strict=True)]
    margins = [length * step + max(1.0, step) for length, step in zip(view.size, steps, strict=True)]
    right, bottom = min(width, math.ceil(left + margins[0])), min(height, math.ceil(top + margins[1]))
    window = torch.from_numpy(np.ascontiguousarray(decoded[top:bottom, left:right]))
    # The batch axis first, then the channels': in the other order torch does not see that channels are last.
    window = window[None].permute(0, 3, 1, 2)
    # An axis of the wanted length is not resampled whatever the step: one more is asked for there, and dropped.
    across, down = (
        length + (length == have) for length, have in zip(view.size, (right - left, bottom - top), strict=True)
    )
    result = antialiased(window, [down, across], False, 1 / steps[1], 1 / steps[0])
    return result[0, :, : view.size[1], : view.size[0]].permute(1, 2, 0).numpy()


def mirrored(pixels: np.ndarray, flip: bool) -> np.ndarray:
    return pixels[:, ::-1] if flip else pixels
