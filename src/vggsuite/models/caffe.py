"""Reading a .caffemodel, the form of Oxford's release, without Caffe.

A .caffemodel is a protocol buffer of type NetParameter (caffe.proto of BVLC Caffe). Only the fields that hold weights
are declared here; protobuf skips the others.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from torch import Tensor

from vggsuite.errors import UserError
from vggsuite.files import DAMAGE, reason

Layers = Mapping[str, tuple[Tensor, Tensor]]  # weight and bias by the paper's layer names

INT64, INT32, STRING, MESSAGE, BYTES = 3, 5, 9, 11, 12  # FieldDescriptorProto.Type
OPTIONAL, REPEATED = 1, 3  # FieldDescriptorProto.Label
# Message -> (field, number, type, label, message type). `data` is a packed array, which looks on the wire as bytes
# do: declared so, 500 MB of floats are one buffer instead of a hundred million objects.
FIELDS: dict[str, tuple[tuple[str, int, int, int, str], ...]] = {
    "BlobShape": (("dim", 1, INT64, REPEATED, ""),),
    "BlobProto": (
        ("num", 1, INT32, OPTIONAL, ""),
        ("channels", 2, INT32, OPTIONAL, ""),
        ("height", 3, INT32, OPTIONAL, ""),
        ("width", 4, INT32, OPTIONAL, ""),
        ("data", 5, BYTES, OPTIONAL, ""),
        ("shape", 7, MESSAGE, OPTIONAL, "BlobShape"),
    ),
    "V1LayerParameter": (("name", 4, STRING, OPTIONAL, ""), ("blobs", 6, MESSAGE, REPEATED, "BlobProto")),
    "LayerParameter": (("name", 1, STRING, OPTIONAL, ""), ("blobs", 7, MESSAGE, REPEATED, "BlobProto")),
    "NetParameter": (
        ("layers", 2, MESSAGE, REPEATED, "V1LayerParameter"),  # until 2014, as the release
        ("layer", 100, MESSAGE, REPEATED, "LayerParameter"),  # since
    ),
}


def net_parameter() -> Any:
    """An empty NetParameter message."""
    file = descriptor_pb2.FileDescriptorProto(name="weights_of_caffe.proto", package="caffe", syntax="proto2")
    for message, declared in FIELDS.items():
        described = file.message_type.add(name=message)
        for name, number, kind, label, message_type in declared:
            field = described.field.add(name=name, number=number, type=kind, label=label)
            if message_type:
                field.type_name = f".caffe.{message_type}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("caffe.NetParameter"))()


def read_caffemodel(path: Path) -> Layers:
    """The weight and bias of every layer that has both, under its name in the file, which in the release is the
    paper's (conv1_1, ..., fc8). Caffe's layout of them is torch's.

    Raises:
        UserError: for a file that holds none, or is cut short.
    """
    net, found = net_parameter(), {}
    try:
        net.ParseFromString(path.read_bytes())
        for layer in [*net.layers, *net.layer]:
            if len(layer.blobs) == 2:
                weight, bias = (array(blob, f"{path}, layer {layer.name}") for blob in layer.blobs)
                found[layer.name] = (weight, bias.flatten())
    except UserError:
        raise
    except (DecodeError, *DAMAGE) as error:
        raise UserError(f"weights={path} cannot be read as a .caffemodel ({reason(error)}); fetch it anew.") from error
    if not found:
        raise UserError(f"weights={path} holds no layer with weights; allowed: the .caffemodel of a trained net.")
    return found


def array(blob: Any, where: str) -> Tensor:
    """A blob's content: [out, in, height, width] of a convolution, [out, in] of an FC layer."""
    shape = list(blob.shape.dim) or [blob.num, blob.channels, blob.height, blob.width]
    if len(shape) == 4 and shape[:2] == [1, 1]:  # what the first versions made of a matrix
        shape = shape[2:]
    if len(blob.data) != 4 * np.prod(shape):
        raise UserError(f"weights={where} holds {len(blob.data)} bytes for a shape of {shape}; fetch the file anew.")
    return torch.from_numpy(np.frombuffer(blob.data, "<f4").reshape(shape).copy())
