"""The second embedded data set, to transfer to: printed letters on photographs, in the layouts of Caltech-101 and VOC.

The letters are those of 22 typefaces that matplotlib bundles: DejaVu (free licence of Bitstream Vera; its changes are
in the public domain), STIX (SIL Open Font Licence 1.1) and Computer Modern (BaKoMa fonts licence), all of which may
be used for printing. They lie on crops of the two photographs that scikit-learn bundles, china.jpg by danielbuechele
and flower.jpg by vultilion (flickr.com, both CC BY 2.0), here cropped, rescaled and printed on. The class is the
letter, upper or lower case; in five sans serifs I and l are hard to tell apart. Like the paper's own targets of
transfer, the set has a part with one object near the middle of each image and one with scenes of several objects,
whose train and val scenes share no typeface.
"""

import math
import string
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFont
from tqdm import tqdm

from vggsuite.data.embedding import Box, Colour, draw_once, paste_mask, voc_annotation

# Typefaces of train and of val scenes: both have upright and slanted, light and bold, with serifs and without.
TYPEFACES = {
    "train": (
        *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
        *("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta"),
        *("cmr10", "cmss10", "cmti10"),
    ),
    "val": (
        *("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique", "DejaVuSansMono-BoldOblique"),
        *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic"),
        *("cmb10", "cmmi10", "cmtt10"),
    ),
}
CLASSES = string.ascii_lowercase
IMAGE_SIDES, SCENE_SIDES = (96, 120), (128, 160)  # pixels: the smaller side, and the larger one's maximum
IMAGE_LETTER, SCENE_LETTER = (0.45, 0.7), (0.2, 0.34)  # larger side of the unrotated letter, as a share of the smaller
OFFSET = 0.05  # largest distance of an image's letter from the middle, as a share of each side
ROTATION = 6  # degrees, to either side
CLEAR, FAINT = (70, 150), (10, 20)  # contrast of a letter to what lies below, in grey levels; faint by translucency
DIFFICULT = 0.05  # share of faint letters in scenes, which VOC calls difficult
NUM_SCENES = 500
LETTERS_PER_SCENE = (3, 5)
DRAWN_SIZE = 160  # pixels an em at which letters are drawn, to be scaled down
DIMMED = 0.4  # brightness of the photographs, as a share of what they have
ZOOM = 0.6  # least number of a photograph's pixels for one of the canvas; the largest is what the photograph has
LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R 601)
SEED = 20150410  # the day of the paper's last version
ORDER, IMAGE, SCENE = 1, 2, 3  # streams of random numbers
VERSION = 1  # of the drawing; part of the data set's folder name, so that a change makes a new set


class Letter(NamedTuple):
    """A letter of a scene. `box` is as `paste_mask` has it."""

    name: str
    typeface: str
    difficult: bool
    box: Box


def embed_letters(root: Path) -> None:
    """Draw the data set into `root` unless it is there: `101_ObjectCategories/` and `VOCdevkit/VOC2012/`."""
    draw_once(root, write_dataset)


def write_dataset(root: Path) -> None:
    """Draw and write both parts."""
    photos = load_photos()
    write_images(root / "101_ObjectCategories", photos)
    write_scenes(root / "VOCdevkit/VOC2012", photos)


def load_photos() -> list[Image.Image]:
    """The photographs of scikit-learn."""
    from sklearn.datasets import load_sample_images  # only to draw: the import takes a second

    return [Image.fromarray(photo) for photo in load_sample_images().images]


def write_images(folder: Path, photos: list[Image.Image]) -> None:
    """One image of each letter in each typeface and case, as Caltech-101 keeps them, numbered in random order."""
    typefaces = [typeface for split in TYPEFACES.values() for typeface in split]
    jobs = []
    for label, letter in enumerate(CLASSES):
        glyphs = [(typeface, character) for typeface in typefaces for character in (letter, letter.upper())]
        order = np.random.default_rng((SEED, ORDER, label)).permutation(len(glyphs))
        jobs += [(letter, number, label, *glyphs[glyph]) for number, glyph in enumerate(order, start=1)]
    for letter, number, label, typeface, character in tqdm(jobs, desc="drawing letters", unit="image", disable=None):
        rng = np.random.default_rng((SEED, IMAGE, label, number))
        file = folder / letter / f"image_{number:04d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        draw_image(rng, photos, typeface, character).save(file, quality=90)


def write_scenes(folder: Path, photos: list[Image.Image]) -> None:
    """Scenes, their annotations and the lists of them, as PASCAL VOC 2012 keeps them; odd numbers are of train."""
    for name in ("JPEGImages", "Annotations", "ImageSets/Main", "ImageSets/Action"):
        (folder / name).mkdir(parents=True)
    scenes: dict[str, dict[str, list[Letter]]] = {"train": {}, "val": {}, "trainval": {}}
    for number in tqdm(range(1, NUM_SCENES + 1), desc="drawing scenes of letters", unit="image", disable=None):
        split = "train" if number % 2 else "val"
        stem = f"2012_{number:06d}"
        scene, letters = draw_scene(np.random.default_rng((SEED, SCENE, number)), photos, TYPEFACES[split])
        scene.save(folder / f"JPEGImages/{stem}.jpg", quality=90)
        (folder / f"Annotations/{stem}.xml").write_bytes(scene_annotation(stem, scene.size, letters))
        scenes[split][stem] = scenes["trainval"][stem] = letters
    for split, letters_of in scenes.items():
        write_lists(folder / "ImageSets/Main", split, main_lists(letters_of))
        write_lists(folder / "ImageSets/Action", split, action_lists(letters_of))


def scene_annotation(stem: str, size: tuple[int, int], letters: list[Letter]) -> bytes:
    """The scene's annotation. VOC counts pixels from 1, and the last one is inside the box."""
    objects = [
        (
            {"name": letter.name, "typeface": letter.typeface, "difficult": int(letter.difficult)},
            letter.box._replace(xmin=letter.box.xmin + 1, ymin=letter.box.ymin + 1),
        )
        for letter in letters
    ]
    return voc_annotation({"folder": "VOC2012", "filename": f"{stem}.jpg"}, size, objects)


def write_lists(folder: Path, split: str, lists: dict[str, list[str]]) -> None:
    """Write the lines of each list into `<its name><split>.txt`."""
    for name, lines in lists.items():
        (folder / f"{name}{split}.txt").write_text("".join(f"{line}\n" for line in lines))


def main_lists(scenes: dict[str, list[Letter]]) -> dict[str, list[str]]:
    """The lists of `ImageSets/Main`: of all scenes, with no name; and for each class whether a scene has it (1), has
    it as a difficult object alone (0) or has not (-1)."""
    lists = {"": list(scenes)}
    for name in CLASSES:
        label_of = {
            stem: {letter.name: 0 if letter.difficult else 1 for letter in letters}.get(name, -1)
            for stem, letters in scenes.items()
        }
        lists[f"{name}_"] = [f"{stem} {label:2d}" for stem, label in label_of.items()]
    return lists


def action_lists(scenes: dict[str, list[Letter]]) -> dict[str, list[str]]:
    """The lists of `ImageSets/Action`: of all objects that are not difficult, by scene and number from 1, with no name;
    and for each class whether an object is of it (1) or not (-1)."""
    class_of = {
        f"{stem} {number}": letter.name
        for stem, letters in scenes.items()
        for number, letter in enumerate(letters, start=1)
        if not letter.difficult
    }
    lists = {"": list(class_of)}
    for name in CLASSES:
        lists[f"{name}_"] = [f"{which} {1 if own == name else -1:2d}" for which, own in class_of.items()]
    return lists


def draw_image(rng: np.random.Generator, photos: list[Image.Image], typeface: str, character: str) -> Image.Image:
    """A crop of a photograph with the letter near the middle."""
    canvas = draw_ground(rng, photos, IMAGE_SIDES)
    centre = (0.5 + rng.uniform(-OFFSET, OFFSET, 2)) * canvas.size
    side = rng.uniform(*IMAGE_LETTER) * IMAGE_SIDES[0]
    print_letter(rng, canvas, typeface, character, side=side, centre=centre)
    return canvas


def draw_scene(
    rng: np.random.Generator, photos: list[Image.Image], typefaces: Sequence[str]
) -> tuple[Image.Image, list[Letter]]:
    """A crop of a photograph with letters of several classes apart from each other, and these letters."""
    canvas = draw_ground(rng, photos, SCENE_SIDES)
    fewest, most = LETTERS_PER_SCENE
    names = [CLASSES[label] for label in rng.permutation(len(CLASSES))[: rng.integers(fewest, most + 1)]]
    sides, centres = scatter(rng, len(names), canvas.size)
    letters = []
    for name, side, centre in zip(names, sides, centres, strict=True):
        typeface = typefaces[int(rng.integers(len(typefaces)))]
        character = name.upper() if rng.random() < 0.5 else name
        difficult = bool(rng.random() < DIFFICULT)
        box = print_letter(rng, canvas, typeface, character, side=side, centre=centre, faint=difficult)
        letters.append(Letter(name, typeface, difficult, box))
    return canvas, letters


def scatter(rng: np.random.Generator, num: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Sides [num] and centres [num, 2] of squares that are inside a canvas of `size` and apart from each other, however
    they are rotated by up to `ROTATION`: drawn anew until they are."""
    angle = math.radians(ROTATION)
    reach = math.cos(angle) + math.sin(angle)  # of a rotated square, as a multiple of its side
    while True:
        sides = rng.uniform(*SCENE_LETTER, num) * SCENE_SIDES[0]
        margins = sides[:, None] * reach / 2
        centres = rng.uniform(margins, np.array(size) - margins)
        distances = np.abs(centres[:, None] - centres).max(axis=-1)
        if (distances + np.diag([np.inf] * num) >= margins + margins.T).all():
            return sides, centres


def draw_ground(rng: np.random.Generator, photos: list[Image.Image], sides: tuple[int, int]) -> Image.Image:
    """A random crop of a photograph, of random shape and scale; `sides` are its smaller side and the larger's limit."""
    shape = (sides[0], int(rng.integers(sides[0], sides[1] + 1)))
    width, height = shape[::-1] if rng.random() < 0.7 else shape
    photo = photos[rng.integers(len(photos))]
    scale = math.exp(rng.uniform(math.log(ZOOM), math.log(min(photo.width / width, photo.height / height))))
    left, top = rng.uniform(0, (photo.width - scale * width, photo.height - scale * height))
    crop = (left, top, left + scale * width, top + scale * height)
    ground = photo.resize((width, height), Image.Resampling.BICUBIC, box=crop)
    return ImageEnhance.Brightness(ground).enhance(DIMMED)


def print_letter(
    rng: np.random.Generator,
    canvas: Image.Image,
    typeface: str,
    character: str,
    *,
    side: float,
    centre: np.ndarray,
    faint: bool = False,
) -> Box:
    """Print `character` with a larger side of `side` pixels, rotated a little, in one colour; return its box."""
    ink = draw_glyph(typeface, character)
    scale = side / max(ink.size)
    ink = ink.rotate(rng.uniform(-ROTATION, ROTATION), resample=Image.Resampling.BICUBIC, expand=True)
    width, height = (max(1, round(scale * length)) for length in ink.size)
    mask = ink.resize((width, height), Image.Resampling.LANCZOS)
    contrast = rng.uniform(*CLEAR)
    opacity = rng.uniform(*FAINT) / contrast if faint else 1.0
    return paste_mask(canvas, mask, centre, lambda below: ink_colour(rng, below, contrast), opacity=opacity)


def draw_glyph(typeface: str, character: str) -> Image.Image:
    """The large character's ink, white on black, without a margin."""
    font = load_font(typeface)
    left, top, right, bottom = (round(edge) for edge in font.getbbox(character))
    ink = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(ink).text((-left, -top), character, font=font, fill=255)
    return ink


@lru_cache
def load_font(typeface: str) -> ImageFont.FreeTypeFont:
    """A typeface of matplotlib's."""
    import matplotlib  # only to draw

    file = Path(matplotlib.get_data_path()) / f"fonts/ttf/{typeface}.ttf"
    return ImageFont.truetype(str(file), DRAWN_SIZE, layout_engine=ImageFont.Layout.BASIC)


def ink_colour(rng: np.random.Generator, below: float, contrast: float) -> Colour:
    """Any colour that is `contrast` grey levels lighter than the level `below`, as far as there is room."""
    luminance = min(below + contrast, 255.0)
    tint = rng.uniform(0, 2, 3)
    tint *= luminance / (tint @ LUMINANCE)
    purity = min(1.0, (255 - luminance) / max(tint.max() - luminance, 1e-9))
    red, green, blue = (luminance + purity * (tint - luminance)).round().astype(int).tolist()
    return red, green, blue
