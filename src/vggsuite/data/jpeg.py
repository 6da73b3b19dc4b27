"""Decoding no more of a JPEG than a view needs: fewer rows, or fewer pixels of all."""

import io
import math
import re
from typing import NamedTuple

import numpy as np
import simplejpeg
from PIL import Image

from vggsuite.data.images import TRANSPOSED_ORIENTATIONS, orientation_of

START_OF_IMAGE, END_OF_IMAGE = b"\xff\xd8", b"\xff\xd9"
ROWS_LEFT = re.compile("extraneous bytes before marker 0xd[0-79]")  # what a decoder says that is told of fewer rows
MAX_SIDE = 65_500  # of libjpeg
BASELINE, EXTENDED, PROGRESSIVE, START_OF_SCAN, APP1 = 0xC0, 0xC1, 0xC2, 0xDA, 0xE1


class Header(NamedTuple):
    """What the markers before a JPEG's pixels say of it.

    Attributes:
        width, height: as stored, in pixels.
        orientation: EXIF's, 1 to 8; 1 is upright.
        rows_at_a_time: the height of the blocks that follow each other in the file; 0 where the whole image is spread
            over several scans, as in a progressive JPEG.
        height_at: where in the file the height is written, in two bytes.
    """

    width: int
    height: int
    orientation: int
    rows_at_a_time: int
    height_at: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright image."""
        return (self.height, self.width) if self.orientation in TRANSPOSED_ORIENTATIONS else (self.width, self.height)


def read_header(data: bytes) -> Header | None:
    """The header of a complete JPEG of 8 bits, in grey or of three colours; None of anything else."""
    if not (data.startswith(START_OF_IMAGE) and data.endswith(END_OF_IMAGE)):
        return None
    at, frame, described = 2, None, False
    try:
        while data[at] == 0xFF:
            marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
            if marker == START_OF_SCAN:
                return header_of(data, frame, scanned=data[at + 4], described=described) if frame else None
            if marker in (BASELINE, EXTENDED, PROGRESSIVE):
                frame = at
            described |= marker == APP1
            at += 2 + length
        return None  # no marker where one should be
    except IndexError:  # the file ends before its header does
        return None


def header_of(data: bytes, frame: int, *, scanned: int, described: bool) -> Header | None:
    """The header of a JPEG whose frame header begins at `frame`, whose first scan has `scanned` components, and which
    is `described` by EXIF or XMP."""
    precision, components = data[frame + 4], data[frame + 9]
    height, width = (int.from_bytes(data[frame + at : frame + at + 2], "big") for at in (5, 7))
    too_large = width * height > (Image.MAX_IMAGE_PIXELS or math.inf)  # Pillow warns of these, or refuses them
    if (
        precision != 8
        or components not in (1, 3)
        or min(width, height) < 1
        or max(width, height) > MAX_SIDE
        or too_large
    ):
        return None
    vertical = max(data[frame + 11 + 3 * component] & 15 for component in range(components))
    in_order = data[frame + 1] != PROGRESSIVE and scanned == components
    orientation = 1
    if described:
        with Image.open(io.BytesIO(data)) as image:
            orientation = orientation_of(image)
    return Header(width, height, orientation, 8 * vertical if in_order else 0, frame + 5)


def decode_upright(data: bytes, header: Header, *, rows: int, reduction: int) -> np.ndarray:
    """The first `rows` rows of the upright image or more, `reduction` (1, 2, 4 or 8) times smaller: uint8 [H, W, 3].

    What is decoded equals, to the bit, its part of the whole image.

    Raises:
        ValueError: for what cannot be decoded, or is damaged in what is decoded.
    """
    height, cut = header.height, False
    if header.orientation == 1 and header.rows_at_a_time:
        needed = rows + 1  # colours are interpolated with those of the row below
        height = min(height, -(-needed // header.rows_at_a_time) * header.rows_at_a_time)
        cut = height < header.height
        data = b"".join((data[: header.height_at], height.to_bytes(2, "big"), data[header.height_at + 2 :]))
    size = -(-height // reduction), -(-header.width // reduction)
    pixels = np.empty((*size, 3), np.uint8)
    try:
        simplejpeg.decode_jpeg(data, min_height=size[0], min_width=size[1], min_factor=reduction, buffer=pixels)
    except ValueError as error:
        if not (cut and ROWS_LEFT.search(str(error))):
            raise
    return upright(pixels, header.orientation)


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """A view of `pixels` [H, W, 3] turned by what EXIF's orientation says."""
    if orientation in TRANSPOSED_ORIENTATIONS:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels
