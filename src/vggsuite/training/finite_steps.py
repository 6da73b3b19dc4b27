"""Steps whose loss or gradient is no number: the run ends there, or goes on without them."""

from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.nn.utils import get_total_norm

from vggsuite.data.datasets import EpochBatches
from vggsuite.errors import UserError
from vggsuite.files import write_atomically
from vggsuite.training.processes import is_first_process, of_all_processes

IMAGES_FILE = "not_finite.txt"
MOST_IN_A_ROW = 10  # steps left out, after which the weights are taken to be beyond rescue
IMAGES_TOLD = 3


class NotFiniteError(UserError):
    """A run came upon a loss or gradient that is no number."""


class Piece(NamedTuple):
    """What a piece of a step came to: the step's number from 1, the piece's among all of the epoch, and what has to be
    finite."""

    step: int
    number: int
    values: tuple[Tensor, ...]


class FiniteSteps(Callback):
    """Ends a run with the first step whose loss or gradient is not finite, before its state is saved or its net is
    tested. That is looked at every `log_every_n_steps` steps: a GPU would have to wait for each look.

    Args:
        folder: of the run.
        saved: its state, which the error names.
        skip: whether steps whose gradient is not finite are left out instead, by all devices, up to `MOST_IN_A_ROW` in
            a row; every gradient is looked at then.

    Attributes:
        num_skipped: steps of the run that were left out.
    """

    def __init__(self, folder: Path, *, saved: Path, skip: bool) -> None:
        self.folder, self.saved, self.skip = folder, saved, skip
        self.num_skipped, self.in_a_row = 0, 0
        self.unseen: list[Piece] = []
        self.norm: tuple[Tensor, ...] = ()

    def state_dict(self) -> dict[str, Any]:
        return {"num_skipped": self.num_skipped, "in_a_row": self.in_a_row}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        vars(self).update(state_dict)

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        gradients = [value.grad for value in pl_module.parameters() if value.grad is not None]
        self.norm = (get_total_norm(gradients).to(pl_module.device),)
        if self.skip:
            self.skip_if_not_finite(trainer, optimizer)

    def skip_if_not_finite(self, trainer: L.Trainer, optimizer: torch.optim.Optimizer) -> None:
        """Take the gradient from a step that has none: the optimiser then leaves every weight as it is."""
        if trainer.strategy.reduce_boolean_decision(bool(self.norm[0].isfinite()), all=True):
            self.in_a_row = 0
            return
        self.num_skipped += 1
        self.in_a_row += 1
        if self.in_a_row <= MOST_IN_A_ROW:
            optimizer.zero_grad(set_to_none=True)
            self.norm = ()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        loss = () if self.skip else (outputs["loss"],)
        under_way = (batch_idx + 1) % trainer.accumulate_grad_batches != 0
        self.unseen.append(Piece(trainer.global_step + under_way, batch_idx, (*loss, *self.norm)))
        self.norm = ()
        few = trainer.log_every_n_steps * trainer.accumulate_grad_batches  # type: ignore[attr-defined]
        if self.in_a_row > MOST_IN_A_ROW or len(self.unseen) == few:
            self.look(trainer)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.look(trainer)

    def look(self, trainer: L.Trainer) -> None:
        """Look at the steps since the last look. All processes must call this.

        Raises:
            NotFiniteError: for one that is not finite.
        """
        values = [value.float() for piece in self.unseen for value in piece.values]
        fine = not values or bool(torch.stack(values).isfinite().all())
        if not trainer.strategy.reduce_boolean_decision(fine, all=True):
            raise self.error(trainer)
        self.unseen.clear()

    def error(self, trainer: L.Trainer) -> NotFiniteError:
        """What the first step that is not finite was, of all devices, with the images that were seen in it."""
        bad = (piece for piece in self.unseen if not all(value.isfinite() for value in piece.values))
        first = next(((piece.step, images_of(trainer, piece.number)) for piece in bad), None)
        found = [of_one for of_one in of_all_processes(first) if of_one]
        number = min(step for step, _ in found)
        images = [name for step, names in found if step == number for name in names]
        lr = trainer.lightning_module.recipe.lr  # type: ignore[union-attr]
        file = self.folder / IMAGES_FILE
        if is_first_process():
            write_atomically(file, "".join(f"{name}\n" for name in images))
        more = f" and {len(images) - IMAGES_TOLD} more, in {file}" if len(images) > IMAGES_TOLD else ""
        saved = f"the last saved state, of before, is {self.saved}" if self.saved.is_file() else "no state was saved"
        remedy = f"type a recipe.lr below {lr:.2g}"
        if self.skip:
            what = f"{MOST_IN_A_ROW} steps in a row were left out"
        else:
            what, remedy = "training diverged", f"{remedy}, or leave such steps out with recipe.skip_non_finite=true"
        return NotFiniteError(
            f"{what}: the loss or gradient of step {number} (epoch {trainer.current_epoch + 1}) is not finite, of "
            f"images {', '.join(images[:IMAGES_TOLD])}{more}; {saved}; {remedy}."
        )


def images_of(trainer: L.Trainer, piece: int) -> list[str]:
    """The names of the images that this device sees in the step of the epoch's `piece`, in all its pieces."""
    batches = trainer.train_dataloader.batch_sampler  # type: ignore[union-attr]
    assert isinstance(batches, EpochBatches)
    first = piece - piece % batches.accumulate
    positions = [position for number in range(first, first + batches.accumulate) for position in batches.batch(number)]
    return [trainer.datamodule.train.name(index) for _, index in positions]  # type: ignore[attr-defined]
