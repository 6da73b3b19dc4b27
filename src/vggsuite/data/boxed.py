"""What training and validation of a box regressor see: views of images, with the boxes that lie in them."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vggsuite.data import views
from vggsuite.data.boxes import Boxes, areas, clipped, in_view, most_seen
from vggsuite.data.config import Cut
from vggsuite.data.datasets import CentreCrops, Position, TrainingViews, fill
from vggsuite.data.module import ImageData
from vggsuite.data.samples import Samples
from vggsuite.data.views import View

MOST_DRAWS = 20  # of a crop; the best of them is taken


class AimedView:
    """Draws a random view that shows a box of its image, as `cut` asks, and remembers where the box lies in it.

    Of an image's boxes, the one of which the view shows the largest area is the target.
    """

    def __init__(self, edges: np.ndarray, draw: Any, cut: Cut) -> None:
        self.edges, self.draw, self.cut = edges, draw, cut
        self.target = np.zeros(4)

    def __call__(self, width: int, height: int) -> View:
        most = -1.0
        for _ in range(MOST_DRAWS):
            view: View = self.draw(width, height)
            edges = in_view(self.edges, view)
            seen, largest = clipped(edges, *view.size), most_seen(edges, *view.size)
            share = float(areas(seen)[largest] / areas(edges)[largest])
            if share > most:
                most, best = share, view
                self.target = (edges if self.cut == Cut.keep or share == 0 else seen)[largest]
            if share >= 1 - 1e-9 or (share > 0 and self.cut != Cut.redraw):
                break
        return best


class BoxTrainingViews(TrainingViews):
    """One random view of each image, and the box to be learnt: float32 [N, 4], its edges in pixels of the crop."""

    def __init__(self, samples: Samples, boxes: Boxes, cut: Cut, **drawing: Any) -> None:
        super().__init__(samples, **drawing)
        self.boxes, self.cut = boxes, cut

    def fill(self, pixels: Tensor, positions: Sequence[Position]) -> tuple[Any, ...]:
        """As that of `TrainingViews`, and the targets."""
        draws = [np.random.default_rng((self.seed, *position)) for position in positions]
        colours = np.array([rng.standard_normal(3) for rng in draws])
        indices = [index for _, index in positions]
        random_view = partial(views.random_view, scale=self.scale, crop=self.crop, flip=self.flip)
        aimed = [
            AimedView(self.boxes.of(self.samples.entries[index]), partial(random_view, rng=rng), self.cut)
            for index, rng in zip(indices, draws, strict=True)
        ]
        count, labels = fill(pixels, self.samples, indices, aimed, self.decoder)
        targets = np.array([view.target for view in aimed], dtype=np.float32)
        shifts = views.colour_shifts(colours, self.colour_std)
        return count, torch.from_numpy(shifts), labels, torch.from_numpy(targets)


class BoxCentreCrops(CentreCrops):
    """The centre crop of each image at test scale `side`, and all its boxes there: float32 [N, K, 4], not numbers where
    an image has fewer."""

    def __init__(self, samples: Samples, boxes: Boxes, **seen: Any) -> None:
        super().__init__(samples, **seen)
        self.boxes = boxes

    def fill(self, pixels: Tensor, indices: Sequence[int]) -> tuple[Any, ...]:
        """As that of `CentreCrops`, and the boxes."""
        taken: list[View] = []

        def central(width: int, height: int) -> View:
            taken.append(views.centre_view(width, height, self.side, self.crop))
            return taken[-1]

        count, labels = fill(pixels, self.samples, indices, [central] * len(indices), self.decoder)
        own = self.boxes.padded(self.samples.entries[list(indices)])
        edges = [in_view(boxes, view) for boxes, view in zip(own, taken, strict=True)]
        return count, labels, torch.from_numpy(np.array(edges, dtype=np.float32))


class BoxData(ImageData):
    """Loaders of what the training of a box regressor sees: of the images of `ImageData`, those that have boxes.

    Args:
        boxes: of the training split.
        cut: see `BoxesConfig`.
        held_out_boxes: of the images of `val`, where they are not the training split's.
    """

    def __init__(self, *args: Any, boxes: Boxes, cut: Cut, held_out_boxes: Boxes | None = None, **seen: Any) -> None:
        super().__init__(*args, **seen)
        self.boxes, self.cut = boxes, cut
        self.val_boxes = held_out_boxes or boxes
        self.train = self.train.take(np.flatnonzero(boxes.counts(self.train.entries)))
        self.val = self.val.take(np.flatnonzero(self.val_boxes.counts(self.val.entries)))
        self.check_numbers()

    def train_views(self) -> BoxTrainingViews:
        return BoxTrainingViews(self.train_samples(), self.boxes, self.cut, **self.drawing())

    def val_views(self) -> BoxCentreCrops:
        decoder = self.config.decoder
        return BoxCentreCrops(self.val, self.val_boxes, side=self.scale.middle, crop=self.config.crop, decoder=decoder)
