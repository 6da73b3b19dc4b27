"""What each layer of a net does, and what it costs: found by following an image through the net's graph, on a device
that computes shapes alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, fx, nn
from torch.utils.flop_counter import FlopCounterMode

from vggsuite.models.fully_connected import SequentialNet


class ReceptiveField(NamedTuple):
    """What one place of a map sees.

    Attributes:
        size: the side in pixels of the square that it depends on, whether or not the image is so large.
        stride: between the squares of two neighbours, in pixels; None where there are no places any more.
    """

    size: int
    stride: int | None


@dataclass(frozen=True)
class Layer:
    """A layer.

    Attributes:
        name: the paper's (conv1_1, pool1, fc6), or the module's.
        kind: what it does, as "3x3 conv" or "2x2 max-pool, /2".
        shape: of what it makes of one image, without the batch's axis.
        parameters: how many it learns.
        multiply_adds: of one image's forward pass, of convolutions and FC layers.
        receptive_field: of one of its places.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    receptive_field: ReceptiveField

    @property
    def numbers(self) -> int:
        """How many numbers it makes of one image."""
        return math.prod(self.shape)


def layers_of(net: nn.Module, side: int, *, channels: int = 3) -> list[Layer]:
    """The layers of a net in the order in which they compute, less those that overwrite their input or are not there
    when a net is tested: ReLU and dropout.

    Args:
        net: on the device "meta".
        side: of a square image, in pixels.
        channels: of it.
    """
    tracer = LayerTracer(net.eval(), names_of(net))
    with torch.no_grad():
        tracer.run(torch.empty(1, channels, side, side, device="meta"))
    return tracer.layers


def names_of(net: nn.Module) -> dict[nn.Module, str]:
    """The names that a net gives its weight layers, and pools by their order where the net is a sequence; the modules'
    own of others."""
    names = {module: name for name, module in net.named_modules()}
    if isinstance(net, SequentialNet):
        pools = [module for module in net.features if isinstance(module, nn.MaxPool2d)]
        names |= {pool: f"pool{number}" for number, pool in enumerate(pools, start=1)}
        names |= {module: name for name, module in net.named_weight_layers()}
    return names


class WholeLayers(fx.Tracer):
    """Takes LRN, which is a subclass of ours, as the layer that it is."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, nn.LocalResponseNorm) or super().is_leaf_module(m, module_qualified_name)


class LayerTracer(fx.Interpreter):
    """Runs a net operation by operation, and notes what each is.

    Args:
        net: to be followed.
        names: of its modules.
    """

    def __init__(self, net: nn.Module, names: dict[nn.Module, str]) -> None:
        super().__init__(fx.GraphModule(net, WholeLayers().trace(net)))
        self.names = {name: names.get(module, name) for name, module in net.named_modules()}
        self.receptive_fields: dict[fx.Node, ReceptiveField] = {}
        self.layers: list[Layer] = []

    def run_node(self, n: fx.Node) -> Any:
        with FlopCounterMode(display=False) as counter:
            made = super().run_node(n)
        if n.op == "output" or not isinstance(made, Tensor):
            return made
        inputs = [cast(Tensor, self.env[each]) for each in n.all_input_nodes]
        module = self.fetch_attr(str(n.target)) if n.op == "call_module" else None
        field = self.receptive_fields[n] = self.receptive_field(n, module, inputs, made)
        if kind := kind_of(n, module):
            name = self.names[str(n.target)] if module else n.name
            parameters = sum(value.numel() for value in module.parameters()) if module else 0
            multiply_adds = int(counter.get_total_flops()) // 2
            self.layers.append(Layer(name, kind, tuple(made.shape[1:]), parameters, multiply_adds, field))
        return made

    def receptive_field(
        self, n: fx.Node, module: nn.Module | None, inputs: Sequence[Tensor], made: Tensor
    ) -> ReceptiveField:
        """What a place of what `n` has made sees."""
        if n.op == "placeholder":
            return ReceptiveField(1, 1)
        before = [self.receptive_fields[each] for each in n.all_input_nodes]
        size = max(each.size for each in before)
        stride = before[0].stride
        if stride is None or inputs[0].ndim != 4:
            return ReceptiveField(size, stride)
        if made.ndim != 4:  # each number depends on every place
            return ReceptiveField(size + (inputs[0].shape[-1] - 1) * stride, None)
        kernel, step = window(module, inputs[0].shape[-1], made.shape[-1])
        return ReceptiveField(size + (kernel - 1) * stride, stride * step)


def window(module: nn.Module | None, side: int, made: int) -> tuple[int, int]:
    """How many neighbours one place of `module` sees in a row of its input, and how far the next one's are from them.

    Args:
        module: a layer, or None.
        side: of its input's map.
        made: of its output's.
    """
    if isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        kernel, step, dilation = (one(getattr(module, name, 1)) for name in ("kernel_size", "stride", "dilation"))
        return (kernel - 1) * dilation + 1, step
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return side - (made - 1) * (side // made), side // made
    return 1, 1


def one(size: int | tuple[int, ...]) -> int:
    """The size of a square window, which layers have once or for both axes."""
    return size if isinstance(size, int) else size[0]


def kind_of(n: fx.Node, module: nn.Module | None) -> str | None:
    """What an operation does, None for what is no layer."""
    match module:
        case nn.Conv2d() | nn.MaxPool2d() | nn.AvgPool2d():
            what = {nn.Conv2d: "conv", nn.MaxPool2d: "max-pool", nn.AvgPool2d: "average pool"}[type(module)]
            kernel, step = one(module.kernel_size), one(module.stride)
            return f"{kernel}x{kernel} {what}{f', /{step}' if step > 1 else ''}"
        case nn.Linear():
            return "FC"
        case nn.AdaptiveAvgPool2d():
            return "average pool"
        case nn.LocalResponseNorm():
            return "LRN"
        case nn.BatchNorm2d():
            return "batch norm"
        case None if n.op in ("call_function", "call_method") and len(n.all_input_nodes) > 1:
            return {"add": "sum", "iadd": "sum", "cat": "concatenation"}.get(getattr(n.target, "__name__", ""))
    return type(module).__name__ if module and any(True for _ in module.parameters()) else None
