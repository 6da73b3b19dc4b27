"""The fast way from a file to a view's pixels against the reference way, on photographs and on odd files."""

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from tests.conftest import smooth_picture
from vggsuite.config import Decoder
from vggsuite.data import jpeg, pictures
from vggsuite.data.images import ORIENTATION_TAG
from vggsuite.data.samples import Files, Samples
from vggsuite.data.scale import Scale
from vggsuite.data.views import View, centre_view, random_view, whole_view
from vggsuite.errors import UserError

Choose = Callable[[int, int], View]


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """A photograph of 640 x 427 pixels."""
    return Image.fromarray(load_sample_image("china.jpg"))


def encoded(image: Image.Image, **settings: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, **({"format": "JPEG", "quality": 92} | settings))  # type: ignore[arg-type]
    return file.getvalue()


def seen(data: bytes, folder: Path, decoder: Decoder, choose: Choose) -> tuple[np.ndarray, Decoder]:
    (folder / "image.JPEG").write_bytes(data)
    return pictures.read_view(Samples.all_of(Files(folder, ["image.JPEG"]), [0]), 0, decoder, choose)


def both(data: bytes, folder: Path, choose: Choose) -> tuple[np.ndarray, np.ndarray]:
    """The pixels by either decoder, signed; the fast one is made sure to have been used."""
    (turbo, by), (pillow, _) = (seen(data, folder, decoder, choose) for decoder in Decoder)
    assert by == Decoder.turbo
    assert turbo.shape == pillow.shape
    assert turbo.dtype == pillow.dtype == np.uint8
    return turbo.astype(int), pillow.astype(int)


@pytest.mark.parametrize("settings", [{"subsampling": 0}, {"subsampling": 2}, {"progressive": True}])
def test_training_views_equal_pillows_on_the_same_box(
    settings: dict[str, Any], photo: Image.Image, tmp_path: Path
) -> None:
    data, means = encoded(photo, **settings), []
    for seed in range(60):

        def draw(width: int, height: int, seed: int = seed) -> View:
            return random_view(width, height, np.random.default_rng(seed), scale=Scale(256, 512), crop=224, flip=True)

        turbo, pillow = both(data, tmp_path, draw)
        difference = np.abs(turbo - pillow)
        assert difference[1:-1, 1:-1].max() <= 2
        means.append(difference.mean())
    assert np.mean(means) < 0.05


@pytest.mark.parametrize("side", [224, 376, *range(425, 432), 640])
def test_a_side_near_the_images_own_is_resampled_all_the_same(side: int, photo: Image.Image, tmp_path: Path) -> None:
    """torch leaves an axis alone whose length is the wanted one, whatever the step."""
    extent = 224 * 427 / side
    for left, top in ((0, 0), (17, int(427 - extent)), (int(640 - extent), 0)):
        view = View(left, top, extent, extent, (224, 224), 1)
        turbo, pillow = both(encoded(photo), tmp_path, lambda width, height, view=view: view)  # type: ignore[misc]
        assert np.abs(turbo - pillow)[1:-1, 1:-1].max() <= 2


@pytest.mark.parametrize("side", [100, 256, 427, 640])
def test_whole_images_and_centre_crops_equal_pillows(side: int, photo: Image.Image, tmp_path: Path) -> None:
    """Up to what decoding a large image smaller costs."""
    for choose in (whole_view, lambda w, h, s: centre_view(w, h, s, 90)):
        turbo, pillow = both(encoded(photo), tmp_path, lambda w, h, choose=choose: choose(w, h, side))  # type: ignore[misc]
        difference = np.abs(turbo - pillow)[1:-1, 1:-1]
        assert difference.max() <= 2 or (side == 100 and difference.mean() < 1.5)


@pytest.mark.parametrize("reduction", [1, 2, 4, 8])
@pytest.mark.parametrize(
    "settings", [{}, {"subsampling": 0}, {"subsampling": 1}, {"restart_marker_blocks": 3}, {"progressive": True}]
)
def test_the_rows_that_are_decoded_are_those_of_the_whole_image(
    reduction: int, settings: dict[str, Any], photo: Image.Image
) -> None:
    data = encoded(photo.crop((0, 0, 501, 375)), **settings)
    header = jpeg.read_header(data)
    assert header is not None
    whole = jpeg.decode_upright(data, header, rows=375, reduction=reduction)
    assert whole.shape == (-(-375 // reduction), -(-501 // reduction), 3)
    for rows in (1, 15, 16, 17, 130, 374):
        part = jpeg.decode_upright(data, header, rows=rows, reduction=reduction)
        needed = -(-rows // reduction)
        assert needed <= len(part)
        assert np.array_equal(part[:needed], whole[:needed])
        assert len(part) < len(whole) or rows > 350 or "progressive" in settings


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_applied(orientation: int, tmp_path: Path) -> None:
    data = encoded(smooth_picture(120, 90), exif=oriented(orientation), quality=95)
    turbo, pillow = both(data, tmp_path, lambda w, h: whole_view(w, h, 90))
    assert turbo.shape == ((120, 90, 3) if orientation > 4 else (90, 120, 3))
    assert np.array_equal(turbo, pillow)
    turbo, pillow = both(data, tmp_path, lambda w, h: View(3, 8, 64, 64, (32, 32), 1, flip=True))
    assert np.abs(turbo - pillow)[1:-1, 1:-1].max() <= 2


def test_an_orientation_that_xmp_tells_is_applied(tmp_path: Path) -> None:
    data = encoded(smooth_picture(120, 90), xmp=b'<rdf:Description tiff:Orientation="6"/>')
    turbo, pillow = both(data, tmp_path, lambda w, h: whole_view(w, h, 90))
    assert turbo.shape == (120, 90, 3)
    assert np.array_equal(turbo, pillow)


ODD: dict[str, Callable[[Image.Image], bytes]] = {
    "cmyk": lambda photo: encoded(photo.convert("CMYK")),
    "png": lambda photo: encoded(photo, format="PNG"),
    "webp": lambda photo: encoded(photo, format="WEBP"),
    "bytes after the end": lambda photo: encoded(photo) + b"\0\0",
    "no end": lambda photo: encoded(photo)[:-2],
    "first half": lambda photo: encoded(photo)[:40_000],
    "first half, as if complete": lambda photo: encoded(photo)[:40_000] + jpeg.END_OF_IMAGE,
    "progressive, first third, as if complete": lambda photo: (
        encoded(photo, progressive=True)[:20_000] + jpeg.END_OF_IMAGE
    ),
    "progressive, damaged": lambda photo: with_marker(encoded(photo, progressive=True), 20_000),
    "an unknown marker among the pixels": lambda photo: with_marker(encoded(photo), 30_000),
    "header alone": lambda photo: encoded(photo)[:600],
    "header alone, as if complete": lambda photo: encoded(photo)[:600] + jpeg.END_OF_IMAGE,
    "damage in the middle": lambda photo: encoded(photo)[:30_000] + b"\x55" * 400 + encoded(photo)[30_400:],
    "height 0": lambda photo: with_height(encoded(photo), 0),
    "12 bits": lambda photo: encoded(photo).replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc0\x00\x11\x0c"),
    "orientation in EXIF and another in XMP": lambda photo: encoded(
        photo, exif=oriented(1), xmp=b'<rdf:Description tiff:Orientation="6"/>'
    ),
    "EXIF cut off": lambda photo: encoded(photo, exif=b"Exif\0\0II*\0"),
    "EXIF of no byte order": lambda photo: encoded(photo, exif=b"Exif\0\0XX*\0\x08\0\0\0\0\0"),
    "nothing after the first scan's marker": lambda photo: encoded(photo)[:623] + b"\xff\xda" + jpeg.END_OF_IMAGE,
    "text": lambda photo: b"no image at all",
    "nothing": lambda photo: b"",
    "first marker alone": lambda photo: jpeg.START_OF_IMAGE + jpeg.END_OF_IMAGE,
}


def with_marker(data: bytes, at: int) -> bytes:
    return data[:at] + b"\xff\x3b" + data[at + 2 :]


def oriented(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    return exif


def with_height(data: bytes, height: int) -> bytes:
    header = jpeg.read_header(data)
    assert header is not None
    return data[: header.height_at] + height.to_bytes(2, "big") + data[header.height_at + 2 :]


@pytest.mark.parametrize("name", ODD)
def test_odd_files_are_read_or_refused_as_by_pillow(name: str, photo: Image.Image, tmp_path: Path) -> None:
    data = ODD[name](photo)
    turbo, pillow = (outcome(data, tmp_path, decoder, View(20, 100, 300, 300, (224, 224), 1)) for decoder in Decoder)
    if isinstance(turbo, np.ndarray) and isinstance(pillow, np.ndarray):
        assert np.abs(turbo.astype(int) - pillow)[1:-1, 1:-1].max() <= 2
    else:
        assert turbo == pillow
        assert str(tmp_path / "image.JPEG") in turbo


def outcome(
    data: bytes, folder: Path, decoder: Decoder, view: View | None = None, *, side: int | None = None
) -> np.ndarray | str:
    """The pixels of `view`, or of the whole image at its own size or at smallest side `side`, or what is told
    instead."""
    try:
        return seen(data, folder, decoder, lambda w, h: view or whole_view(w, h, side or min(w, h)))[0]
    except UserError as error:
        return str(error)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 300), (300, 2), (223, 225), (6500, 4700)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_odd_sizes(width: int, height: int, mode: str, tmp_path: Path) -> None:
    data = encoded(smooth_picture(width, height).convert(mode))
    for seed in range(3):
        rng = np.random.default_rng(seed)
        view = random_view(width, height, rng, scale=Scale(256, 512), crop=224, flip=False)
        turbo, pillow = both(data, tmp_path, lambda w, h, view=view: view)  # type: ignore[misc]
        border = math.ceil(max(1, 0.5 * 224 / view.width))  # half a pixel of the image
        assert np.abs(turbo - pillow)[border:-1, border:-1].max(initial=0) <= (2 if view.reduction == 1 else 12)


@pytest.mark.parametrize("decoder", Decoder)
def test_a_line_is_not_blown_up_to_fill_the_memory(decoder: Decoder, tmp_path: Path) -> None:
    told = outcome(encoded(smooth_picture(65_000, 1)), tmp_path, decoder, side=224)
    assert isinstance(told, str)
    assert "image.JPEG cannot be read as an image (an image of 65000 x 1 pixels would be 14560000 x 224 at" in told


def test_images_beyond_pillows_limit_are_left_to_pillow(photo: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(photo)
    for limit, known in ((640 * 427, True), (640 * 427 - 1, False), (None, True)):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert (jpeg.read_header(data) is not None) == known


def test_what_a_decoder_leaves_out_is_never_what_was_in_memory(photo: Image.Image, tmp_path: Path) -> None:
    """A progressive JPEG cut off anywhere: the same pixels, or the same error, by both."""
    data = encoded(photo.resize((160, 120)), progressive=True)
    for length in range(620, len(data), 97):
        turbo, pillow = (outcome(data[:length] + jpeg.END_OF_IMAGE, tmp_path, decoder) for decoder in Decoder)
        assert isinstance(turbo, str) == isinstance(pillow, str)
        assert np.array_equal(turbo, pillow)
