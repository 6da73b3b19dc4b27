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

Choose = Callable[[int, int], View]  # of an image's width and height

antialiased: Any = torch._C._nn._upsample_bilinear2d_aa  # F.interpolate(antialias=True), but takes any scale


def read_view(samples: Samples, index: int, decoder: Decoder, choose: Choose) -> tuple[np.ndarray, Decoder]:
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
            decoded = decode_for(view, data, header)
        except ValueError:  # Pillow mends what is wrong with it, or says what it is
            return by_pillow(images.decode(io.BytesIO(data)), view), Decoder.pillow
        return mirrored(resample(decoded, view), view.flip), Decoder.turbo


def by_pillow(image: Image.Image, view: View) -> np.ndarray:
    """The reference: Pillow resamples the view's rectangle of the whole image, antialiased."""
    right, bottom = min(view.left + view.width, image.width), min(view.top + view.height, image.height)
    box = (view.left, view.top, right, bottom)
    return mirrored(np.array(image.resize(view.size, Image.Resampling.BILINEAR, box=box)), view.flip)


def decode_for(view: View, data: bytes, header: Header) -> np.ndarray:
    """What `view` needs of a JPEG, by libjpeg-turbo: uint8 [H, W, 3], the image's upper part or all of it.

    Raises:
        ValueError: for what cannot be decoded.
    """
    step = view.height / view.size[1]
    rows = min(header.size[1], math.ceil(view.top + view.height + max(view.reduction, step)))
    return jpeg.decode_upright(data, header, rows=rows, reduction=view.reduction)


def resample(decoded: np.ndarray, view: View) -> np.ndarray:
    """What `view` shows of the image that begins with `decoded`, by torch, antialiased: uint8 [height, width, 3].

    torch does not see the pixels left of and above the view, so that its outermost row and column differ from Pillow's.
    """
    width, height = view.size
    left, top = view.left // view.reduction, view.top // view.reduction
    step_x, step_y = view.width / view.reduction / width, view.height / view.reduction / height
    right = min(decoded.shape[1], math.ceil(left + width * step_x + max(1.0, step_x)))
    bottom = min(decoded.shape[0], math.ceil(top + height * step_y + max(1.0, step_y)))
    window = torch.from_numpy(np.ascontiguousarray(decoded[top:bottom, left:right]))
    # The batch axis first, then the channels': in the other order torch does not see that channels are last.
    window = window[None].permute(0, 3, 1, 2)
    # An axis of the wanted length is not resampled whatever the step: one more is asked for there, and dropped.
    size = [height + (bottom - top == height), width + (right - left == width)]
    result = antialiased(window, size, False, 1 / step_y, 1 / step_x)
    return result[0, :, :height, :width].permute(1, 2, 0).numpy()


def mirrored(pixels: np.ndarray, flip: bool) -> np.ndarray:
    return pixels[:, ::-1] if flip else pixels
