"""Every kind of image file is read as RGB, or refused by name."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vggsuite.data.images import ORIENTATION_TAG, image_size, read_image
from vggsuite.errors import UserError


@pytest.mark.parametrize(
    ("mode", "name"),
    [("L", "grey.jpg"), ("CMYK", "cmyk.jpg"), ("P", "palette.png"), ("RGBA", "alpha.png"), ("1", "bits.png")],
)
def test_every_mode_becomes_rgb(mode: str, name: str, picture: Image.Image, tmp_path: Path) -> None:
    picture.convert(mode).save(tmp_path / name)
    image = read_image(tmp_path / name)
    assert image.mode == "RGB"
    assert image.size == picture.size == image_size((tmp_path / name).open("rb"))
    expected = picture.convert(mode).convert("RGB")
    assert np.abs(np.asarray(image, int) - np.asarray(expected, int)).mean() < 6  # JPEG is lossy


def test_a_palette_with_transparency_keeps_its_colours(tmp_path: Path) -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 200, 100, 50])
    image.save(tmp_path / "p.png", transparency=b"\x00\x80")
    assert read_image(tmp_path / "p.png").getpixel((0, 0)) == (200, 100, 50)


def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 256, 32768, 65535]], dtype=np.uint16)).save(tmp_path / "deep.png")
    assert np.asarray(read_image(tmp_path / "deep.png"))[0, :, 0].tolist() == [0, 1, 128, 255]


def test_the_exif_orientation_is_applied(picture: Image.Image, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6  # to be turned by 90 degrees clockwise
    picture.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    image = read_image(tmp_path / "turned.jpg")
    assert image.size == picture.size[::-1] == image_size((tmp_path / "turned.jpg").open("rb"))
    expected = np.asarray(picture.transpose(Image.Transpose.ROTATE_270), int)
    assert np.abs(np.asarray(image, int) - expected).mean() < 3


def test_unreadable_files_are_refused_by_name(picture: Image.Image, tmp_path: Path) -> None:
    picture.save(tmp_path / "whole.jpg")
    content = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "truncated.jpg").write_bytes(content[: len(content) // 2])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.png").write_text("no image at all")
    for name in ("truncated.jpg", "empty.jpg", "text.png", "missing.jpg"):
        with pytest.raises(UserError, match=name) as error:
            read_image(tmp_path / name)
        assert "\n" not in str(error.value)
