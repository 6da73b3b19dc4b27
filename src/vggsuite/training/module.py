"""What Lightning runs: forward, step, optimiser."""

import math
from collections.abc import Sequence
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MeanMetric

from vggsuite.config import RecipeConfig
from vggsuite.data.preprocessing import Preprocessing
from vggsuite.evaluation.metrics import rank_of_label, top_k_error
from vggsuite.models.initialisation import LAST
from vggsuite.models.vgg import VGG


class Training(L.LightningModule):
    """Training of a net by SGD with momentum (section 3.1).

    The learning rate is divided by 10 when the held-out error, `watched`, has not fallen for more than `patience`
    epochs, up to `num_drops` times. The figures `validated` are means over the images of all devices.
    """

    watched: str
    validated: tuple[str, ...]

    def __init__(self, net: VGG, preprocessing: Preprocessing, recipe: RecipeConfig) -> None:
        super().__init__()
        self.net, self.preprocessing, self.recipe = net, preprocessing, recipe
        # Lightning's own mean is wrong where the devices' numbers of images differ, as is that of torchmetrics with
        # nan_strategy="disable".
        self.means = nn.ModuleList(MeanMetric(nan_strategy=math.nan) for _ in self.validated)

    def log_means(self, values: Sequence[Tensor | float], num_images: int) -> None:
        """Log the means `values` of a batch, one for each of `validated`."""
        for name, mean, value in zip(self.validated, self.means, values, strict=True):
            assert isinstance(mean, MeanMetric)
            mean.update(value, weight=num_images)
            self.log(name, mean)

    def outputs(self, pixels: Tensor, shift: Tensor | None = None) -> Tensor:
        """What the net says, float32 [N, outputs], of uint8 crops [N, 3, crop, crop] and RGB shifts [N, 3]."""
        images = self.preprocessing(pixels, shift)
        if self.recipe.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        outputs: Tensor = self.net(images)
        return outputs.float()

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        recipe = self.recipe
        optimizer = torch.optim.SGD(
            self.parameter_groups(), recipe.lr, recipe.momentum, weight_decay=recipe.weight_decay, fused=True
        )
        rule = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer,
            factor=0.1,
            patience=recipe.patience,
            threshold=100 * recipe.min_gain,
            threshold_mode="abs",
            min_lr=[group["lr"] * 0.1**recipe.num_drops for group in optimizer.param_groups],
            eps=0.0,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rule, "monitor": self.watched}}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The parameters that learn, those of a new layer first, with their learning rates."""
        learning = [(name, value) for name, value in self.net.named_parameters() if value.requires_grad]
        if self.recipe.lr_copied is None:
            return [{"params": [value for _, value in learning], "lr": self.recipe.lr}]
        new = [value for name, value in learning if name.startswith(LAST)]
        copied = [value for name, value in learning if not name.startswith(LAST)]
        groups = [{"params": new, "lr": self.recipe.lr}, {"params": copied, "lr": self.recipe.lr_copied}]
        return [group for group in groups if group["params"]]


class Classification(Training):
    """Training of class scores by soft-max cross-entropy."""

    watched = "val/top1_error"
    validated = ("val/loss", "val/top1_error", "val/top5_error")

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], batch_idx: int) -> Tensor:
        pixels, shift, labels = batch
        return F.cross_entropy(self.outputs(pixels, shift), labels)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        pixels, labels = batch
        scores = self.outputs(pixels)
        ranks = rank_of_label(scores, labels)
        self.log_means([F.cross_entropy(scores, labels), top_k_error(ranks, 1), top_k_error(ranks, 5)], len(labels))
