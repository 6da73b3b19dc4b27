"""What nets say at every place of an image: boxes, and how sure the classification net is of some classes there."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vggsuite.data.boxes import in_image
from vggsuite.data.views import View, whole_view
from vggsuite.evaluation.dense import score_map
from vggsuite.evaluation.views import centre, crop_at
from vggsuite.files import load_arrays, naming_damaged, save_arrays
from vggsuite.localisation.regression import decoded, of_classes
from vggsuite.models.net import ConvNet
from vggsuite.protocol import Precision
from vggsuite.results.localisation_records import REMEDY

CANDIDATES_FILE = "candidates.npz"

Size = tuple[int, int]  # width and height


@dataclass(frozen=True)
class OfClasses(ABC):
    """What is computed of some classes of each image, without mirror images; see `vggsuite.evaluation.inference`.

    Attributes:
        side: Q.
        classes: int64 [N, K], those of each image.
        precision: of weights and activations.
    """

    side: int
    classes: Tensor
    precision: Precision = Precision.fp32
    flip: bool = False
    ceil_mode: bool = False

    @property
    def whole(self) -> bool:
        """Whether the net sees whole images."""
        return True

    @property
    def name(self) -> str:
        return f"{self.told} at {self.side}"

    @property
    @abstractmethod
    def told(self) -> str:
        """What it is called."""

    @abstractmethod
    def __call__(self, net: ConvNet, images: Tensor, indices: Tensor) -> Tensor:
        """See `vggsuite.evaluation.inference.Forward`."""


class CentreBoxes(OfClasses):
    """The boxes of the classes by the centre crop, in pixels of the rescaled image: [N, K * 4]."""

    told = "boxes of the centre crop"
    whole = False

    def __call__(self, net: ConvNet, images: Tensor, indices: Tensor) -> Tensor:
        height, width = images.shape[2:]
        top, left = centre(height, width, net.crop)
        outputs = net(crop_at(images, (top, left), net.crop)).float()
        boxes = decoded(of_classes(outputs, self.classes[indices].to(outputs.device)), net.crop)
        return (boxes + boxes.new_tensor([left, top, left, top])).flatten(1)


@dataclass(frozen=True)
class OfPlaces(OfClasses):
    """What is computed at every place of the crop on the grid of the net's stride.

    Attributes:
        crops: whether the crop at each place goes through the net by itself, as in training; else the whole image does
            (`vggsuite.evaluation.dense.score_map`), and the net sees what lies beyond the crop's edges.
    """

    crops: bool = False

    def outputs(self, net: ConvNet, images: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """What the net says at the places, row by row, [N, places, outputs]; and how many rows and columns there
        are."""
        if not self.crops:
            maps = score_map(net, images).float()
            return maps.flatten(2).transpose(1, 2), (maps.shape[2], maps.shape[3])
        windows = images.unfold(2, net.crop, net.stride).unfold(3, net.crop, net.stride)  # [N, 3, rows, columns, ...]
        rows, columns = windows.shape[2:4]
        each = [net(windows[:, :, row].transpose(1, 2).flatten(0, 1)).float() for row in range(rows)]
        return torch.cat([row.unflatten(0, (len(images), columns)) for row in each], dim=1), (rows, columns)

    def classes_at(self, indices: Tensor, outputs: Tensor) -> Tensor:
        """The classes sought at each place: int64 [N * places, K]."""
        return self.classes[indices].to(outputs.device).repeat_interleave(outputs.shape[1], dim=0)


class PlacesBoxes(OfPlaces):
    """The boxes of the classes by the crop at every place, in pixels of the rescaled image: [N, places * K * 4]."""

    told = "boxes"

    def __call__(self, net: ConvNet, images: Tensor, indices: Tensor) -> Tensor:
        outputs, (rows, columns) = self.outputs(net, images)
        chosen = of_classes(outputs.flatten(0, 1), self.classes_at(indices, outputs))
        boxes = decoded(chosen, net.crop).unflatten(0, outputs.shape[:2])
        down, across = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        corners = torch.stack([across, down, across, down], dim=-1).flatten(0, 1) * net.stride  # [places, 4]
        return (boxes + corners[None, :, None].to(boxes)).flatten(1)


class PlacesPosteriors(OfPlaces):
    """The soft-max posteriors of the classes by the crop at every place: [N, places * K]."""

    told = "class scores"

    def __call__(self, net: ConvNet, images: Tensor, indices: Tensor) -> Tensor:
        outputs, _ = self.outputs(net, images)
        posteriors = outputs.softmax(dim=2).flatten(0, 1)
        return posteriors.gather(1, self.classes_at(indices, outputs)).unflatten(0, outputs.shape[:2]).flatten(1)


@dataclass(frozen=True)
class Candidates:
    """The boxes that an image may have, of K classes, from P places.

    Attributes:
        edges: float64 [P, K, 4], in pixels of the image.
        scores: float64 [P, K], the classification net's posterior of the class there.
    """

    edges: np.ndarray
    scores: np.ndarray


def centre_boxes(vectors: Sequence[np.ndarray], sizes: Sequence[Size], side: int) -> np.ndarray:
    """What `CentreBoxes` saved of each image, in its own pixels: float64 [N, K, 4]."""
    boxes = [
        in_image(vector.reshape(-1, 4).astype(np.float64), rescaling(size, side))
        for vector, size in zip(vectors, sizes, strict=True)
    ]
    return np.array(boxes)


def candidates_of(
    boxes: Sequence[np.ndarray], scores: Sequence[np.ndarray], sizes: Sequence[Size], side: int, num_classes: int
) -> list[Candidates]:
    """What `PlacesBoxes` and `PlacesPosteriors` saved of each image, in its own pixels.

    Raises:
        ValueError: for two nets whose maps have other places.
    """
    found = []
    for box, score, size in zip(boxes, scores, sizes, strict=True):
        edges = in_image(box.reshape(-1, num_classes, 4).astype(np.float64), rescaling(size, side))
        found.append(Candidates(edges, score.reshape(len(edges), num_classes).astype(np.float64)))
    return found


def rescaling(size: Size, side: int) -> View:
    """The view of a whole image at smallest side `side`."""
    return whole_view(*size, side)


def joined(parts: Sequence[Sequence[Candidates]]) -> list[Candidates]:
    """The union of the candidates of each image: of several scales, or nets."""
    return [
        Candidates(np.concatenate([own.edges for own in each]), np.concatenate([own.scores for own in each]))
        for each in zip(*parts, strict=True)
    ]


def save_candidates(found: Sequence[Candidates], folder: Path) -> None:
    """Write `candidates.npz` into `folder`, complete or not at all: the `edges` and `scores` of all images, one after
    the other, and how many places each has, `counts`."""
    save_arrays(
        folder / CANDIDATES_FILE,
        counts=np.array([len(own.edges) for own in found]),
        edges=np.concatenate([own.edges for own in found]).astype(np.float32),
        scores=np.concatenate([own.scores for own in found]).astype(np.float32),
    )


def load_candidates(folder: Path) -> list[Candidates]:
    """What `save_candidates` wrote.

    Raises:
        UserError: where it is missing or damaged.
    """
    file = folder / CANDIDATES_FILE
    arrays = load_arrays(file, {"counts": "iN", "edges": "fPK4", "scores": "fPK"}, REMEDY)
    counts = arrays["counts"]
    with naming_damaged(file, REMEDY):
        if counts.min(initial=1) < 1 or counts.sum() != len(arrays["edges"]):
            raise ValueError(f"its counts are of {counts.sum()} places, and it has {len(arrays['edges'])}")
    edges, scores = (np.split(arrays[name].astype(np.float64), counts.cumsum()[:-1]) for name in ("edges", "scores"))
    return [Candidates(*own) for own in zip(edges, scores, strict=True)]
