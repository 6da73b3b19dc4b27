"""Images, by both decoders and through random views."""

import io
import math
import struct
import warnings
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from tests.conftest import smooth_picture
from tests.fuzzing.mutations import Bytes, Draw, mutated
from tests.fuzzing.target import Target
from vggsuite.config import Decoder
from vggsuite.data import jpeg
from vggsuite.data.images import ORIENTATION_TAG, naming_unreadable
from vggsuite.data.pictures import Choose, read_view
from vggsuite.data.samples import Files, Samples
from vggsuite.data.scale import Scale
from vggsuite.data.views import View, centre_view, random_view, whole_view
from vggsuite.errors import UserError

JPEG_TOKENS = (
    *(bytes([0xFF, marker]) for marker in (0xC0, 0xC1, 0xC2, 0xC4, 0xD0, 0xD8, 0xD9, 0xDA, 0xDB, 0xDD, 0xE1, 0xEE, 0)),
    b"Exif\x00\x00MM\x00*",
    b"\xff\xc0\x00\x0b\x08\xff\xdc\xff\xdc\x01\x01\x11\x00",  # the header of a frame of 65,500 pixels squared
)
PNG_TOKENS = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"eXIf", b"iTXt", b"acTL", b"\x89PNG\r\n\x1a\n")


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    return exif


def jpegs() -> list[bytes]:
    picture, small = smooth_picture(60, 44), smooth_picture(19, 33)
    return [
        encoded(picture, "JPEG"),
        encoded(picture, "JPEG", subsampling=0, quality=60),
        encoded(picture, "JPEG", progressive=True),
        encoded(picture, "JPEG", restart_marker_blocks=2),
        encoded(picture, "JPEG", exif=turned(6), comment=b"a comment"),
        encoded(small, "JPEG", exif=turned(3), optimize=True),
        encoded(picture.convert("L"), "JPEG"),
        encoded(small.convert("CMYK"), "JPEG"),
        encoded(smooth_picture(150, 130), "JPEG"),
        encoded(smooth_picture(1, 1), "JPEG"),
    ]


def pngs() -> list[bytes]:
    picture = smooth_picture(40, 31)
    palette = picture.quantize(9)
    deep = Image.fromarray((np.arange(40 * 31, dtype=np.uint16) * 50).reshape(31, 40))
    return [
        encoded(picture, "PNG"),
        encoded(picture, "PNG", exif=turned(5)),
        encoded(palette, "PNG", transparency=3),
        encoded(picture.convert("LA"), "PNG"),
        encoded(picture.convert("1"), "PNG"),
        encoded(picture.convert("RGBA"), "PNG"),
        encoded(deep, "PNG"),
        encoded(picture, "PNG", save_all=True, append_images=[palette.convert("RGB")]),
    ]


def others() -> list[bytes]:
    picture = smooth_picture(20, 16)
    forms = ("BMP", "PPM", "TIFF", "WEBP", "GIF", "ICO", "TGA")
    found = [encoded(picture, form) for form in forms]
    return [*found, encoded(picture, "TIFF", compression="tiff_lzw"), encoded(picture, "WEBP", lossless=True)]


def with_checksums(data: bytes) -> bytes:
    """A PNG whose chunks have the checksums of what they hold now, so that a decoder looks at it."""
    at, parts = 8, [data[:8]]
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        body = data[at + 4 : at + 8 + length]
        if at + 12 + length > len(data):
            break
        parts += [data[at : at + 4], body, struct.pack(">I", zlib.crc32(body))]
        at += 12 + length
    return b"".join([*parts, data[at:]])


@st.composite
def damaged_pngs(draw: Draw, seeds: list[bytes]) -> bytes:
    data: bytes = draw(mutated(seeds, PNG_TOKENS))
    return with_checksums(data) if draw(st.booleans()) else data


def views(data: bytes) -> list[Choose]:
    """A random, a central and a whole view, of which the data draws the first."""
    rng = np.random.default_rng(zlib.crc32(data))
    return [
        partial(random_view, rng=rng, scale=Scale(36, 60), crop=32, flip=True),
        partial(centre_view, side=40, crop=32),
        partial(whole_view, side=48),
    ]


class Remembering:
    """A choice of views that tells what it chose, the same of every decoder."""

    def __init__(self, choose: Choose) -> None:
        self.choose, self.size = choose, (0, 0)
        self.view: View | None = None

    def __call__(self, width: int, height: int) -> View:
        if self.view is None or self.size != (width, height):
            self.view, self.size = self.choose(width, height), (width, height)
        return self.view


def refused(call: Callable[[], object]) -> UserError | None:
    """The clean refusal of `call`, if it is one."""
    try:
        call()
    except UserError as error:
        return error
    return None


def check(data: bytes, home: Path, *, good: frozenset[bytes], ending: str) -> None:
    """Both decoders read the file, or refuse it; libjpeg-turbo what Pillow does, at least, and the same of a good one.
    Every way to its size tells one."""
    (home / f"image{ending}").write_bytes(data)
    samples = Samples.all_of(Files(home, [f"image{ending}"]), [0])
    with warnings.catch_warnings(action="ignore"):  # of Pillow's, at large or damaged images
        no_size = refused(lambda: samples.size(0))
        with naming_unreadable("header"):
            header = jpeg.read_header(data)
        if header and not no_size:
            assert header.size == samples.size(0)
        errors = [of_view(samples, Remembering(choose), good=data in good) for choose in views(data)]
    for error in (no_size, *errors):
        if error:
            raise error


def of_view(samples: Samples, choose: Remembering, *, good: bool) -> UserError | None:
    """Compare what the decoders make of one view; the refusal of a file of which they make none."""
    found: dict[Decoder, np.ndarray] = {}
    errors: dict[Decoder, UserError] = {}
    for decoder in Decoder:
        try:
            found[decoder], _ = read_view(samples, 0, decoder, choose)
            assert choose.view is not None
            assert found[decoder].dtype == np.uint8
            assert found[decoder].shape == (choose.view.size[1], choose.view.size[0], 3)
        except UserError as error:
            errors[decoder] = error
    if Decoder.pillow in found:
        assert Decoder.turbo in found, f"Pillow reads it, libjpeg-turbo: {errors[Decoder.turbo]}"
    assert not (good and errors)
    if good and choose.view is not None:
        border = math.ceil(max(1, 0.5 * choose.view.size[0] / choose.view.width)) + 1
        difference = np.abs(found[Decoder.turbo].astype(int) - found[Decoder.pillow])
        assert difference[border:-border, border:-border].max(initial=0) <= (4 if choose.view.reduction == 1 else 24)
    return next(iter(errors.values()), None)


def target(name: str, seeds: list[bytes], cases: Bytes, ending: str, share: float) -> Target:
    return Target(name, cases, partial(check, good=frozenset(seeds), ending=ending), share=share)


TARGETS = [
    target("jpeg", jpegs(), mutated(jpegs(), JPEG_TOKENS), ".jpg", 8),
    target("png", pngs(), damaged_pngs(pngs()), ".png", 4),
    target("picture", others(), mutated(others()), ".img", 2),
]
