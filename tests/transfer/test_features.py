"""Features: descriptors of several scales, regions and nets in one matrix."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from tests.evaluation.conftest import MEAN, make_net
from tests.transfer.conftest import HIDDEN, describer, labelled, write_images
from vggsuite.config import Combine, DataConfig, Features, Layout, Region, TransferConfig
from vggsuite.data.labelled import LabelledImages
from vggsuite.evaluation.run import Subject
from vggsuite.transfer.descriptors import Descriptor
from vggsuite.transfer.features import features


def transfer_config(**changes: Any) -> TransferConfig:
    data = DataConfig("noise", Layout.folder, "", 32, mean=MEAN, flip=False)
    settings: dict[str, Any] = {"data": data, "scales": [40, 48], "combine": Combine.stack, "regions": [Region.image]}
    return TransferConfig(**(settings | changes))


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


Combined = Callable[[np.ndarray, np.ndarray], np.ndarray]


@pytest.mark.parametrize(
    ("combine", "expected"),
    [
        (Combine.stack, lambda one, other: np.concatenate([one, other], axis=1) / np.sqrt(2)),
        (Combine.average, lambda one, other: unit(one + other)),
    ],
)
def test_several_scales_are_stacked_or_averaged_after_each_was_normalised(
    combine: Combine, expected: Combined, images: LabelledImages, subject: Subject
) -> None:
    describes = describer(images)
    found = features(transfer_config(combine=combine), [subject], describes)
    each = [unit(describes.describe(subject, Descriptor(side, flip=False), Region.image)) for side in (40, 48)]
    assert np.allclose(found, expected(*each), atol=1e-5)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("combine", Combine)
def test_nets_and_regions_are_stacked_however_scales_are_combined(
    combine: Combine, tmp_path: Path, subject: Subject
) -> None:
    names = write_images(tmp_path / "images")
    describes = describer(labelled(tmp_path / "images", names, [(0, 1, 36, 40)] * 5))
    other = replace(subject, folder=tmp_path / "runs/other", net=make_net(depth=13, width=1 / 32))
    config = transfer_config(combine=combine, regions=[Region.image, Region.box])
    found = features(config, [subject, other], describes)
    times = 2 if combine == Combine.stack else 1
    assert found.shape == (5, 2 * times * (HIDDEN + HIDDEN // 2))
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    blocks = np.split(found, np.cumsum([times * HIDDEN, times * HIDDEN, times * HIDDEN // 2]), axis=1)
    for block, (net, region) in zip(
        blocks, [(net, region) for net in (subject, other) for region in (Region.image, Region.box)], strict=True
    ):
        assert np.allclose(np.linalg.norm(block, axis=1), 0.5, atol=1e-5)
        alone = features(transfer_config(combine=combine, regions=[region]), [net], describes)
        assert np.allclose(2 * block, alone, atol=1e-5)


@pytest.mark.parametrize(
    ("flip", "of_data", "expected"), [(None, True, True), (None, False, False), (False, True, False)]
)
def test_the_mirror_image_counts_as_asked_else_as_in_the_data(
    flip: bool | None, of_data: bool, expected: bool, images: LabelledImages, subject: Subject
) -> None:
    config = transfer_config(scales=40, flip=flip)
    config.data.flip = of_data
    found = features(config, [subject], describer(images))
    described = describer(images).describe(subject, Descriptor(40, flip=expected), Region.image)
    assert np.allclose(found, unit(described), atol=1e-5)


def test_features_of_pixels_know_no_scales(images: LabelledImages, subject: Subject) -> None:
    found = features(transfer_config(features=Features.pixels), [subject], describer(images))
    expected = F.normalize(torch.from_numpy(np.stack([squeezed(subject, images, index) for index in range(5)])))
    assert np.allclose(found, expected, atol=0.02)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def squeezed(subject: Subject, images: LabelledImages, index: int) -> np.ndarray:
    """One image at the crop's size, less the mean, flattened channel by channel."""
    image = Image.open(images.samples.location(index))
    factor = subject.net.crop / min(image.size)
    smaller = image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.BILINEAR)
    pixels = np.array(smaller.resize((subject.net.crop,) * 2, Image.Resampling.BILINEAR), dtype=np.float32)
    return (pixels - np.array(MEAN, dtype=np.float32)).transpose(2, 0, 1).flatten()
