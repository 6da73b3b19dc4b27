"""Reading the HDF5 files of keras.applications' VGG16 and VGG19, which are Oxford's weights in Keras's layout."""

import re
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

from vggsuite.errors import UserError
from vggsuite.files import DAMAGE, reason
from vggsuite.models.caffe import Layers

FC_NAMES = {"fc1": "fc6", "fc2": "fc7", "predictions": "fc8"}


def read_keras(path: Path) -> Layers:
    """The weight and bias of every layer, in torch's layout, under the paper's names (conv1_1, ..., fc8).

    Keras stores a convolution as [height, width, in, out] and an FC layer as [in, out], the first one over a map that
    was flattened with the channels last.

    Raises:
        UserError: for a file that has not those layers.
    """
    try:
        with h5py.File(path) as file:
            arrays = read_layers(file.get("model_weights", file))
        if FC_NAMES.keys() <= arrays.keys():
            return dict(convert(arrays))
    except DAMAGE as error:
        raise UserError(
            f"weights={path} cannot be read as Keras's VGG ({reason(error)}); allowed: the .h5 file that "
            "keras.applications downloads, with its top layers."
        ) from error
    raise UserError(
        f"weights={path} lacks the FC layers {', '.join(FC_NAMES)}; allowed: the file with its top layers "
        "(vgg16_weights_tf_dim_ordering_tf_kernels.h5)."
    )


def read_layers(group: h5py.Group) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Kernel and bias of every layer that has them, in the file's order."""
    found = {}
    for layer in map(as_text, group.attrs["layer_names"]):
        arrays = [group[layer][as_text(name)][()] for name in group[layer].attrs["weight_names"]]
        if len(arrays) == 2:
            found[layer] = (arrays[0], arrays[1])
    return found


def as_text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def convert(arrays: dict[str, tuple[np.ndarray, np.ndarray]]) -> list[tuple[str, tuple[Tensor, Tensor]]]:
    """The layers under the paper's names and in torch's layout."""
    layers, channels = [], 0
    for name, (kernel, bias) in arrays.items():
        if match := re.fullmatch(r"block(\d)_conv(\d)", name):
            name, weight = f"conv{match[1]}_{match[2]}", kernel.transpose(3, 2, 0, 1)
            channels = len(bias)
        elif name == "fc1":
            side = round((len(kernel) / channels) ** 0.5)
            maps = kernel.reshape(side, side, channels, -1)
            name, weight = FC_NAMES[name], maps.transpose(3, 2, 0, 1).reshape(len(bias), -1)
        else:
            name, weight = FC_NAMES.get(name, name), kernel.T
        layers.append((name, (torch.from_numpy(weight.copy()), torch.from_numpy(bias))))
    return layers
