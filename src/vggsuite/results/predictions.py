"""What a net said of every test image, `posteriors.npz`: written once, averaged and compared ever after."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vggsuite.files import load_arrays, save_arrays

PREDICTIONS_FILE = "posteriors.npz"
REMEDY = "make it anew: repeat the evaluation (python src/evaluate.py ...) with rerun=true"


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
        log_posteriors: natural logarithms of the soft-max posteriors, float16 [N, classes]. Half precision holds
            posteriors to 0.4% that way, those below 1e-7 to 0.8% and below 1e-14 to 1.6%; posteriors themselves it
            would lose below 6e-8, where much of a confident net's top 5 lies.
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
    """The images of the predictions in `folder`.

    Raises:
        UserError: where they are missing or damaged.
    """
    return Truth(**load_arrays(folder / PREDICTIONS_FILE, {"names": "UN", "labels": "iN", "classes": "UC"}, REMEDY))


def load_ranks(folder: Path) -> np.ndarray:
    """The ranks of the predictions in `folder`; raises as `load_truth`."""
    return load_arrays(folder / PREDICTIONS_FILE, {"ranks": "iN"}, REMEDY)["ranks"]


def load_posteriors(folder: Path) -> np.ndarray:
    """The posteriors, float32 [N, classes], of the predictions in `folder`; raises as `load_truth`."""
    found = load_arrays(folder / PREDICTIONS_FILE, {"log_posteriors": "fNC"}, REMEDY)["log_posteriors"]
    return np.exp(found.astype(np.float32))
