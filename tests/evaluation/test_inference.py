"""Forward passes over a data set: exact, and the same however they are batched and shared out."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.vgg import make_layers
from torchvision.transforms import functional as TF

from tests.evaluation.conftest import MEAN, MakeEvaluator, make_net, noise, temper
from vggsuite.data.layouts import ImageSet
from vggsuite.data.preprocessing import Preprocessing
from vggsuite.errors import UserError
from vggsuite.evaluation import inference
from vggsuite.evaluation.inference import Posteriors, predict, prepare, vectors
from vggsuite.models.vgg import VGG
from vggsuite.protocol import Method, Precision, Protocol
from vggsuite.results.predictions import load_posteriors, load_truth

CROPS = (Method.multi_crop, Method.ten_crop, Method.centre_crop)


@torch.inference_mode()
def averaged(net: VGG, images: Tensor, method: Method, *, flip: bool = True) -> Tensor:
    return vectors(net, images, Posteriors(Protocol(method, (0,), flip=flip)), torch.arange(len(images)))


@pytest.mark.parametrize("method", [Method.dense, *CROPS])
def test_an_image_of_the_crops_size_is_the_forward_pass(method: Method) -> None:
    net, crops = make_net(), noise(4, 3, 32, 32)
    with torch.inference_mode():
        expected = net(crops).softmax(dim=1)
    assert torch.allclose(averaged(net, crops, method, flip=False), expected, atol=1e-6)


@pytest.mark.parametrize("method", [Method.dense, *CROPS])
def test_averaged_flips_do_not_tell_an_image_from_its_mirror_image(method: Method) -> None:
    net, images = make_net(), noise(2, 3, 41, 52)
    mirrored = images.flip(-1)
    assert torch.allclose(averaged(net, images, method), averaged(net, mirrored, method), atol=1e-6)
    plain, of_mirrored = (averaged(net, side, method, flip=False) for side in (images, mirrored))
    assert not torch.allclose(plain, of_mirrored, atol=1e-4)


@pytest.mark.parametrize("method", CROPS)
def test_of_a_constant_image_all_crops_are_the_centre_crop(method: Method) -> None:
    net, image = make_net(), torch.full((1, 3, 50, 61), 40.0)
    expected = net(image[..., 9:41, 14:46]).softmax(dim=1)
    assert torch.allclose(averaged(net, image, method), expected, atol=1e-6)


def test_bf16_is_near_fp32() -> None:
    pixels = torch.randint(0, 256, (6, 3, 40, 52), dtype=torch.uint8)
    found = {}
    for precision in (Precision.fp32, Precision.bf16):
        net, protocol = make_net(), Protocol(Method.dense, (40,), flip=True, precision=precision)
        prepare(net, Posteriors(protocol), torch.device("cpu"))
        found[precision] = predict(net, Preprocessing(MEAN), Posteriors(protocol), pixels, torch.arange(len(pixels)))
    assert found[Precision.bf16].dtype == torch.float32
    assert torch.allclose(found[Precision.bf16], found[Precision.fp32], atol=0.1)
    assert not torch.equal(found[Precision.bf16], found[Precision.fp32])


def test_scores_that_are_no_numbers_are_no_prediction() -> None:
    net = make_net()
    nn.init.constant_(net.classifier[6].weight, torch.nan)  # type: ignore[arg-type]
    forward = Posteriors(Protocol(Method.dense, (40,), flip=False))
    with pytest.raises(RuntimeError, match="is not finite"):
        predict(net, Preprocessing(MEAN), forward, torch.zeros(1, 3, 40, 40), torch.zeros(1, dtype=torch.int64))


@pytest.mark.parametrize("changes", [{"batch_size": 1}, {"batch_size": 1000}, {"shard_size": 2}, {"num_workers": 2}])
@pytest.mark.parametrize("method", [Method.dense, Method.multi_crop])
def test_the_result_does_not_depend_on_how_the_work_is_shared_out(
    method: Method, changes: dict[str, Any], make_evaluator: MakeEvaluator
) -> None:
    protocol = Protocol(method, (40,), flip=True)
    expected, other = make_evaluator("usual"), make_evaluator("other", **changes)
    records = [evaluator.evaluate(protocol) for evaluator in (expected, other)]
    first, second = (load_posteriors(evaluator.folder(protocol)) for evaluator in (expected, other))
    assert np.allclose(first, second, rtol=5e-3)
    assert records[1].metrics == records[0].metrics
    assert records[1].metrics["num_images"] == 15
    assert load_truth(other.folder(protocol)).names.tolist() == other.images.val.names()


def test_batches_have_one_shape_and_as_many_pixels_as_asked_for(make_evaluator: MakeEvaluator, tmp_path: Path) -> None:
    evaluator = make_evaluator(batch_size=10)
    task = evaluator.task(Protocol(Method.dense, (40,), flip=True), tmp_path)
    batches = inference.shape_batches(task, range(15))
    assert sorted(index for batch in batches for index in batch) == list(range(15))
    for batch in batches:
        ((width, height),) = {inference.rescaled_size(*evaluator.sizes[index], 40) for index in batch}
        assert len(batch) * 2 * width * height <= 10 * 32 * 32
    assert max(map(len, batches)) == 3


def test_shards_that_lack_an_image_are_no_result(tmp_path: Path) -> None:
    inference.save_shard(tmp_path, list(torch.rand(2, 3)), [0, 2])
    with pytest.raises(UserError, match="hold 2 of 3 images"):
        inference.collect(tmp_path, 3)


def test_an_image_in_two_shards_counts_once(tmp_path: Path) -> None:
    found = torch.rand(3, 4)
    inference.save_shard(tmp_path, list(found[[2, 0]]), [2, 0])
    inference.save_shard(tmp_path, list(found[[1, 2]]), [1, 2])
    assert torch.equal(inference.collect(tmp_path, 3), found)


def test_rounded_weights_are_not_passed_off_as_fp32() -> None:
    net = make_net()
    for precision in (Precision.bf16, Precision.bf16):
        prepare(net, Posteriors(Protocol(Method.dense, (40,), flip=True, precision=precision)), torch.device("cpu"))
    with pytest.raises(ValueError, match="load them anew for fp32"):
        prepare(net, Posteriors(Protocol(Method.dense, (40,), flip=True)), torch.device("cpu"))


# A straightforward second implementation, on torchvision's own net and transforms.

CFG: list[str | int] = [8, "M", 16, "M", 32, 32, "M", 64, 64, "M", 64, 64, "M"]


def torchvision_net() -> nn.Module:
    """torchvision's vgg11 at an eighth of its width, with random weights."""
    torch.manual_seed(1)
    features = make_layers(CFG)
    classifier = nn.Sequential(
        *(nn.Linear(64 * 49, 512), nn.ReLU(), nn.Dropout(), nn.Linear(512, 512), nn.ReLU(), nn.Dropout()),
        nn.Linear(512, 3),
    )
    net = nn.Sequential()
    net.add_module("features", features)
    net.add_module("classifier", classifier)
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
    temper(net.eval(), 224)
    return net


def reference_pixels(path: str, side: int) -> Tensor:
    with Image.open(path) as image:
        resized = TF.resize(image.convert("RGB"), [side])
    return TF.pil_to_tensor(resized).float()[None] - torch.tensor(MEAN).view(3, 1, 1)


def reference_dense(net: Any, image: Tensor) -> Tensor:
    first, second, last = net.classifier[0], net.classifier[3], net.classifier[6]
    maps = F.relu(F.conv2d(net.features(image), first.weight.reshape(-1, 64, 7, 7), first.bias))
    maps = F.relu(F.conv2d(maps, second.weight[:, :, None, None], second.bias))
    maps = F.conv2d(maps, last.weight[:, :, None, None], last.bias)
    return maps.mean(dim=(2, 3)).softmax(dim=1)


def reference_crops(net: Any, image: Tensor) -> Tensor:
    total, (height, width) = torch.zeros(1, 3), image.shape[2:]
    for row in range(5):
        for column in range(5):
            top, left = round(row * (height - 224) / 4), round(column * (width - 224) / 4)
            crop = image[:, :, top : top + 224, left : left + 224]
            total += net.classifier(net.features(crop).flatten(1)).softmax(dim=1) / 25
    return total


@torch.inference_mode()
@pytest.mark.parametrize(
    ("method", "reference"), [(Method.dense, reference_dense), (Method.multi_crop, reference_crops)]
)
def test_figures_equal_those_of_an_independent_reference(
    method: Method, reference: Any, images: ImageSet, make_evaluator: MakeEvaluator
) -> None:
    theirs = torchvision_net()
    net = VGG(11, num_classes=3, width=1 / 8)
    net.load_state_dict(theirs.state_dict())
    scales = (232, 256) if method == Method.dense else (232,)
    expected = []
    few = replace(images, val=images.val.take(range(0, len(images.val), 3)))
    for path in map(few.val.location, range(len(few.val))):
        views = [reference_pixels(path, side) for side in scales]
        views += [view.flip(-1) for view in views]
        expected.append(torch.stack([reference(theirs, view) for view in views]).mean(dim=0))
    evaluator = make_evaluator(net=net, images=few)
    protocol = Protocol(method, scales, flip=True)
    record = evaluator.evaluate(protocol)
    found = torch.from_numpy(load_posteriors(evaluator.folder(protocol)))
    assert torch.allclose(found, torch.cat(expected), rtol=5e-3)
    wrong = (torch.cat(expected).argmax(dim=1) != torch.tensor(few.val.labels)).sum()
    assert record.metrics["top1_error"] == pytest.approx(100 * wrong.item() / 5)
