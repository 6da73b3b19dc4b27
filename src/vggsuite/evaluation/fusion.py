"""Fusion (section 4.4): the mean of the soft-max posteriors of several evaluations, from what they saved."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vggsuite.errors import UserError
from vggsuite.evaluation.metrics import errors
from vggsuite.evaluation.run import mean_posteriors, save
from vggsuite.files import exclusive
from vggsuite.results.environment import environment, peak_memory
from vggsuite.results.predictions import load_truth
from vggsuite.results.record import Evaluation, as_member


def fuse(members: Mapping[Path, Evaluation], folder: Path, *, runs: Path, command: str) -> Evaluation:
    """Average what the evaluations `members` (by folder) saved, and leave the fusion in `folder`, which is named as it
    lies below `runs`.

    Raises:
        UserError: unless all have the same images, labels and classes in the same order.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    records = list(members.values())
    truth = load_truth(next(iter(members)))
    for other in list(members)[1:]:
        for key, values in vars(load_truth(other)).items():
            if not np.array_equal(values, getattr(truth, key)):
                raise UserError(
                    f"{other} has other {key}, or in another order, than {next(iter(members))}; evaluate both on one "
                    "data set."
                )
    found = mean_posteriors(list(members))
    record = Evaluation(
        name=name_below(runs, folder),
        of=[weights for member in records for weights in member.of],
        protocol=shared([member.protocol for member in records]),
        members=[as_member(member) for member in records],
        command=command,
        data=records[0].data,
        metrics=errors(found, torch.from_numpy(truth.labels)),
        published=[],
        cost={"wall_seconds": round(time.perf_counter() - clock, 2)} | peak_memory(gpu=False),
        environment=environment(started, gpu=False),
    )
    with exclusive(folder, wait=True):
        save(record, found, truth, folder)
    return record


def name_below(runs: Path, folder: Path) -> str:
    """`folder` as it lies below `runs`, or its own name where it lies elsewhere."""
    runs, folder = runs.resolve(), folder.resolve()
    return folder.relative_to(runs).as_posix() if folder.is_relative_to(runs) else folder.name


def shared(protocols: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The fields in which all protocols agree."""
    return {key: value for key, value in protocols[0].items() if all(other.get(key) == value for other in protocols)}
