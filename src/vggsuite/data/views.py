"""What a net sees of an image: pure functions from an image and numbers to uint8 pixels."""

import numpy as np
from PIL import Image

from vggsuite.data.scale import Scale

# Krizhevsky et al. 2012, section 4.1, on the 0-1 scale: eigenvalues and eigenvectors (columns; rows R, G, B) of the
# covariance of ImageNet's RGB pixels. The usual published values; the literal reading of the formula.
RGB_EIGENVALUES = np.array([0.2175, 0.0188, 0.0045])
RGB_EIGENVECTORS = np.array(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]],
)


def rescaled_size(width: int, height: int, side: int) -> tuple[int, int]:
    """Width and height after isotropic rescaling to a smallest side of `side` pixels."""
    factor = side / min(width, height)
    return max(side, round(width * factor)), max(side, round(height * factor))


def rescaled(image: Image.Image, side: int) -> np.ndarray:
    """The whole image, its smallest side `side`: uint8 [height, width, 3]."""
    size = rescaled_size(*image.size, side)
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR))


def crop_of_rescaled(image: Image.Image, side: int, left: int, top: int, crop: int) -> np.ndarray:
    """The crop at (left, top) of the image rescaled to smallest side `side`: uint8 [crop, crop, 3].

    Only the crop is resampled, at half the price of rescaling the whole image first; the pixels differ by at most
    two levels.
    """
    width, height = rescaled_size(*image.size, side)
    x, y = image.width / width, image.height / height
    box = (left * x, top * y, min((left + crop) * x, image.width), min((top + crop) * y, image.height))
    return np.asarray(image.resize((crop, crop), Image.Resampling.BILINEAR, box=box))


def centre_crop(image: Image.Image, side: int, crop: int) -> np.ndarray:
    """The centre crop of the image rescaled to smallest side `side`: uint8 [crop, crop, 3]."""
    width, height = rescaled_size(*image.size, side)
    return crop_of_rescaled(image, side, (width - crop) // 2, (height - crop) // 2, crop)


def training_crop(image: Image.Image, rng: np.random.Generator, *, scale: Scale, crop: int, flip: bool) -> np.ndarray:
    """One random view (section 3.1): S drawn from `scale`, a random crop, a random flip: uint8 [crop, crop, 3]."""
    side = int(rng.integers(scale.low, scale.high + 1))
    width, height = rescaled_size(*image.size, side)
    left, top = int(rng.integers(width - crop + 1)), int(rng.integers(height - crop + 1))
    pixels = crop_of_rescaled(image, side, left, top, crop)
    return pixels[:, ::-1] if flip and rng.random() < 0.5 else pixels


def colour_shift(rng: np.random.Generator, std: float) -> np.ndarray:
    """A random RGB shift in grey levels of 0-255, one for the whole image: float32 [3].

    The principal axes of RGB, each times its eigenvalue times N(0, std); std = 0.1 in Krizhevsky et al. 2012.
    """
    shift = 255 * RGB_EIGENVECTORS @ (RGB_EIGENVALUES * rng.normal(0, std, 3))
    return shift.astype(np.float32)
