"""What a net sees of an image: pure functions from an image's size and numbers to the rectangle to be resampled."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vggsuite.data.scale import Scale
from vggsuite.errors import UserError

# Krizhevsky et al. 2012, section 4.1, on the 0-1 scale: eigenvalues and eigenvectors (columns; rows R, G, B) of the
# covariance of ImageNet's RGB pixels. The usual published values; the literal reading of the formula.
RGB_EIGENVALUES = np.array([0.2175, 0.0188, 0.0045])
RGB_EIGENVECTORS = np.array(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]],
)

REDUCTIONS = (8, 4, 2)  # by which a JPEG may be decoded smaller, by leaving out frequencies
MOST_PIXELS = 2**28  # of a rescaled image, 0.8 GB; ImageNet's longest has a few millions
SPARE = 1.5  # how much larger than wanted it must still be, so that it costs no quality; see docs/data.md


class View(NamedTuple):
    """A rectangle of an image, and the size that it is resampled to; all in pixels.

    Attributes:
        left, top: the rectangle's corner in the image, multiples of `reduction`.
        width, height: its extent there.
        size: width and height of the result.
        reduction: the image may be decoded this many times smaller, 1, 2, 4 or 8.
        flip: whether the result is mirrored.
    """

    left: int
    top: int
    width: float
    height: float
    size: tuple[int, int]
    reduction: int
    flip: bool = False


def rescaled_size(width: int, height: int, side: int) -> tuple[int, int]:
    """Width and height after isotropic rescaling to a smallest side of `side` pixels.

    Raises:
        UserError: where that are too many pixels, as of an image that is a line.
    """
    factor = side / min(width, height)
    size = max(side, round(width * factor)), max(side, round(height * factor))
    if size[0] * size[1] > MOST_PIXELS:
        raise UserError(
            f"an image of {width} x {height} pixels would be {size[0]} x {size[1]} at smallest side {side}, more than "
            f"{MOST_PIXELS} pixels; leave it out."
        )
    return size


def reduction(width: int, height: int, side: int) -> int:
    """How many times smaller an image may be decoded that is wanted at smallest side `side`."""
    return next((factor for factor in REDUCTIONS if min(width, height) >= SPARE * factor * side), 1)


def whole_view(width: int, height: int, side: int) -> View:
    """The whole image at smallest side `side`."""
    size = rescaled_size(width, height, side)
    return View(0, 0, width, height, size, reduction(width, height, side))


def box_view(width: int, height: int, box: Sequence[int], side: int) -> View:
    """What lies in `box`, (left, top, right, bottom), of the image, at smallest side `side`."""
    left, top, right, bottom = box
    return View(left, top, right - left, bottom - top, rescaled_size(right - left, bottom - top, side), reduction=1)


def centre_view(width: int, height: int, side: int, crop: int) -> View:
    """The centre crop of the image at smallest side `side`, to the nearest pixel of the image."""
    extent = crop * min(width, height) / side
    factor = reduction(width, height, side)
    left, top = (factor * round((length - extent) / 2 / factor) for length in (width, height))
    return View(left, top, extent, extent, (crop, crop), factor)


def random_view(width: int, height: int, rng: np.random.Generator, *, scale: Scale, crop: int, flip: bool) -> View:
    """One random view (section 3.1): S drawn from `scale`, a random crop, a random flip.

    The crop's corner is drawn among the image's own pixels, of which only the crop's are then resampled.
    """
    side = int(rng.integers(scale.low, scale.high + 1))
    extent = crop * min(width, height) / side
    factor = reduction(width, height, side)
    left, top = (factor * int(rng.integers(int((length - extent) // factor) + 1)) for length in (width, height))
    return View(left, top, extent, extent, (crop, crop), factor, flip=flip and rng.random() < 0.5)


def colour_shifts(draws: np.ndarray, std: float) -> np.ndarray:
    """RGB shifts in grey levels of 0-255, one for each image, of standard normal `draws` [N, 3]: float32 [N, 3].

    The principal axes of RGB, each times its eigenvalue times N(0, std); std = 0.1 in Krizhevsky et al. 2012.
    """
    shifts = 255 * std * (draws * RGB_EIGENVALUES) @ RGB_EIGENVECTORS.T
    return shifts.astype(np.float32)
