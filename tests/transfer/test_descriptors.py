"""Descriptors: what they are computed of, and that each is computed once."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.evaluation.conftest import MEAN, make_net, noise
from tests.transfer.conftest import HIDDEN, Box, describer, labelled, write_images
from vggsuite.config import Decoder, ModelConfig, Padding, Region
from vggsuite.data.datasets import WholeImages
from vggsuite.data.labelled import LabelledImages
from vggsuite.data.preprocessing import Preprocessing
from vggsuite.data.samples import Files, Samples
from vggsuite.evaluation import inference
from vggsuite.evaluation.dense import penultimate
from vggsuite.evaluation.inference import vectors
from vggsuite.evaluation.run import Subject
from vggsuite.models.vgg import VGG
from vggsuite.protocol import Precision
from vggsuite.transfer.descriptors import SHARDS, Descriptor, place_of

PLAIN = Descriptor(40, flip=False)
FLIPPED = Descriptor(40, flip=True)


def hidden(net: VGG, crops: Tensor, *, relu: bool = True) -> Tensor:
    """The second FC layer of an ordinary forward pass."""
    seen: list[Tensor] = []
    hook = net.classifier[3].register_forward_hook(lambda *arguments: seen.append(arguments[-1].clone()))
    net(crops)
    hook.remove()
    return seen[0].relu() if relu else seen[0]


@torch.no_grad()
def without_borders(net: VGG) -> VGG:
    """The net with kernels that see their own place alone, so that padding changes nothing."""
    for _, layer in net.named_weight_layers():
        if isinstance(layer, torch.nn.Conv2d):
            middle = layer.weight[:, :, 1:2, 1:2].clone()
            layer.weight.zero_()[:, :, 1:2, 1:2] = 3 * middle
    return net


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("factors", [{}, {"depth": 16, "conv1x1": True}, {"crop": 40}])
@torch.inference_mode()
def test_on_a_crop_it_is_the_second_fc_layer_of_the_forward_pass(relu: bool, factors: dict[str, Any]) -> None:
    net = make_net(**factors)
    crops = noise(3, 3, net.crop, net.crop)
    found, expected = penultimate(net, crops, relu=relu), hidden(net, crops, relu=relu)
    assert found.shape == (3, 1, HIDDEN)
    assert (found[:, 0] - expected).norm() <= 1e-5 * expected.norm()
    assert (found.min() < 0) == (not relu)


@torch.inference_mode()
def test_on_a_larger_image_it_is_the_mean_over_crops_at_the_stride() -> None:
    net = without_borders(make_net())
    images = noise(2, 3, 50, 64)  # of 3 x 5 places
    crops = [images[:, :, top : top + 32, left : left + 32] for top in (0, 8, 16) for left in range(0, 33, 8)]
    for relu in (True, False):
        found = Descriptor(50, flip=False, relu=relu)(net, images, torch.arange(2))
        expected = torch.stack([hidden(net, crop, relu=relu) for crop in crops]).mean(dim=0)
        assert (found - expected).norm() <= 1e-5 * expected.norm()


@torch.inference_mode()
def test_with_flip_it_is_the_mean_with_the_mirror_images() -> None:
    net, images = make_net(), noise(3, 3, 40, 57)
    found, plain = vectors(net, images, FLIPPED, torch.arange(3)), vectors(net, images, PLAIN, torch.arange(3))
    mirrored = vectors(net, images.flip(3), PLAIN, torch.arange(3))
    assert torch.allclose(found, (plain + mirrored) / 2, atol=1e-5)
    assert not torch.allclose(plain, mirrored, rtol=0.1)


@torch.inference_mode()
def test_raw_pixels_are_the_image_squeezed_to_the_crops_square() -> None:
    pixels, net = Descriptor(32, flip=False, pixels=True), make_net()
    square, ramp = noise(2, 3, 32, 32), torch.arange(96.0).expand(1, 3, 32, 96)
    assert torch.equal(pixels(net, square, torch.arange(2)), square.flatten(1))
    found = pixels(net, ramp, torch.arange(1)).view(3, 32, 32)[:, :, 1:-1]
    assert torch.allclose(found, (3 * torch.arange(32.0) + 1)[1:-1].expand_as(found), atol=1e-3)


@pytest.fixture
def forwarded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images the net saw, pass by pass."""
    counts: list[int] = []
    original = inference.predict

    def counted(*arguments: Any) -> Tensor:
        counts.append(len(arguments[-1]))
        return original(*arguments)

    monkeypatch.setattr(inference, "predict", counted)
    return counts


@torch.inference_mode()
def by_hand(subject: Subject, file: Path, descriptor: Descriptor, box: Box | None = None) -> np.ndarray:
    """The descriptor, float32 [D], of one image, or of what a box leaves of it, rescaled by Pillow."""
    image = Image.open(file).crop(box)  # None: all of it
    factor = descriptor.side / min(image.size)
    size = tuple(max(descriptor.side, round(side * factor)) for side in image.size)
    pixels = torch.from_numpy(np.array(image.resize(size, Image.Resampling.BILINEAR)))  # type: ignore[arg-type]
    seen = subject.preprocessing(pixels.permute(2, 0, 1)[None])
    found = [
        descriptor(subject.net.eval(), each, torch.arange(1))
        for each in ([seen, seen.flip(3)] if descriptor.flip else [seen])
    ]
    return torch.cat(found).mean(dim=0).numpy()


def assert_same_rows(found: np.ndarray, expected: np.ndarray) -> None:
    """Each row equals its own far more nearly than any two different ones equal each other."""
    apart = np.linalg.norm(expected[:, None] - expected, axis=2)
    assert np.linalg.norm(found - expected, axis=1).max() < 0.01 * apart[apart > 0].min()


@pytest.mark.parametrize("descriptor", [PLAIN, FLIPPED, Descriptor(48, flip=True, relu=False)], ids=lambda it: it.name)
def test_rows_are_those_of_the_images_in_the_data_sets_order(
    descriptor: Descriptor, tmp_path: Path, subject: Subject, forwarded: list[int]
) -> None:
    """An image that is there twice is computed once."""
    write_images(tmp_path / "images")
    order = ["3.png", "0.png", "4.png", "1.png", "0.png", "2.png"]
    (tmp_path / "images/again.png").write_bytes((tmp_path / "images/3.png").read_bytes())
    images = labelled(tmp_path / "images", [*order, "again.png"])
    found = describer(images, shard_size=2).describe(subject, descriptor, Region.image)
    expected = [by_hand(subject, tmp_path / "images" / name, descriptor) for name in (*order, "3.png")]
    assert (found.shape, found.dtype) == ((7, HIDDEN), np.float32)
    assert_same_rows(found, np.array(expected))
    assert sum(forwarded) == 5


def test_a_box_is_described_like_what_it_leaves_of_the_image(tmp_path: Path, subject: Subject) -> None:
    """Exactly, of a box that need not be rescaled; of others as nearly as pixels beyond its edges, which resampling
    looks at, allow."""
    write_images(tmp_path / "images")
    boxes: list[Box] = [(10, 0, 50, 40), (3, 1, 63, 41), (0, 0, 64, 41), (5, 4, 37, 36)]
    for number, box in enumerate(boxes):
        Image.open(tmp_path / "images/3.png").crop(box).save(tmp_path / "images" / f"part_{number}.png")
    whole = describer(labelled(tmp_path / "images", ["3.png"] * 4, boxes))
    parts = describer(labelled(tmp_path / "images", [f"part_{number}.png" for number in range(4)]))
    found = whole.describe(subject, FLIPPED, Region.box)
    expected = parts.describe(subject, FLIPPED, Region.image)
    assert np.allclose(found[:3], expected[:3], rtol=1e-5, atol=1e-5 * expected.max())
    differences = np.linalg.norm(found[:, None] - expected, axis=2) / np.linalg.norm(expected, axis=1)
    assert differences[3, 3] < 0.05
    assert (differences.argmin(axis=1) == np.arange(4)).all()


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_a_box_shows_what_lies_in_it(ending: str, tmp_path: Path) -> None:
    """Of a picture that is grey in the box and white around it, but for the edges, by either decoder."""
    pixels = np.full((90, 120, 3), 255, dtype=np.uint8)
    pixels[20:70, 30:110] = 100
    Image.fromarray(pixels).save(tmp_path / f"0.{ending}")
    samples = Samples.all_of(Files(tmp_path, [f"0.{ending}"]), [0])
    for decoder in Decoder:
        view, index = WholeImages(samples, side=40, decoder=decoder, boxes=np.array([[30, 20, 110, 70]]))[0]
        assert (index, view.shape) == (0, (40, 64, 3))
        assert (view[3:-3, 3:-3].int() - 100).abs().max() <= 8
        assert view.float().mean() < 110


def test_two_persons_in_one_image_are_two_boxes_and_one_image(
    tmp_path: Path, subject: Subject, forwarded: list[int]
) -> None:
    write_images(tmp_path / "images")
    boxes: list[Box] = [(0, 0, 40, 41), (20, 1, 60, 41), (0, 0, 40, 40)]
    describes = describer(labelled(tmp_path / "images", ["3.png", "3.png", "0.png"], boxes))
    whole = describes.describe(subject, PLAIN, Region.image)
    assert sum(forwarded) == 2
    assert np.array_equal(whole[0], whole[1])
    found = describes.describe(subject, PLAIN, Region.box)
    assert sum(forwarded) == 2 + 3
    assert not np.allclose(found[0], found[1], rtol=0.1)


def test_what_was_computed_serves_every_data_set(
    tmp_path: Path, images: LabelledImages, subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = describer(images).describe(subject, FLIPPED, Region.image)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for old, new in (("4.png", "a.png"), ("1.png", "b.png")):
        (elsewhere / new).write_bytes((tmp_path / "images" / old).read_bytes())
    monkeypatch.setattr(inference, "predict", None)
    assert np.array_equal(describer(images).describe(subject, FLIPPED, Region.image), before)
    other = describer(labelled(elsewhere, ["a.png", "b.png"]))
    assert np.array_equal(other.describe(subject, FLIPPED, Region.image), before[[4, 1]])
    write_images(elsewhere, seed=1)
    with pytest.raises(TypeError):
        describer(labelled(elsewhere, ["a.png", "0.png"])).describe(subject, FLIPPED, Region.image)


def test_of_another_data_set_what_is_new_is_computed(
    tmp_path: Path, images: LabelledImages, subject: Subject, forwarded: list[int]
) -> None:
    describer(images).describe(subject, PLAIN, Region.image)
    write_images(tmp_path / "images/more", seed=1)
    both = labelled(tmp_path / "images", ["more/2.png", *images.samples.names(), "more/0.png"])
    found = describer(both).describe(subject, PLAIN, Region.image)
    assert sum(forwarded) == 5 + 2
    expected = [by_hand(subject, tmp_path / "images" / name, PLAIN) for name in both.samples.names()]
    assert_same_rows(found, np.array(expected))


@pytest.mark.parametrize(
    "changed", ["weights", "mean", "std", "order of channels", "padding", "side", "relu", "decoder"]
)
def test_other_weights_and_other_options_share_nothing(
    changed: str, images: LabelledImages, subject: Subject, forwarded: list[int]
) -> None:
    before = describer(images).describe(subject, PLAIN, Region.image)
    descriptor, decoder = PLAIN, Decoder.turbo
    match changed:
        case "weights":
            subject = replace(subject, of={"sha256": "1" * 64})
        case "mean":
            subject = replace(subject, preprocessing=Preprocessing([0.0, 0.0, 0.0]))
        case "std":
            subject = replace(subject, preprocessing=Preprocessing(MEAN, [60.0, 60.0, 60.0]))
        case "order of channels":
            subject = replace(subject, preprocessing=Preprocessing(MEAN, bgr=True))
        case "padding":
            net = make_net(padding="zeros")
            net.load_state_dict(subject.net.state_dict())
            subject = replace(subject, net=net, model=ModelConfig(depth=11, padding=Padding.zeros))
        case "side":
            descriptor = Descriptor(48, flip=False)
        case "relu":
            descriptor = Descriptor(40, flip=False, relu=False)
        case "decoder":
            decoder = Decoder.pillow
    after = describer(images, decoder=decoder).describe(subject, descriptor, Region.image)
    assert sum(forwarded) == 10
    assert np.array_equal(after, before) == (changed in ("weights", "decoder"))


def test_every_option_has_a_folder_of_its_own(subject: Subject) -> None:
    several = [
        *(Descriptor(40, flip=flip, relu=relu) for flip in (False, True) for relu in (False, True)),
        Descriptor(40, flip=False, precision=Precision.bf16),
        Descriptor(48, flip=False),
        Descriptor(32, flip=False),
        Descriptor(32, flip=False, pixels=True),
    ]
    places = {place_of(subject, descriptor, decoder) for descriptor in several for decoder in Decoder}
    assert len(places) == 2 * len(several)


def test_raw_pixels_are_of_no_weights(images: LabelledImages, subject: Subject, forwarded: list[int]) -> None:
    pixels = Descriptor(32, flip=False, pixels=True)
    before = describer(images).describe(subject, pixels, Region.image)
    other = replace(subject, net=make_net(depth=13), of={"sha256": "1" * 64})
    assert np.array_equal(describer(images).describe(other, pixels, Region.image), before)
    assert before.shape == (5, 3 * 32 * 32)
    assert sum(forwarded) == 5
    divided = replace(subject, preprocessing=Preprocessing(MEAN, [10.0, 20.0, 40.0]))
    after = describer(images).describe(divided, pixels, Region.image)
    assert np.allclose(10 * after[:, :1024], before[:, :1024], atol=0.01)


class KilledError(Exception):
    pass


@pytest.mark.parametrize("same", ["everything", "images", "weights"])
def test_a_killed_computation_goes_on_from_its_saved_shards(
    same: str, tmp_path: Path, images: LabelledImages, subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same images and weights."""
    undisturbed = replace(subject, folder=tmp_path / "undisturbed")
    expected = describer(images).describe(undisturbed, FLIPPED, Region.image)
    seen: list[int] = []
    original = inference.predict
    fatal = 3

    def predict(*arguments: Any) -> Tensor:
        if len(seen) == fatal:
            raise KilledError
        seen.append(len(arguments[-1]))
        return original(*arguments)

    monkeypatch.setattr(inference, "predict", predict)
    small = {"shard_size": 2, "batch_size": 2}
    with pytest.raises(KilledError):
        describer(images, **small).describe(subject, FLIPPED, Region.image)
    (shards,) = (place_of(subject, FLIPPED, Decoder.turbo) / SHARDS).iterdir()
    saved = inference.saved_images(shards)
    assert 0 < len(saved) < 5
    seen.clear()
    fatal = 100
    if same != "images":
        fewer = labelled(tmp_path / "images", images.samples.names()[:4])
        images = images if same == "everything" else fewer
    if same == "images":
        subject = replace(subject, of={"sha256": "1" * 64})
    found = describer(images, **small).describe(subject, FLIPPED, Region.image)
    assert sum(seen) == (5 - len(saved) if same == "everything" else len(images.samples))
    assert not (place_of(subject, FLIPPED, Decoder.turbo) / SHARDS).exists()
    assert np.allclose(found, expected[: len(found)], rtol=1e-4, atol=1e-4)
