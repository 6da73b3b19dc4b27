"""Published weights: every form of file gives the net that was written into it, and tells its preprocessing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import h5py
import numpy as np
import pytest
import torch
from torchvision.models import VGG11_Weights, VGG16_Weights

from vggsuite.config import ModelConfig
from vggsuite.data.preprocessing import Preprocessing
from vggsuite.errors import UserError
from vggsuite.models.convert_weights import convert
from vggsuite.models.initialisation import draw_weights
from vggsuite.models.state import fill, first_difference, module_names, num_classes
from vggsuite.models.vgg import VGG
from vggsuite.models.weights import PREPROCESSINGS, Weights, load_weights, taking_rgb

Write = Callable[[VGG, Path], None]


def make_net(depth: int = 16, num_classes: int = 6) -> VGG:
    torch.manual_seed(depth)
    net = VGG(depth, num_classes=num_classes, width=1 / 32)
    draw_weights(net, "kaiming")
    for _, layer in net.named_weight_layers():
        torch.nn.init.normal_(layer.bias)  # type: ignore[arg-type]
    return net.eval()


def varint(number: int) -> bytes:
    """A number as protocol buffers write it."""
    return bytes([number]) if number < 128 else bytes([number % 128 + 128]) + varint(number // 128)


def block(field: int, content: bytes) -> bytes:
    """A field of strings, messages and packed numbers."""
    return varint(field << 3 | 2) + varint(len(content)) + content


def number(field: int, value: int) -> bytes:
    """A field of one whole number."""
    return varint(field << 3) + varint(value)


def write_caffemodel(net: VGG, file: Path, *, first_version: bool = True) -> None:
    """By the field numbers of caffe.proto, with a net's name, layers without weights and fields that we do not read."""
    name_field, blobs_field, layers_field = (4, 6, 2) if first_version else (1, 7, 100)
    content = block(1, b"a net") + block(layers_field, block(name_field, b"relu1_1") + number(5, 18))
    for name, layer in net.named_weight_layers():
        assert layer.bias is not None
        written = block(name_field, name.encode())
        for parameter in (layer.weight, layer.bias):
            if first_version:
                shape = [1] * (4 - parameter.ndim) + list(parameter.shape)
                blob = b"".join(number(field, side) for field, side in enumerate(shape, start=1))
            else:
                blob = block(7, block(1, b"".join(map(varint, parameter.shape))))
            written += block(blobs_field, blob + block(5, parameter.detach().numpy().astype("<f4").tobytes()))
        content += block(layers_field, written)
    file.write_bytes(content)


def write_caffemodel_of_today(net: VGG, file: Path) -> None:
    write_caffemodel(net, file, first_version=False)


def write_keras(net: VGG, file: Path) -> None:
    """As keras.applications' files: kernels with channels last, and fc1 over a map with channels last."""
    keras_names = {"fc6": "fc1", "fc7": "fc2", "fc8": "predictions"}
    names, channels = [], 0
    with h5py.File(file, "w") as content:
        for paper_name, layer in net.named_weight_layers():
            name = keras_names.get(paper_name) or f"block{paper_name[4]}_conv{paper_name[-1]}"
            weight = layer.weight.detach().numpy()
            if weight.ndim == 4:
                kernel, channels = weight.transpose(2, 3, 1, 0), len(weight)
            elif name == "fc1":
                kernel = weight.reshape(len(weight), channels, 7, 7).transpose(2, 3, 1, 0).reshape(-1, len(weight))
            else:
                kernel = weight.T
            group = content.create_group(name)
            assert layer.bias is not None
            for suffix, array in (("W_1:0", kernel), ("b_1:0", layer.bias.detach().numpy())):
                group[f"{name}_{suffix}"] = array
            group.attrs["weight_names"] = np.array([f"{name}_W_1:0".encode(), f"{name}_b_1:0".encode()])
            names.append(name.encode())
            if name == "block1_conv2":
                content.create_group("block1_pool").attrs["weight_names"] = np.array([], dtype="S1")
                names.append(b"block1_pool")
        content.attrs["layer_names"] = np.array(names)


def write_torch(net: VGG, file: Path) -> None:
    torch.save(net.state_dict(), file)


@pytest.mark.parametrize(
    ("write", "name", "asked", "preprocessing"),
    [
        (write_caffemodel, "VGG_ILSVRC_16_layers.caffemodel", None, "oxford"),
        (write_caffemodel_of_today, "mine.caffemodel", None, "oxford"),
        (write_keras, "vgg16_weights_tf_dim_ordering_tf_kernels.h5", None, "oxford"),
        (write_torch, "mine.pt", "torchvision", "torchvision"),
        (write_torch, "vgg16-397923af.pth", None, "torchvision"),
        (write_torch, "vgg16-397923af.pth", "paper", "paper"),
    ],
)
def test_every_form_gives_the_net_that_was_written(
    write: Write, name: str, asked: str | None, preprocessing: str, tmp_path: Path
) -> None:
    net, file = make_net(), tmp_path / name
    write(net, file)
    weights = load_weights(str(file), net, asked)
    assert weights.preprocessing == PREPROCESSINGS[preprocessing]
    other = VGG(16, num_classes=num_classes(weights.state, net.last_name), width=1 / 32).eval()
    fill(other, weights.state, name)
    crops = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        assert torch.allclose(other(crops), net(crops), rtol=1e-5)
    if "16_" in name or (asked is None and preprocessing == "torchvision"):
        assert weights.figures
        assert {"method", "scales", "source"} <= weights.figures[0].keys()


def test_a_converted_file_carries_its_preprocessing_and_figures(tmp_path: Path) -> None:
    net, file = make_net(), tmp_path / "VGG_ILSVRC_16_layers.caffemodel"
    write_caffemodel(net, file)
    convert(file, tmp_path / "vgg16.pt", ModelConfig(depth=16, width=1 / 32))
    before, after = (load_weights(str(path), net, None) for path in (file, tmp_path / "vgg16.pt"))
    assert after.preprocessing == before.preprocessing == PREPROCESSINGS["oxford"]
    assert after.figures == before.figures
    assert (after.name, after.sha256()) == (before.name, before.sha256())


def test_the_digest_is_of_every_parameter() -> None:
    net = VGG(11, num_classes=3, width=1 / 32, batch_norm=True)
    digests = {Weights("before", net.state_dict(), {}).sha256()}
    for name, value in net.state_dict().items():
        if name in ("features.1.num_batches_tracked", "features.0.weight", "classifier.6.bias"):
            value += 1
            digests.add(Weights(name, net.state_dict(), {}).sha256())
    assert len(digests) == 4
    half = {name: value.bfloat16() for name, value in net.state_dict().items()}
    assert Weights("half", half, {}).sha256() not in digests


def test_layers_are_named_as_in_torchvision() -> None:
    names = module_names(make_net(16))
    assert names["conv1_1"] == "features.0"
    assert names["conv5_3"] == "features.28"
    assert names["fc8"] == "classifier.6"


def test_weights_of_another_net_are_told_by_the_first_layer_that_differs() -> None:
    net = make_net(16)
    assert first_difference(net, net.state_dict()) is None
    assert str(first_difference(net, make_net(19).state_dict())).startswith("features.16 (features.16.weight): ")
    wider = VGG(16, num_classes=6, width=1 / 16).state_dict()
    assert "conv1_1 (features.0.weight): the net has [2, 3, 3, 3] there, the weights [4, 3, 3, 3]" in str(
        first_difference(net, wider)
    )
    with pytest.raises(UserError, match="is of another net, first in fc8"):
        fill(net, make_net(16, num_classes=7).state_dict(), "these")


def test_a_deeper_caffemodel_is_told_by_its_own_layers_name(tmp_path: Path) -> None:
    write_caffemodel(make_net(19), tmp_path / "19.caffemodel")
    net = make_net(16)
    state = load_weights(str(tmp_path / "19.caffemodel"), net, None).state
    assert str(first_difference(net, state)).startswith("conv3_4 (conv3_4.weight): the net has nothing there")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("nowhere.pth", "is no file"),
        ("/some/where", "is no file"),
        ("vgg17", "is neither a file nor one of torchvision's"),
        ("VGG16_Weights.IMAGENET1K_V9", "is neither a file nor one of torchvision's"),
        ("VGG16_Weights.IMAGENET1K_FEATURES", "has no classifier"),
        ("vgg19", "is neither a file nor one of torchvision's"),
        ("ResNet18_Weights.IMAGENET1K_V1", "is neither a file nor one of torchvision's"),
    ],
)
def test_what_is_not_there_is_told(source: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        load_weights(source, make_net(), None)


@pytest.mark.parametrize("suffix", [".pth", ".caffemodel", ".h5"])
@pytest.mark.parametrize("content", [b"", b"no weights at all"])
def test_a_damaged_file_is_told(suffix: str, content: bytes, tmp_path: Path) -> None:
    file = tmp_path / f"broken{suffix}"
    file.write_bytes(content)
    with pytest.raises(UserError, match=str(file)):
        load_weights(str(file), make_net(), "paper")


@pytest.mark.parametrize("content", [[1, 2], torch.zeros(3), {"a": torch.zeros(1)}, {"a": 3}, {"preprocessing": {}}])
def test_a_torch_file_of_something_else_is_told(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"no state dict|no classifier\.6\.bias"):
        num_classes(load_weights(str(tmp_path / "other.pth"), make_net(), "paper").state, "classifier.6")


def test_the_file_of_features_alone_is_refused(tmp_path: Path) -> None:
    write_torch(make_net(), tmp_path / "vgg16_features-amdegroot-88682ab5.pth")
    with pytest.raises(UserError, match="has no classifier"):
        load_weights(str(tmp_path / "vgg16_features-amdegroot-88682ab5.pth"), make_net(), None)


def test_a_figure_is_not_that_of_another_preprocessing(tmp_path: Path) -> None:
    write_caffemodel(make_net(), tmp_path / "VGG_ILSVRC_16_layers.caffemodel")
    assert load_weights(str(tmp_path / "VGG_ILSVRC_16_layers.caffemodel"), make_net(), "paper").figures == []


def test_a_truncated_caffemodel_is_told(tmp_path: Path) -> None:
    file = tmp_path / "cut.caffemodel"
    write_caffemodel(make_net(), file)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"cut\.caffemodel cannot be read as a \.caffemodel"):
        load_weights(str(file), make_net(), None)


def test_a_torch_file_that_does_not_tell_its_preprocessing_is_refused(tmp_path: Path) -> None:
    write_torch(make_net(), tmp_path / "mine.pth")
    with pytest.raises(UserError, match=r"preprocessing=paper\|torchvision\|oxford"):
        load_weights(str(tmp_path / "mine.pth"), make_net(), None)


@pytest.mark.parametrize("source", ["DEFAULT", "vgg16", "IMAGENET1K_V1", "VGG16_Weights.IMAGENET1K_V1"])
def test_torchvisions_names_bring_torchvisions_figure(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VGG16_Weights, "get_state_dict", lambda self, **_: make_net().state_dict())
    weights = load_weights(source, make_net(), None)
    assert weights.name == "VGG16_Weights.IMAGENET1K_V1"
    assert weights.preprocessing == PREPROCESSINGS["torchvision"]
    assert weights.classes is not None
    assert weights.classes[0] == "tench"
    assert weights.figures == [
        {"method": "centre_crop", "scales": [256], "top1": 28.408, "top5": 9.618, "source": "torchvision"}
    ]


def test_without_a_network_the_file_to_fetch_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(self: VGG11_Weights, **_: object) -> None:
        raise URLError("no route")

    monkeypatch.setattr(VGG11_Weights, "get_state_dict", no_network)
    with pytest.raises(UserError, match=r"fetch https://.*vgg11-8a719046.pth by other means"):
        load_weights("vgg11", make_net(11), None)


@pytest.mark.parametrize("factors", [{"depth": 16, "conv1x1": True}, {"depth": 11, "lrn": True}, {"depth": 8}])
def test_nets_that_torchvision_has_not_are_told_before_any_download(factors: dict[str, Any]) -> None:
    for source in ("DEFAULT", "vgg16"):
        with pytest.raises(UserError, match=r"for this net; allowed: a .pth, .pt, .caffemodel, .h5 file\.$"):
            load_weights(source, VGG(**factors, num_classes=3, width=1 / 32), None)


SCALED: dict[str, dict[str, Any]] = {
    **PREPROCESSINGS,
    "both": {"mean": [1.0, 2.0, 3.0], "std": [50.0, 60.0, 70.0], "bgr": True},
}


@pytest.mark.parametrize("preprocessing", SCALED)
def test_the_order_of_channels_may_be_in_the_first_convolution(preprocessing: str) -> None:
    given = SCALED[preprocessing]
    nets = [VGG(11, num_classes=6, width=1 / 16, crop=32, num_pools=3).eval() for _ in range(2)]
    draw_weights(nets[0], "kaiming")
    weights = taking_rgb(Weights("theirs", nets[0].state_dict(), given), nets[0])
    assert weights.preprocessing == {name: value for name, value in given.items() if name != "bgr"}
    nets[1].load_state_dict(weights.state)
    pixels = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    with torch.inference_mode():
        expected, found = (
            net(Preprocessing(**given_to)(pixels))
            for net, given_to in zip(nets, (given, weights.preprocessing), strict=True)
        )
    assert (found - expected).norm() <= 1e-4 * expected.norm()
    assert (expected[1:] - expected[:1]).norm() > 1e-2 * expected.norm()
