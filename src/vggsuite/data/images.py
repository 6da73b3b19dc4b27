"""Reading an image as the 8-bit RGB picture a person would see, whatever its mode: the reference path, by Pillow."""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from vggsuite.errors import UserError, first_line, printable

SIXTEEN_BIT_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")
ORIENTATION_TAG = 0x0112
TRANSPOSED_ORIENTATIONS = (5, 6, 7, 8)
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class NotThereError(UserError):
    """The folder of a data set has disappeared."""


def read_image(path: str | os.PathLike[str]) -> Image.Image:
    """The image at `path` in mode RGB, upright (its EXIF orientation applied).

    Grey, palette and CMYK images are converted, transparency is dropped, 16-bit grey is divided by 256.

    Raises:
        UserError: with the path, for a file that is missing, truncated or no image.
    """
    with naming_unreadable(path), open(path, "rb") as file:
        return decode(file)


def decode(file: BinaryIO) -> Image.Image:
    """The image in `file`, as `read_image` gives it."""
    with Image.open(file) as image:
        image.load()
        turn = UPRIGHT.get(orientation_of(image))
        return to_rgb(image if turn is None else image.transpose(turn))


def orientation_of(image: Image.Image) -> int:
    """The orientation that EXIF or XMP tells, 1 to 8; 1, upright, if they tell none or cannot be read."""
    try:
        found: int = image.getexif().get(ORIENTATION_TAG, 1)
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, OverflowError, MemoryError, struct.error):
        return 1  # Pillow's errors of EXIF, or of what is read to find it
    return found if found in range(1, 9) else 1


def to_rgb(image: Image.Image) -> Image.Image:
    """`image` in mode RGB."""
    if image.mode in SIXTEEN_BIT_MODES:
        return Image.fromarray((np.asarray(image) // 256).astype(np.uint8)).convert("RGB")
    if image.mode == "P":  # a palette may carry transparency, which only RGBA takes
        image = image.convert("RGBA")
    return image.convert("RGB")


def image_size(file: BinaryIO) -> tuple[int, int]:
    """Width and height in pixels of the upright image in `file`, from its header."""
    with Image.open(file) as image:
        return image.size[::-1] if orientation_of(image) in TRANSPOSED_ORIENTATIONS else image.size


@contextmanager
def naming_unreadable(location: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what reading or decoding an image raises into a UserError that says where the image is."""
    try:
        yield
    except NotThereError:
        raise
    except (OSError, SyntaxError, ValueError, MemoryError, Image.DecompressionBombError) as error:
        raise UserError(
            f"{printable(str(Path(location)))} cannot be read as an image ({reason_of(error)}); mend the file or name "
            "another."
        ) from error


def reason_of(error: Exception) -> str:
    """Why an image cannot be read, in a few words."""
    match error:
        case FileNotFoundError():
            return "no such file"
        case UnidentifiedImageError():
            return "no image of a known format"
        case MemoryError():
            return "it asks for more memory than there is"
        case OSError(strerror=str(told)):
            return told
    return first_line(error)
