"""Bounding boxes of images, in arrays, and where they lie in a view of the image; all pure functions of numbers."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vggsuite.data.views import View


@dataclass(frozen=True, eq=False)
class Boxes:
    """The boxes of the images of a store, any number for each.

    Attributes:
        edges: float64 [M, 4] in pixels of the image from 0 on: left, top, right and bottom, as far as the object
            reaches.
        first: int64 [N + 1]: those of image i are `edges[first[i]:first[i + 1]]`.
    """

    edges: np.ndarray
    first: np.ndarray

    @classmethod
    def of_images(cls, boxes: Sequence[Sequence[Sequence[float]]]) -> "Boxes":
        """From those of each image."""
        flat = [box for own in boxes for box in own]
        first = np.cumsum([0, *map(len, boxes)])
        return cls(np.array(flat, dtype=np.float64).reshape(-1, 4), first.astype(np.int64))

    def of(self, entry: int) -> np.ndarray:
        """The boxes [K, 4] of one image."""
        return self.edges[self.first[entry] : self.first[entry + 1]]

    def counts(self, entries: np.ndarray) -> np.ndarray:
        """How many boxes each of the images `entries` has: int64 [N]."""
        found: np.ndarray = np.diff(self.first)[entries]
        return found

    def padded(self, entries: np.ndarray) -> np.ndarray:
        """The boxes of the images `entries`: float64 [N, K, 4], K the most that one of them has; not numbers where one
        has fewer."""
        table = np.full((len(entries), max(self.counts(entries), default=0), 4), np.nan)
        for row, entry in zip(table, entries, strict=True):
            own = self.of(entry)
            row[: len(own)] = own
        return table

    def fingerprint(self) -> str:
        """SHA-256 of all of them."""
        return hashlib.sha256(self.first.tobytes() + self.edges.tobytes()).hexdigest()


def in_view(edges: np.ndarray, view: View) -> np.ndarray:
    """Where boxes [..., 4] of the image lie in `view`, in its own pixels; they may reach beyond it."""
    scale = np.array(view.size) / (view.width, view.height)
    moved = (edges - np.tile((view.left, view.top), 2)) * np.tile(scale, 2)
    return mirrored(moved, view.size[0]) if view.flip else moved


def in_image(edges: np.ndarray, view: View) -> np.ndarray:
    """The inverse of `in_view`: boxes [..., 4] of a view in pixels of the image."""
    scale = np.array(view.size) / (view.width, view.height)
    upright = mirrored(edges, view.size[0]) if view.flip else edges
    return upright / np.tile(scale, 2) + np.tile((view.left, view.top), 2)


def mirrored(edges: np.ndarray, width: float) -> np.ndarray:
    """Boxes [..., 4] in the mirror image of one that is `width` wide."""
    left, top, right, bottom = np.moveaxis(edges, -1, 0)
    return np.stack([width - right, top, width - left, bottom], axis=-1)


def clipped(edges: np.ndarray, width: float, height: float) -> np.ndarray:
    """Boxes [..., 4] without what lies beyond an image of this size; one that lies there wholly has no area left."""
    return np.clip(edges, 0, (width, height, width, height))


def most_seen(edges: np.ndarray, width: float, height: float) -> int:
    """The one of boxes [K, 4] of which an image of this size shows the largest area; the first of equals."""
    return int(areas(clipped(edges, width, height)).argmax())


def areas(edges: np.ndarray) -> np.ndarray:
    """Of boxes [..., 4]: [...]."""
    left, top, right, bottom = np.moveaxis(edges, -1, 0)
    return (right - left) * (bottom - top)


def overlaps(edges: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes [..., 4] with `others` [..., 4], element by element: [...]; 0 where one is
    not a number, or both have no area."""
    sides = np.minimum(edges[..., 2:], others[..., 2:]) - np.maximum(edges[..., :2], others[..., :2])
    shared = np.prod(np.maximum(sides, 0), axis=-1)
    union = areas(edges) + areas(others) - shared
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(shared / union, nan=0.0)
