"""Leaving out the images that the report of a check names (`data.skip`)."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vggsuite.config import DataConfig
from vggsuite.data.samples import Samples
from vggsuite.errors import UserError

SCHEMA_VERSION = 1  # of reports


@dataclass(frozen=True)
class LeftOut:
    """What a report says is to be left out.

    Attributes:
        report: its SHA-256.
        place: of its file, as it was typed.
        data: the name of the data set that was checked.
        classes: those that have images there.
        names: of the images, by part: "train" and "val", or "images" of what has no split of its own.
    """

    report: str
    place: str
    data: str
    classes: list[str]
    names: Mapping[str, frozenset[str]]

    def told(self) -> dict[str, Any]:
        """What a record says of it: the report, and how many images of each part were left out."""
        return {"report": self.report} | {part: len(names) for part, names in self.names.items()}

    def everything(self) -> frozenset[str]:
        """The images of all parts."""
        return frozenset().union(*self.names.values())


def told_of(left_out: LeftOut | None) -> dict[str, Any] | None:
    """What a record says under "skipped": None where nothing was to be left out."""
    return left_out.told() if left_out else None


def read_left_out(config: DataConfig) -> LeftOut | None:
    """What `config.skip` says is to be left out; None where it is null.

    Raises:
        UserError: where it is no report of a check, or one of another data set.
    """
    if config.skip is None:
        return None
    try:
        text = Path(config.skip).expanduser().read_bytes()
    except OSError as error:
        raise UserError(
            f"data.skip={config.skip} cannot be read ({error.strerror}); type data.skip=<report of "
            "python src/check_data.py>, or data.skip=null."
        ) from error
    try:
        left_out = parse(text, config.skip)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise UserError(
            f"data.skip={config.skip} is no report of python src/check_data.py, or a damaged one; check the data set "
            "anew."
        ) from error
    if left_out.data != config.name:
        raise UserError(
            f"data.skip={config.skip} is the report of data={left_out.data}, not of {config.name}; type the one of "
            f"{config.name}, or data.skip=null."
        )
    return left_out


def parse(text: bytes, place: str) -> LeftOut:
    """What the report `text` says.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: where it is none.
    """
    content = json.loads(text)
    if content["schema_version"] != SCHEMA_VERSION:
        raise ValueError("of another version")
    names: dict[str, frozenset[str]] = {part: frozenset() for part in content["images"]}
    for by_part in content["skip"].values():
        for part, own in by_part.items():
            names[part] |= frozenset(words(own))
    digest = hashlib.sha256(text).hexdigest()
    return LeftOut(digest, place, str(content["data"]["name"]), words(content["classes"]["names"]), names)


def words(content: Any) -> list[str]:
    """A list of texts.

    Raises:
        TypeError: for anything else.
    """
    if not (isinstance(content, list) and all(isinstance(word, str) for word in content)):
        raise TypeError("no list of names")
    return content


def require_classes(classes: list[str], left_out: LeftOut) -> None:
    """Make sure that a report is of a data set of these classes.

    Raises:
        UserError: where it is not.
    """
    odd = sorted(set(classes) ^ set(left_out.classes))
    if odd:
        raise UserError(
            f"data.skip={left_out.place} is the report of a data set of other classes ({odd[0]} is in one only); check "
            "this one: python src/check_data.py."
        )


def kept(names: list[str], of_part: frozenset[str], left_out: LeftOut) -> np.ndarray:
    """The indices of those of the images `names` that are not to be left out of this part.

    Raises:
        UserError: where one that is to be left out is not there.
    """
    missing = of_part.difference(names)
    if missing:
        raise UserError(
            f"data.skip={left_out.place} lists {min(missing)}, which the data set does not have; check it anew: python "
            "src/check_data.py."
        )
    return np.flatnonzero([name not in of_part for name in names])


def remaining(samples: Samples, part: str, classes: list[str], left_out: LeftOut) -> Samples:
    """The samples of a part that are not to be left out.

    Raises:
        UserError: where one that is to be left out is not there, and for a class that would have none left.
    """
    of_part = left_out.names.get(part, frozenset())
    left = samples.take(kept(samples.names(), of_part, left_out))
    require_filled(np.unique(samples.labels), np.unique(left.labels), classes, f"{part} image", left_out)
    return left


def require_filled(before: np.ndarray, after: np.ndarray, classes: list[str], what: str, left_out: LeftOut) -> None:
    """Make sure that the classes `before` have images still.

    Raises:
        UserError: naming one that has none.
    """
    emptied = np.setdiff1d(before, after)
    if len(emptied):
        raise UserError(
            f"data.skip={left_out.place} would leave class {classes[emptied[0]]} without any {what}; mend some, or "
            "remove the class, and check the data set anew."
        )
