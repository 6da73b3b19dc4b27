"""Trained box regressors."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from vggsuite.config import DataConfig, ModelConfig
from vggsuite.data.boxes import in_image
from vggsuite.data.preprocessing import Preprocessing
from vggsuite.data.views import centre_view
from vggsuite.evaluation.run import Subject
from vggsuite.files import read_lines
from vggsuite.finished_run import load_checkpoint
from vggsuite.localisation.candidates import Size
from vggsuite.localisation.regression import decoded
from vggsuite.models.build import net_for
from vggsuite.models.state import fill
from vggsuite.results.localisation_records import read_localiser
from vggsuite.results.run_folder import CHECKPOINT, CLASSES_FILE, weights_of


@dataclass(frozen=True)
class Regressor:
    """A trained box regressor.

    Attributes:
        subject: the net.
        mean_box: the mean of the boxes that it was trained on, as it regresses them: what it has to beat.
    """

    subject: Subject
    mean_box: Sequence[float]

    def mean_boxes(self, sizes: Sequence[Size], side: int) -> np.ndarray:
        """The mean training box, at its place in the centre crop of images of these sizes at Q = `side`, in their own
        pixels: float64 [N, 4]."""
        crop = self.subject.net.crop
        edges = decoded(torch.tensor(self.mean_box, dtype=torch.float64), crop).numpy()
        return np.array([in_image(edges, centre_view(*size, side, crop)) for size in sizes])


def load_regressor(folder: Path, model: ModelConfig, data: DataConfig) -> Regressor:
    """The box regressor of the finished run in `folder`, whose net and data are `model` and `data`.

    Raises:
        UserError: where its checkpoint is damaged, or of another net.
    """
    record, state = read_localiser(folder), load_checkpoint(folder).weights
    net = net_for(state, model, data.crop)
    fill(net, state, str(folder / CHECKPOINT), remedy="the run's config.yaml or its checkpoint was changed; repeat it")
    subject = Subject(
        name=record.name,
        folder=folder,
        net=net,
        preprocessing=Preprocessing(data.mean, data.std),
        of=weights_of(record.name, folder, record.environment["started"]),
        classes=read_lines(folder / CLASSES_FILE, "repeat the run with rerun=true"),
        model=model,
    )
    return Regressor(subject, record.boxes["mean_box"])
