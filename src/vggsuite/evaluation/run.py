"""One evaluation, from a net and a protocol to its record."""

import csv
import io
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vggsuite.config import PROJECT_ROOT, Decoder, ModelConfig
from vggsuite.data.datasets import WholeImages
from vggsuite.data.layouts import ImageSet
from vggsuite.data.preprocessing import Preprocessing
from vggsuite.data.skipping import told_of
from vggsuite.evaluation import inference
from vggsuite.evaluation.metrics import confusion_matrix, errors, per_class, rank_of_label
from vggsuite.files import exclusive, write_atomically
from vggsuite.models.net import ConvNet
from vggsuite.protocol import Protocol
from vggsuite.results.environment import environment, git, peak_memory
from vggsuite.results.predictions import Predictions, Truth, load_posteriors, save_predictions
from vggsuite.results.record import (
    EVALUATION_FILE,
    EVALUATIONS,
    Evaluation,
    as_member,
    current_evaluation,
    evaluation_folder,
    write_evaluation,
)

CONFUSION_FILE = "confusion.csv"
SHARDS = "shards"  # the folder of what an unfinished evaluation has so far


@dataclass(frozen=True)
class Subject:
    """The net to be evaluated.

    Attributes:
        name: its folder below `runs/`.
        folder: that folder; evaluations lie in its `evaluations/`.
        net: with its weights.
        preprocessing: of its pixels.
        of: what a record says of its weights; see `Evaluation`.
        classes: the names of its outputs, where they are known.
        published: figures that others printed of these weights.
        model: the factors of the net.
    """

    name: str
    folder: Path
    net: ConvNet
    preprocessing: Preprocessing
    of: dict[str, str]
    classes: Sequence[str] | None = None
    published: Sequence[dict[str, Any]] = ()
    model: ModelConfig = field(default_factory=ModelConfig)

    @property
    def num_classes(self) -> int:
        """The number of its outputs."""
        return self.net.last.out_features


@dataclass(frozen=True)
class Evaluator:
    """Evaluates one net on the validation images of one data set, by any protocol.

    Attributes:
        subject: the net.
        images: the data set.
        data_name: its name.
        command: what a record gives as the command that repeats it.
        devices: one process for each.
        batch_size: how many crops' worth of pixels a device is given at a time.
        shard_size: after how many images what has been computed is saved.
        num_workers: processes that read images, for each device.
        suffix: of the evaluations' folders; tells a data set that is not the one the net was trained on.
        rerun: whether evaluations that are finished are repeated.
    """

    subject: Subject
    images: ImageSet
    data_name: str
    command: str
    devices: Sequence[torch.device]
    batch_size: int
    shard_size: int = 1000
    num_workers: int = 0
    decoder: Decoder = Decoder.turbo
    suffix: str = ""
    rerun: bool = False

    def folder(self, protocol: Protocol) -> Path:
        """Where the evaluation by `protocol` lies."""
        return evaluation_folder(self.subject.folder, protocol, self.suffix)

    def name(self, protocol: Protocol) -> str:
        """Its name: that folder below `runs/`."""
        return f"{self.subject.name}/{EVALUATIONS}/{protocol.name}{self.suffix}"

    @cached_property
    def seen(self) -> dict[str, str]:
        """What the net is given: which images, and decoded by whom."""
        return {"fingerprint": self.images.fingerprint(), "decoder": str(self.decoder)}

    @property
    def skipped(self) -> dict[str, Any] | None:
        """How many images were left out, of which the fingerprint does not tell."""
        return told_of(self.images.left_out)

    @cached_property
    def truth(self) -> Truth:
        images = self.images
        return Truth(np.array(images.val.names()), images.val.labels, np.array(images.classes))

    @cached_property
    def sizes(self) -> list[tuple[int, int]]:
        """Width and height of every image."""
        return self.images.val.sizes(range(len(self.images.val)), "image sizes")

    def evaluate(self, protocol: Protocol) -> Evaluation:
        """The record of the evaluation by `protocol`, which is made if there is none yet of these weights and images.

        A protocol of several parts averages their posteriors; each part is an evaluation of its own, which serves other
        protocols as well. An interrupted one goes on from its last saved shard.
        """
        if finished := self.finished(protocol):
            return finished
        members = [self.evaluate(part) for part in protocol.parts()]
        with exclusive(self.folder(protocol), wait=True):
            return self.finished(protocol) or self.make(protocol, members)  # finished by another process, meanwhile

    def finished(self, protocol: Protocol) -> Evaluation | None:
        """The record of a finished evaluation of these weights and images, unless it is to be repeated."""
        if self.rerun:
            return None
        return current_evaluation(self.folder(protocol), self.subject.of, self.seen)

    def make(self, protocol: Protocol, members: Sequence[Evaluation]) -> Evaluation:
        """Evaluate by `protocol`, of whose parts `members` are the records, and leave the record in its folder."""
        if self.devices[0].type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        started, clock = datetime.now(UTC), time.perf_counter()
        folder, gpu = self.folder(protocol), self.devices[0].type == "cuda"
        parts = [self.folder(part) for part in protocol.parts()]
        if parts:
            found, num_forward = mean_posteriors(parts), 0
        else:
            found, num_forward = self.forward(protocol)
        seconds = time.perf_counter() - clock
        record = Evaluation(
            name=self.name(protocol),
            of=[self.subject.of],
            protocol=asdict(protocol),
            members=[as_member(member) for member in members],
            command=self.command,
            data={"name": self.data_name, "num_classes": found.shape[1], **self.seen, "skipped": self.skipped},
            metrics=errors(found, torch.from_numpy(self.truth.labels)),
            published=list(self.subject.published),
            cost={
                "num_views": protocol.num_views,
                "images_per_second": round(num_forward / seconds, 2) if num_forward == len(self.truth.labels) else None,
                "devices": len(self.devices),
                "wall_seconds": round(seconds, 2),
            }
            | (peak_memory(gpu) if len(self.devices) == 1 else {}),
            environment=environment(started, gpu=gpu),
        )
        save(record, found, self.truth, folder)
        return record

    def forward(self, protocol: Protocol) -> tuple[Tensor, int]:
        """Posteriors [N, classes] of all images, by forward passes of those that no shard has yet, and how many those
        were."""
        shards = inference.shards_of(
            self.folder(protocol) / SHARDS,
            {"of": self.subject.of, "images": self.seen, "commit": git("rev-parse", "HEAD", root=PROJECT_ROOT)},
        )
        num_saved = len(inference.saved_images(shards))
        inference.run(self.task(protocol, shards), self.devices)
        return inference.collect(shards, len(self.images.val)), len(self.images.val) - num_saved

    def task(self, protocol: Protocol, shards: Path) -> inference.Task:
        """The forward passes of `protocol`, one without parts, whose posteriors go into the folder `shards`."""
        return inference.Task(
            net=self.subject.net,
            preprocessing=self.subject.preprocessing,
            forward=inference.Posteriors(protocol),
            images=WholeImages(self.images.val, side=protocol.scales[0], decoder=self.decoder),
            sizes=self.sizes,
            batch_size=self.batch_size,
            shard_size=self.shard_size,
            num_workers=self.num_workers,
            folder=shards,
        )


def mean_posteriors(folders: Sequence[Path]) -> Tensor:
    """The mean, float32 [N, classes], of the posteriors that were saved in `folders`."""
    total = torch.zeros(1)
    for folder in folders:
        total = total + torch.from_numpy(load_posteriors(folder))
    return total / len(folders)


def save(record: Evaluation, posteriors: Tensor, truth: Truth, folder: Path) -> None:
    """Write what an evaluation leaves into `folder`, its record last: `posteriors.npz`, `per_class.csv`,
    `confusion.csv` (a row for each right class, a column for each class it was taken for)."""
    labels = torch.from_numpy(truth.labels)
    ranks = rank_of_label(posteriors, labels).numpy()
    (folder / EVALUATION_FILE).unlink(missing_ok=True)  # a record never stands beside figures of another
    save_predictions(Predictions(truth, ranks, posteriors.log().half().numpy()), folder)
    columns = per_class(posteriors, labels)
    write_csv(folder / "per_class.csv", ["class", *columns], zip(truth.classes, *columns.values(), strict=True))
    counts = confusion_matrix(posteriors, labels).tolist()
    rows = ([name, *row] for name, row in zip(truth.classes, counts, strict=True))
    write_csv(folder / CONFUSION_FILE, ["class", *truth.classes], rows)
    shutil.rmtree(folder / SHARDS, ignore_errors=True)
    write_evaluation(record, folder)


def write_csv(file: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_atomically(file, stream.getvalue())
