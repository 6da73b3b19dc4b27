"""JPEG files as ILSVRC-2012 has them, from photographs that scikit-image and scikit-learn ship.

Sizes are ILSVRC's commonest in about their shares, qualities 93 to 98, which makes files of some 90 kB. Half are 4:2:0
and half 4:4:4, all baseline. They show a few photographs again and again, in other crops: to a decoder all
the same.
"""

from pathlib import Path

import numpy as np
import skimage
import sklearn
from PIL import Image

from vggsuite.data.samples import Files, Samples

SHAPES = [(500, 375)] * 62 + [(500, 333)] * 17 + [(375, 500)] * 12 + [(333, 500)] * 5 + [(400, 300)] * 4
LARGE = [(1500, 1125)]
NAMES = ("astronaut", "chelsea", "coffee", "motorcycle_left", "motorcycle_right", "ihc", "rocket", "retina")


def photographs() -> list[Image.Image]:
    """The originals, in RGB."""
    shipped = Path(skimage.__file__).parent / "data", Path(sklearn.__file__).parent / "datasets" / "images"
    files = [next(file for file in shipped[0].glob(f"{name}.*") if file.suffix in (".png", ".jpg")) for name in NAMES]
    return [Image.open(file).convert("RGB") for file in (*files, shipped[1] / "flower.jpg", shipped[1] / "china.jpg")]


def write_jpegs(folder: Path, count: int, *, shapes: list[tuple[int, int]] = SHAPES) -> Samples:
    """Write `count` JPEG files into `folder`, the same ones whenever it is called; return them, all of one class."""
    folder.mkdir(parents=True, exist_ok=True)
    originals, rng, names = photographs(), np.random.default_rng(0), []
    for number in range(count):
        original = originals[rng.integers(len(originals))]
        width, height = shapes[rng.integers(len(shapes))]
        extent = min(original.width / width, original.height / height) * rng.uniform(0.8, 1)
        left = rng.uniform(0, original.width - extent * width)
        top = rng.uniform(0, original.height - extent * height)
        box = (left, top, left + extent * width, top + extent * height)
        image = original.resize((width, height), Image.Resampling.LANCZOS, box=box)
        names.append(f"{number:05d}.JPEG")
        image.save(folder / names[-1], "JPEG", quality=int(rng.integers(93, 99)), subsampling=2 * int(rng.integers(2)))
    return Samples.all_of(Files(folder, names), [0] * count)
