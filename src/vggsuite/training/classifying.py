"""Training for classification (section 3.1): what the images are, what is learnt, and the test that ends a run."""

from dataclasses import dataclass, replace
from typing import Any

import lightning as L
import numpy as np

from vggsuite.config import Selection, TrainConfig
from vggsuite.data.find import find_images
from vggsuite.data.layouts import ImageSet
from vggsuite.data.module import ImageData
from vggsuite.data.preprocessing import Preprocessing
from vggsuite.devices import chosen_workers, torch_devices
from vggsuite.evaluation.run import Evaluator, Subject
from vggsuite.models.net import ConvNet
from vggsuite.naming import repeat_command, run_name
from vggsuite.protocol import Method, Protocol
from vggsuite.results.record import OF_TRAINING_IMAGES, RECORD_FILE, Evaluation, Record, evaluation_folder
from vggsuite.results.run_folder import weights_of
from vggsuite.training.module import Classification
from vggsuite.training.objective import Run
from vggsuite.training.recording import record_fields


@dataclass(frozen=True)
class Classifying:
    """The objective of `train.py`."""

    config: TrainConfig
    record_file: str = RECORD_FILE
    watched: str = Classification.watched

    def make_data(self) -> ImageData:
        return ImageData(find_images(self.config.data), self.config.data, **data_settings(self.config))

    def num_outputs(self, data: ImageData) -> int:
        return len(data.images.classes)

    def make_module(self, net: ConvNet, preprocessing: Preprocessing) -> L.LightningModule:
        return Classification(net, preprocessing, self.config.recipe)

    def make_record(self, run: Run, net: ConvNet, fitted: dict[str, Any]) -> Record:
        test = self.evaluate(run, net, run.data.images)
        metrics = test.metrics
        if self.config.test.training_error:
            learnt = replace(run.data.images, val=run.data.train)
            metrics = metrics | {"train": self.evaluate(run, net, learnt, suffix=OF_TRAINING_IMAGES).metrics}
        fields = record_fields(run, fitted, command=repeat_command("train.py", self.config.overrides))
        return Record(**fields, test=test.protocol, metrics=metrics)

    def pictures(self, run: Run, net: ConvNet, record: Record) -> dict[str, np.ndarray]:
        from vggsuite.figures import of_evaluations, of_runs  # only to draw
        from vggsuite.figures.style import as_pixels, styled

        place = evaluation_folder(run.folder, Protocol.of(record.test))
        with styled():
            found = {
                "test/filters": of_runs.draw_filters(net, record.name),
                "test/confusion": of_evaluations.draw_confusion(place),
            }
            if record.metrics["top1_error"]:
                found["test/mistakes"] = of_evaluations.draw_mistakes(run.data.images, place)
            return {name: as_pixels(figure) for name, figure in found.items()}

    def summary(self, record: Record) -> str:
        return f"top-1 error {record.metrics['top1_error']:.2f}%"

    def evaluate(self, run: Run, net: ConvNet, images: ImageSet, *, suffix: str = "") -> Evaluation:
        """Evaluate the trained net densely at one scale on the validation images of `images`, and leave that in the
        run's folder, in a folder whose name ends so."""
        config, data = self.config, run.data
        name = run_name(config.data.name, config.experiment, config.variant, config.seed)
        weights = weights_of(name, run.folder, run.history.started.isoformat(timespec="seconds"))
        evaluator = Evaluator(
            Subject(name, run.folder, net, Preprocessing(config.data.mean, config.data.std), weights),
            images,
            data_name=config.data.name,
            command=repeat_command("train.py", config.overrides),
            devices=torch_devices(config.trainer)[:1],
            batch_size=config.test.batch_size,
            num_workers=data.num_workers,
            decoder=config.data.decoder,
            suffix=suffix,
        )
        scale = config.test.scale or data.scale.middle
        return evaluator.evaluate(Protocol(Method.dense, (scale,), flip=config.data.flip, average=config.test.average))


def data_settings(config: TrainConfig) -> dict[str, Any]:
    """How a data module serves images to a training."""
    return {
        "batch_size": config.recipe.batch_size,
        "seed": config.seed,
        "num_workers": chosen_workers(config.data.num_workers, config.trainer),
        "select_on_test": config.recipe.selection == Selection.paper,
    }
