"""What a net said of every test image, `posteriors.npz`: written once, averaged and compared ever after."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from vggsuite.errors import UserError, first_line
from vggsuite.files import save_arrays

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


@contextmanager
def open_predictions(folder: Path) -> Iterator[Mapping[str, np.ndarray]]:
    """The arrays of the predictions in `folder`, each read when it is asked for.

    Raises:
        UserError: where they are missing or damaged.
    """
    try:
        with np.load(folder / PREDICTIONS_FILE) as arrays:
            yield arrays
    except (OSError, EOFError, KeyError, ValueError, BadZipFile) as error:
        raise UserError(
            f"{folder / PREDICTIONS_FILE} cannot be read ({first_line(error)}); make it anew: repeat the "
            "evaluation (python src/evaluate.py ...) with rerun=true."
        ) from error


def load_truth(folder: Path) -> Truth:
    """The images of the predictions in `folder`."""
    with open_predictions(folder) as arrays:
        return Truth(*(arrays[field.name] for field in fields(Truth)))


def load_ranks(folder: Path) -> np.ndarray:
    """The ranks of the predictions in `folder`."""
    with open_predictions(folder) as arrays:
        return arrays["ranks"]


def load_posteriors(folder: Path) -> np.ndarray:
    """The posteriors, float32 [N, classes], of the predictions in `folder`."""
    with open_predictions(folder) as arrays:
        return np.exp(arrays["log_posteriors"].astype(np.float32))
