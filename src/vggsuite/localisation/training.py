"""Training for localisation (appendix A): a classification net whose last layer regresses boxes."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import lightning as L
import numpy as np
import torch

from vggsuite.config import Selection
from vggsuite.data.annotations import BoxesOfSplit, read_boxes
from vggsuite.data.boxed import BoxData
from vggsuite.data.boxes import in_view, most_seen
from vggsuite.data.find import find_images
from vggsuite.data.layouts import ImageSet
from vggsuite.data.module import ImageData
from vggsuite.data.preprocessing import Preprocessing
from vggsuite.data.views import centre_view
from vggsuite.evaluation.run import Subject
from vggsuite.localisation.config import (
    BoxEvaluateConfig,
    BoxProtocol,
    LocaliserConfig,
    MergingConfig,
    Regression,
    TestSplit,
)
from vggsuite.localisation.evaluation import GroundTruth, finished
from vggsuite.localisation.images import BoxedImages, boxed_images
from vggsuite.localisation.module import BoxRegression
from vggsuite.localisation.regression import COORDINATES, encoded
from vggsuite.localisation.regressor import Regressor
from vggsuite.localisation.settings import output_folder
from vggsuite.models.net import ConvNet
from vggsuite.naming import repeat_command, run_name
from vggsuite.results.localisation_records import LOCALISER_FILE, Localiser
from vggsuite.results.record import Record
from vggsuite.results.run_folder import weights_of
from vggsuite.training.classifying import data_settings
from vggsuite.training.objective import Run
from vggsuite.training.recording import record_fields


@dataclass(frozen=True)
class Localising:
    """The objective of `localise.py train`."""

    config: LocaliserConfig
    record_file: str = LOCALISER_FILE
    watched: str = BoxRegression.watched

    @cached_property
    def images(self) -> ImageSet:
        return find_images(self.config.data)

    @cached_property
    def boxes(self) -> dict[str, BoxesOfSplit]:
        """The boxes of either split."""
        return {split: read_boxes(self.images, split, self.config.boxes) for split in ("train", "val")}

    @cached_property
    def tested(self) -> BoxedImages:
        """The images of the test that ends the training."""
        return boxed_images(self.images, self.config.data, self.boxes["val"], TestSplit.val)

    def make_data(self) -> BoxData:
        config = self.config
        of_test = config.recipe.selection == Selection.paper
        data = BoxData(
            self.images,
            config.data,
            boxes=self.boxes["train"].boxes,
            cut=config.boxes.cut,
            held_out_boxes=self.boxes["val"].boxes if of_test else None,
            **data_settings(config),
        )
        assert len(self.tested.samples)  # else it says so, before the training
        return data

    def num_outputs(self, data: ImageData) -> int:
        return COORDINATES * (len(data.images.classes) if self.config.regression == Regression.pcr else 1)

    def pictures(self, run: Run, net: ConvNet, record: Record) -> dict[str, np.ndarray]:
        return {}

    def make_module(self, net: ConvNet, preprocessing: Preprocessing) -> L.LightningModule:
        return BoxRegression(net, preprocessing, self.config.recipe)

    def make_record(self, run: Run, net: ConvNet, fitted: dict[str, Any]) -> Localiser:
        config, data = self.config, run.data
        assert isinstance(data, BoxData)
        mean_box = mean_target(data)
        command = repeat_command("localise.py", ["train", *config.overrides])
        test = self.test(run, net, mean_box)
        folder = output_folder(test.config, [])
        localisation = finished(test, folder, command)
        return Localiser(
            **record_fields(run, fitted, command=command),
            test={
                "protocol": localisation.protocol,
                "scales": localisation.of[0]["scales"],
                "folder": folder.relative_to(run.folder).as_posix(),
            },
            metrics=localisation.metrics,
            regression=str(config.regression),
            finetune=str(config.finetune),
            boxes={
                "cut": str(config.boxes.cut),
                "faulty": str(config.boxes.faulty),
                "fingerprint": data.boxes.fingerprint(),
                "counts": {split: found.counts for split, found in self.boxes.items()},
                "mean_box": mean_box,
            },
        )

    def test(self, run: Run, net: ConvNet, mean_box: list[float]) -> GroundTruth:
        """The test on the centre crop that ends a training."""
        config = self.config
        name = run_name(config.data.name, config.experiment, config.variant, config.seed)
        started = run.history.started.isoformat(timespec="seconds")
        preprocessing = Preprocessing(config.data.mean, config.data.std)
        subject = Subject(name, run.folder, net, preprocessing, weights_of(name, run.folder, started))
        settings = BoxEvaluateConfig(
            run=str(run.folder),
            protocol=BoxProtocol.ground_truth,
            scales=[config.test.scale or run.data.scale.middle],
            data=config.data,
            boxes=config.boxes,
            model=config.model,
            merging=MergingConfig(),
            trainer=config.trainer | {"devices": 1},
            batch_size=config.test.batch_size,
            paths=config.paths,
            variant=config.variant,
        )
        return GroundTruth(settings, Regressor(subject, mean_box), self.tested)

    def summary(self, record: Record) -> str:
        metrics = record.metrics
        return (
            f"error given the class {metrics['gt_class_error']:.2f}%, of the mean box "
            f"{metrics['mean_box_gt_class_error']:.2f}%"
        )


def mean_target(data: BoxData) -> list[float]:
    """The mean of the training boxes, of each image that of which the centre crop shows most, as nets regress it."""
    side, crop = data.scale.middle, data.config.crop
    sizes = data.train.sizes(range(len(data.train)), "image sizes")
    targets = []
    for entry, size in zip(data.train.entries, sizes, strict=True):
        edges = in_view(data.boxes.of(entry), centre_view(*size, side, crop))
        targets.append(edges[most_seen(edges, crop, crop)])
    mean = encoded(torch.from_numpy(np.array(targets)), crop).mean(dim=0)
    return [float(value) for value in mean]
