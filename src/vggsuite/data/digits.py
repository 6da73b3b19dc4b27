"""The embedded data set: real handwritten digits on larger coloured canvases, in ILSVRC-2012's own folder layout.

The digits are scikit-learn's bundled 1,797 (UCI optdigits, 8x8, 17 grey levels). Each is placed on a canvas of
varying shape at a varying size, position, slant, colour and contrast, over a gradient with clutter (strokes, and
fragments of other digits), so that training scale, depth and spatial context matter. Training and validation
images come from disjoint digits, and a validation digit is used once, so that validation images are independent.
"""

import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from tqdm import tqdm

from vggsuite.data.embedding import Box, Colour, draw_once, paste_mask, voc_annotation

SHORT_SIDE = 96  # pixels of a canvas's smaller side
LONG_SIDE = 120  # the larger one's maximum
DIGIT_SIZE = (0.23, 0.42)  # side of the digit, as a share of the canvas's smaller side
FRAGMENT_SIZE = (0.10, 0.22)  # likewise, of a fragment of clutter
OFFSET = 0.10  # largest distance of the digit's centre from the canvas's, as a share of each side
CLEAR, FAINT = (60, 150), (20, 80)  # contrast of the digit and of fragments to what lies below, in grey levels
NUM_VAL_DIGITS = 797
CANVASES_PER_TRAIN_DIGIT = 6
SEED = 20140904  # the day of the paper's first version
VERSION = 1  # of the drawing; part of the data set's folder name, so that a change makes a new set
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def embed_digits(root: Path) -> None:
    """Draw the data set into `root` unless it is there, in the Kaggle layout of ILSVRC-2012 with box annotations."""
    draw_once(root, write_dataset)


def write_dataset(root: Path) -> None:
    """Draw all canvases and write them below `root`: images, annotations, labels of val, and class names."""
    from sklearn.datasets import load_digits  # only to draw: the import takes a second

    digits = load_digits()
    train, val = split_digits(digits.target)
    jobs = [
        ("train", f"{class_name(digits.target[digit])}/digit_{digit:04d}_{copy}", digit, copy, train)
        for digit in train
        for copy in range(CANVASES_PER_TRAIN_DIGIT)
    ]
    jobs += [("val", f"val_{number:08d}", digit, 0, val) for number, digit in enumerate(val, start=1)]
    solution = ["ImageId,PredictionString"]
    for split, stem, digit, copy, pool in tqdm(jobs, desc="drawing the digits data set", unit="image", disable=None):
        rng = np.random.default_rng((SEED, int(digit), copy))
        image, box = draw_canvas(rng, digits.images[digit], digits.images[pool])
        name = class_name(digits.target[digit])
        write_canvas(root, f"{split}/{stem}", image, name, box)
        if split == "val":
            solution.append(f"{stem},{name} {' '.join(map(str, box))} ")
    (root / "LOC_val_solution.csv").write_text("\n".join(solution) + "\n")
    (root / "LOC_synset_mapping.txt").write_text(
        "".join(f"{class_name(label)} {word}\n" for label, word in enumerate(WORDS))
    )


def class_name(label: int) -> str:
    """The folder name that stands where ImageNet has a WordNet id."""
    return f"digit_{label}"


def split_digits(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the training and of the validation digits: disjoint, every class in its share of both."""
    from sklearn.model_selection import train_test_split

    train, val = train_test_split(np.arange(len(labels)), test_size=NUM_VAL_DIGITS, stratify=labels, random_state=SEED)
    return np.sort(train), np.sort(val)


def write_canvas(root: Path, stem: str, image: Image.Image, name: str, box: Box) -> None:
    """Write the JPEG and its PASCAL-VOC annotation, as ILSVRC keeps them."""
    image_file = root / "Data/CLS-LOC" / f"{stem}.JPEG"
    annotation_file = root / "Annotations/CLS-LOC" / f"{stem}.xml"
    for file in (image_file, annotation_file):
        file.parent.mkdir(parents=True, exist_ok=True)
    image.save(image_file, quality=90)
    annotation_file.write_bytes(voc_annotation({"filename": image_file.stem}, image.size, [({"name": name}, box)]))


def draw_canvas(rng: np.random.Generator, digit: np.ndarray, clutter: np.ndarray) -> tuple[Image.Image, Box]:
    """A canvas with the digit on it, and the digit's box.

    Args:
        rng: the source of everything random.
        digit: ink [8, 8] in 0..16.
        clutter: digits [N, 8, 8] whose fragments are strewn over the background.
    """
    sides = (SHORT_SIDE, int(rng.integers(SHORT_SIDE, LONG_SIDE + 1)))
    width, height = sides if rng.random() < 0.7 else sides[::-1]
    canvas = Image.fromarray(gradient(rng, width, height))
    draw_strokes(rng, canvas)
    for _ in range(rng.integers(4)):
        row, column = rng.integers(0, 5, 2)
        fragment = clutter[rng.integers(len(clutter)), row : row + 4, column : column + 4]
        centre = rng.uniform(0, 1, 2) * (width, height)
        paste_ink(rng, canvas, fragment, side=rng.uniform(*FRAGMENT_SIZE), centre=centre, contrast=FAINT)
    centre = (0.5 + rng.uniform(-OFFSET, OFFSET, 2)) * (width, height)
    return canvas, paste_ink(rng, canvas, digit, side=rng.uniform(*DIGIT_SIZE), centre=centre, contrast=CLEAR)


def gradient(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A darkish background [height, width, 3] from one colour to another at any angle, with coarse and fine noise."""
    first, second = rng.uniform(30, 90, (2, 3))
    angle = rng.uniform(0, 2 * math.pi)
    y, x = np.mgrid[0:height, 0:width]
    ramp = (x / width - 0.5) * math.cos(angle) + (y / height - 0.5) * math.sin(angle) + 0.5
    ramp = np.clip(ramp, 0, 1)[..., None]
    coarse = Image.fromarray(rng.normal(0, 14, (7, 7)).astype(np.float32))
    noise = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)) + rng.normal(0, 6, (height, width))
    return np.clip(first * (1 - ramp) + second * ramp + noise[..., None], 0, 255).astype(np.uint8)


def draw_strokes(rng: np.random.Generator, canvas: Image.Image) -> None:
    """Draw up to three thin straight lines of any direction and colour."""
    draw = ImageDraw.Draw(canvas)
    for _ in range(rng.integers(4)):
        ends = rng.uniform(-0.1, 1.1, (2, 2)) * canvas.size
        colour = tuple(rng.integers(0, 160, 3).tolist())
        draw.line([tuple(end) for end in ends], fill=colour, width=int(rng.integers(1, 4)))


def paste_ink(
    rng: np.random.Generator,
    canvas: Image.Image,
    ink: np.ndarray,
    *,
    side: float,
    centre: np.ndarray,
    contrast: tuple[float, float],
) -> Box:
    """Draw `ink` (0..16), `side` times the canvas's smaller side large, in one colour that is lighter than what lies
    below it by `contrast` grey levels, slanted a little; return the box of what is clearly visible."""
    size = max(4, round(side * SHORT_SIDE))
    mask = Image.fromarray((ink * (255 / 16)).astype(np.uint8)).resize((size, size), Image.Resampling.BICUBIC)
    mask = mask.rotate(rng.uniform(-12, 12), resample=Image.Resampling.BICUBIC, expand=True)
    return paste_mask(canvas, mask, centre, lambda below: tinted(rng, below + rng.uniform(*contrast)))


def tinted(rng: np.random.Generator, luminance: float) -> Colour:
    """A random tint of the given luminance (ITU-R 601 weights), as far as 255 levels allow."""
    tint = rng.uniform(0.6, 1.4, 3)
    colour = tint * luminance / (tint @ (0.299, 0.587, 0.114))
    red, green, blue = np.clip(colour, 0, 255).astype(int).tolist()
    return red, green, blue
