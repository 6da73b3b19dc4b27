"""Small real inputs for the tests: images, trees of them, and the command line."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]

MakeTree = Callable[..., Path]


@pytest.fixture
def picture() -> Image.Image:
    """A smooth picture of 120 x 90 pixels, in which every place differs."""
    return smooth_picture(120, 90)


def smooth_picture(width: int, height: int, level: int = 128) -> Image.Image:
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([255 * x / width, 255 * y / height, np.full_like(x, level)], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.fixture
def make_tree(tmp_path: Path) -> MakeTree:
    """Write a tree of class folders with images of 40 x 48 pixels whose blue level tells the class."""

    def make(*parts: str, classes: tuple[str, ...] = ("cat", "dog", "owl"), images: int = 6) -> Path:
        folder = tmp_path.joinpath("images", *parts)
        for label, name in enumerate(classes):
            (folder / name).mkdir(parents=True)
            for number in range(images):
                picture = smooth_picture(40, 48 + number, level=(80 * label + number) % 256)
                picture.save(folder / name / f"{name}_{number:03d}.png")
        return tmp_path / "images"

    return make


def run_command(script: str, *arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run an entry point as a person would, without colours or a terminal."""
    return subprocess.run(
        [sys.executable, str(ROOT / "src" / script), *arguments],
        cwd=cwd,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""} | environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
    )
