"""What a net said of every test image, `posteriors.npz`: written once, averaged and compared ever after."""

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

PREDICTIONS_FILE = "posteriors.npz"


@dataclass(frozen=True)
class Truth:
    """The N images of a data set, in its order.

    Attributes:
        names: their paths below its root, str [N].
        labels: the right classes, int [N].
        classes: the names of the classes, str [classes].
    """

    names: np.ndarray
    labels: np.ndarray
    classes: np.ndarray


@dataclass(frozen=True)
class Predictions:
    """What was said of N images.

    Attributes:
        truth: the images.
        ranks: how many classes scored higher than the right one, or as high, int [N]: 0 is a top-1 hit.
        log_posteriors: natural logarithms of the soft-max posteriors, float16 [N, classes]. Half precision holds a
            logarithm to 0.5% or better of the posterior at any size; of the posteriors themselves it would lose all
            below 6e-8, where much of a confident net's top 5 lies.
    """

    truth: Truth
    ranks: np.ndarray
    log_posteriors: np.ndarray


def save_predictions(predictions: Predictions, folder: Path) -> None:
    """Write `posteriors.npz` into `folder`, complete or not at all."""
    save_arrays(
        folder / PREDICTIONS_FILE,
        **vars(predictions.truth),
        ranks=predictions.ranks,
        log_posteriors=predictions.log_posteriors,
    )


def load_truth(folder: Path) -> Truth:
    """The images of the predictions in `folder`."""
    with np.load(folder / PREDICTIONS_FILE) as arrays:
        return Truth(*(arrays[field.name] for field in fields(Truth)))


def load_ranks(folder: Path) -> np.ndarray:
    """The ranks of the predictions in `folder`."""
    with np.load(folder / PREDICTIONS_FILE) as arrays:
        return arrays["ranks"]


def load_posteriors(folder: Path) -> np.ndarray:
    """The posteriors, float32 [N, classes], of the predictions in `folder`."""
    with np.load(folder / PREDICTIONS_FILE) as arrays:
        return np.exp(arrays["log_posteriors"].astype(np.float32))


def save_arrays(file: Path, **arrays: Any) -> None:
    """Write an npz file, complete or not at all."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp.npz")
    with temporary.open("wb") as stream:
        np.savez(stream, **arrays)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)
