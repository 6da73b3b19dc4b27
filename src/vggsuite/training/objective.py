"""What nets are trained for, and a run under way: what the training of any net needs of either."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import lightning as L
import numpy as np

from vggsuite.config import TrainConfig
from vggsuite.data.module import ImageData
from vggsuite.data.preprocessing import Preprocessing
from vggsuite.models.net import ConvNet
from vggsuite.results.record import Record
from vggsuite.training.resuming import History, SavedState


@dataclass(frozen=True)
class Run:
    """A run under way: what it was asked for, what it works with, and the state it goes on from, if it was
    interrupted."""

    config: TrainConfig
    folder: Path
    data: ImageData
    net: ConvNet
    history: History
    state: SavedState | None


class Objective(Protocol):
    """What a net is trained for."""

    @property
    def record_file(self) -> str:
        """The name of the record that a finished run leaves."""

    @property
    def watched(self) -> str:
        """The logged error, in percent, by which the learning rate and the checkpoint are chosen."""

    def make_data(self) -> ImageData:
        """What training sees."""

    def num_outputs(self, data: ImageData) -> int:
        """Of the net."""

    def make_module(self, net: ConvNet, preprocessing: Preprocessing) -> L.LightningModule:
        """What Lightning runs."""

    def make_record(self, run: Run, net: ConvNet, fitted: dict[str, Any]) -> Record:
        """Test `net`, the best of the run, and say all there is to say of it; `fitted` is what was measured while it
        was trained."""

    def pictures(self, run: Run, net: ConvNet, record: Record) -> dict[str, np.ndarray]:
        """What a finished run is shown by, uint8 [height, width, 3] under the names that loggers are given."""

    def summary(self, record: Record) -> str:
        """A record's main figure."""
