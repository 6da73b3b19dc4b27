"""What Lightning runs to train a box regressor."""

from torch import Tensor

from vggsuite.localisation.metrics import CORRECT
from vggsuite.localisation.regression import best_overlaps, decoded, encoded, euclidean_loss, of_classes
from vggsuite.training.module import Training


class BoxRegression(Training):
    """Training of boxes by the Euclidean loss, of the labelled class's alone. The error is that of the box of the right
    class, on the centre crop."""

    watched = "val/gt_class_error"
    validated = ("val/gt_class_error", "val/overlap")

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor, Tensor], batch_idx: int) -> Tensor:
        pixels, shift, labels, edges = batch
        outputs = self.boxes(pixels, labels, shift)
        return euclidean_loss(outputs, encoded(edges, self.net.crop))

    def validation_step(self, batch: tuple[Tensor, Tensor, Tensor], batch_idx: int) -> None:
        pixels, labels, truth = batch
        outputs = self.boxes(pixels, labels)
        overlaps = best_overlaps(decoded(outputs, self.net.crop), truth)
        self.log_means([100 * (overlaps <= CORRECT).float().mean(), overlaps.mean()], len(labels))

    def boxes(self, pixels: Tensor, labels: Tensor, shift: Tensor | None = None) -> Tensor:
        """What the net says of the box of each crop's class: [N, 4]; see `outputs`."""
        outputs = self.outputs(pixels, shift)
        assert isinstance(outputs, Tensor)  # nets that learn boxes have no auxiliary classifiers
        return of_classes(outputs, labels[:, None])[:, 0]
