"""Images to be described, and a net that describes them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.evaluation.conftest import MEAN, SHAPES, make_net
from vggsuite.config import Decoder
from vggsuite.data.labelled import LabelledImages, one_label
from vggsuite.data.preprocessing import Preprocessing
from vggsuite.data.samples import Files, Samples
from vggsuite.evaluation.run import Subject
from vggsuite.transfer.descriptors import Describer, content_digests

HIDDEN = 256  # outputs of the net's second FC layer

Box = tuple[int, int, int, int]


def write_images(folder: Path, *, seed: int = 0) -> list[str]:
    """5 images of noise in several shapes; their names."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for number, (width, height) in enumerate(SHAPES):
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(folder / f"{number}.png")
        names.append(f"{number}.png")
    return names


def labelled(root: Path, names: Sequence[str], boxes: Sequence[Box] | None = None) -> LabelledImages:
    found = one_label(["cat"], Samples.all_of(Files(root, names), [0] * len(names)), [])
    return found if boxes is None else replace(found, boxes=np.array(boxes))


def describer(images: LabelledImages, **changes: Any) -> Describer:
    settings: dict[str, Any] = {
        "sizes": images.sizes(),
        "contents": content_digests(images.samples),
        "devices": [torch.device("cpu")],
        "batch_size": 8,
        "shard_size": 1000,
        "num_workers": 0,
        "decoder": Decoder.turbo,
    }
    return Describer(images, **(settings | changes))


@pytest.fixture
def images(tmp_path: Path) -> LabelledImages:
    return labelled(tmp_path / "images", write_images(tmp_path / "images"))


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    return Subject("net", tmp_path / "runs/net", make_net(), Preprocessing(MEAN), {"sha256": "0" * 64})
