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
from vggsuite.models.net import ConvNet, Scores


class Training(L.LightningModule):
    """Training of a net by SGD with momentum (section 3.1).

    The learning rate is divided by 10 when the held-out error, `watched`, has not fallen for more than `patience`
    epochs, up to `num_drops` times. The figures `validated` are means over the images of all devices.
    """

    watched: str
    validated: tuple[str, ...]

    def __init__(self, net: ConvNet, preprocessing: Preprocessing, recipe: RecipeConfig) -> None:
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

    def outputs(self, pixels: Tensor, shift: Tensor | None = None) -> Scores:
        """What the net says, float32 [N, outputs], of uint8 crops [N, 3, crop, crop] and RGB shifts [N, 3]; in
        training, of a net with auxiliary classifiers, what these say after it."""
        images = self.preprocessing(pixels, shift)
        if self.recipe.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        outputs: Scores = self.net(images)
        return tuple(each.float() for each in outputs) if isinstance(outputs, tuple) else outputs.float()

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
        """The parameters that learn, those of a new layer first, with their learning rates; the slopes of PReLUs, which
        do not decay (He et al. 2015, section 2.1), apart."""
        slopes = {id(layer.weight) for layer in self.net.modules() if isinstance(layer, nn.PReLU)}
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for name, value in self.net.named_parameters():
            if value.requires_grad:
                copied = self.recipe.lr_copied is not None and not self.net.is_of_outputs(name)
                groups.setdefault((copied, id(value) in slopes), []).append(value)
        return [
            {"params": values, "lr": self.recipe.lr_copied if copied else self.recipe.lr}
            | ({"weight_decay": 0.0} if is_slope else {})
            for (copied, is_slope), values in sorted(groups.items())
        ]


class Classification(Training):
    """Training of class scores by soft-max cross-entropy."""

    watched = "val/top1_error"
    validated = ("val/loss", "val/top1_error", "val/top5_error")

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], batch_idx: int) -> Tensor:
        pixels, shift, labels = batch
        return self.net.loss(self.outputs(pixels, shift), labels)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        pixels, labels = batch
        scores = self.outputs(pixels)
        assert isinstance(scores, Tensor)
        ranks = rank_of_label(scores, labels)
        self.log_means([F.cross_entropy(scores, labels), top_k_error(ranks, 1), top_k_error(ranks, 5)], len(labels))
