"""Transfer by linear SVMs on descriptors: the net stays as it is."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vggsuite.config import TransferConfig
from vggsuite.data.labelled import LabelledImages, Split
from vggsuite.devices import chosen_workers, torch_devices
from vggsuite.evaluation.run import Subject
from vggsuite.transfer import svm
from vggsuite.transfer.descriptors import Describer, content_digests
from vggsuite.transfer.features import features
from vggsuite.transfer.scoring import Outcome, outcome_of, score


def classify(config: TransferConfig, subjects: Sequence[Subject], images: LabelledImages) -> list[Outcome]:
    """Fit SVMs on the features of every split's training images, with the C that does best on those held out, and
    score its test images."""
    describer = Describer(
        images,
        sizes=images.sizes(),
        contents=content_digests(images.samples),
        devices=torch_devices(config.trainer),
        batch_size=config.batch_size,
        shard_size=config.shard_size,
        num_workers=chosen_workers(config.data.num_workers, config.trainer),
        decoder=config.data.decoder,
    )
    rows = features(config, subjects, describer)
    device = torch_devices(config.trainer)[0]
    outcomes = []
    for number, split in enumerate(images.splits, start=1):
        outcomes.append(outcome := classify_split(config, images, split, rows, device))
        told = outcome.told
        print(f"split {number} of {len(images.splits)}: C {told['c']:g}, {told['score']:.2f}%", flush=True)
    return outcomes


def classify_split(
    config: TransferConfig, images: LabelledImages, split: Split, rows: np.ndarray, device: torch.device
) -> Outcome:
    """The outcome of one split; `rows` are the features, float32 [N, D], of all images."""
    targets = images.targets[split.train]
    held_out = torch.from_numpy(np.flatnonzero(np.isin(split.train, split.held_out))).to(device)

    def held_out_score(found: Tensor, indices: Tensor) -> float:
        return score(config.metric, found.cpu().numpy(), targets[indices.cpu().numpy()], partial=True).score

    train = torch.from_numpy(rows[split.train]).to(device)
    chosen = svm.choose_and_fit(
        train, torch.from_numpy(targets).to(device), held_out, sorted(config.c_grid), held_out_score
    )
    del train  # gigabytes, of a large set
    test = torch.from_numpy(rows[split.test]).to(device)
    by_c = {f"{c:g}": round(value, 4) for c, value in chosen.by_c.items()}
    found = svm.scores(test, chosen.weights).cpu().numpy()
    return outcome_of(config.metric, images, split, found, c=chosen.c, held_out_by_c=by_c)
