"""Reading an image file as the 8-bit RGB picture a person would see, whatever its mode."""

import os
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from vggsuite.errors import UserError, first_line

SIXTEEN_BIT_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")
ORIENTATION_TAG = 0x0112
TRANSPOSED_ORIENTATIONS = (5, 6, 7, 8)


def read_image(path: str | os.PathLike[str]) -> Image.Image:
    """The image at `path` in mode RGB, upright (its EXIF orientation applied).

    Grey, palette and CMYK images are converted, transparency is dropped, 16-bit grey is divided by 256.

    Raises:
        UserError: with the path, for a file that is missing, truncated or no image.
    """
    try:
        with Image.open(path) as image:
            image.load()
            return to_rgb(ImageOps.exif_transpose(image))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, UnidentifiedImageError) as error:
        raise UserError(unreadable(path, error)) from error


def to_rgb(image: Image.Image) -> Image.Image:
    """`image` in mode RGB."""
    if image.mode in SIXTEEN_BIT_MODES:
        return Image.fromarray((np.asarray(image) // 256).astype(np.uint8)).convert("RGB")
    if image.mode == "P":  # a palette may carry transparency, which only RGBA takes
        image = image.convert("RGBA")
    return image.convert("RGB")


def image_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Width and height in pixels of the upright image, from its header.

    Raises:
        UserError: as `read_image`.
    """
    try:
        with Image.open(path) as image:
            turned = image.getexif().get(ORIENTATION_TAG) in TRANSPOSED_ORIENTATIONS
            return image.size[::-1] if turned else image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, UnidentifiedImageError) as error:
        raise UserError(unreadable(path, error)) from error


def unreadable(path: str | os.PathLike[str], error: Exception) -> str:
    reason = "no such file" if isinstance(error, FileNotFoundError) else first_line(error)
    return f"{Path(path)} cannot be read as an image ({reason}); mend the file or name another."
