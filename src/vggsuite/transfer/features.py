"""The features of a data set: the descriptors of several scales, regions and nets in one matrix."""

from collections.abc import Sequence

import numpy as np

from vggsuite.config import Combine, Features, Region, TransferConfig
from vggsuite.evaluation.run import Subject
from vggsuite.transfer.descriptors import Describer, Descriptor
from vggsuite.transfer.settings import descriptor_scales


def features(config: TransferConfig, subjects: Sequence[Subject], describer: Describer) -> np.ndarray:
    """Features, float32 [N, D], of every image, of length 1: the descriptors of all regions and nets stacked, those of
    several Q stacked or averaged as `config.combine` says, all of equal length beforehand. The paper does not say when
    descriptors are normalised; so each of them is, and again what was averaged.
    """
    parts = [(subject, region) for subject in subjects for region in config.regions]
    blocks = [block for subject, region in parts for block in described(config, subject, region, describer)]
    found = np.concatenate(blocks, axis=1)
    found /= np.sqrt(len(blocks), dtype=np.float32)
    return found


def described(config: TransferConfig, subject: Subject, region: Region, describer: Describer) -> list[np.ndarray]:
    """The descriptors by one net of one region: one block, or one for each Q."""
    each = [
        normalised(describer.describe(subject, descriptor, region)) for descriptor in descriptors_of(config, subject)
    ]
    return each if config.combine == Combine.stack else [normalised(np.mean(each, axis=0))]


def descriptors_of(config: TransferConfig, subject: Subject) -> list[Descriptor]:
    """How `config` asks for images to be described by a net."""
    if config.features == Features.pixels:
        return [Descriptor(subject.net.crop, flip=False, pixels=True)]
    flip = config.data.flip if config.flip is None else config.flip
    return [
        Descriptor(side, flip=flip, relu=config.relu, precision=config.precision)
        for side in descriptor_scales(config.scales, subject.net.crop)
    ]


def normalised(descriptors: np.ndarray) -> np.ndarray:
    """Each row, float32 [N, D], divided in place by its length; one of zeros stays as it is."""
    lengths = np.linalg.norm(descriptors, axis=1, keepdims=True)
    descriptors /= np.where(lengths > 0, lengths, 1)
    return descriptors
