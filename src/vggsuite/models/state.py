"""State dicts under torchvision's parameter names: whether one is of a net, and if not, where it differs first."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from vggsuite.errors import UserError
from vggsuite.models.net import ConvNet

REMEDY = "type the model=... of these weights, and the data=... or data.crop=... of their crop"


def module_names(net: ConvNet) -> dict[str, str]:
    """torchvision's name of each weight layer under the paper's: "features.0" for "conv1_1"."""
    names = {id(module): name for name, module in net.named_modules()}
    return {paper_name: names[id(layer)] for paper_name, layer in net.named_weight_layers()}


def digest(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of all parameters, in their order."""
    found = hashlib.sha256()
    for value in state.values():
        found.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def require_tensors(state: Mapping[Any, Any]) -> None:
    """Make sure that `state`, from a file, is what a net's parameters can be copied from.

    Raises:
        ValueError: naming an entry that is not.
    """
    for name, value in state.items():
        dense = isinstance(value, Tensor) and value.layout == torch.strided and not value.is_quantized
        # Strides of 0 make numbers without end of one.
        if not (isinstance(name, str) and dense and value.untyped_storage().nbytes() >= value.nbytes):
            raise ValueError(f"{name!r} is no plain tensor")


def num_classes(state: Mapping[str, Tensor], last_name: str) -> int:
    """The number of outputs of the net that has these parameters, and whose last layer is called so."""
    last = state.get(f"{last_name}.bias")
    if last is None:
        raise UserError(
            f"the weights have no {last_name}.bias, the last layer's, whose outputs are the classes; allowed: a state "
            f"dict under torchvision's names, without a prefix, of this net ({REMEDY})."
        )
    if last.ndim != 1:
        raise UserError(f"the weights have a {last_name}.bias of shape {list(last.shape)}; allowed: a number a class.")
    return len(last)


def first_difference(net: ConvNet, state: Mapping[str, Tensor]) -> str | None:
    """The first layer, from the image on, in which `state` is not of `net`, and how they differ; None if it fits."""
    paper_names = {module: paper_name for paper_name, module in module_names(net).items()}
    own = net.state_dict()
    modules = list(dict.fromkeys(name.partition(".")[0] for name in own))
    for name in sorted(own.keys() | state.keys(), key=lambda name: from_the_image_on(name, modules)):
        if name.endswith("num_batches_tracked"):
            continue
        sides = [f"{list(side[name].shape)}" if name in side else "nothing" for side in (own, state)]
        if sides[0] != sides[1]:
            module = name.rpartition(".")[0]
            layer = paper_names.get(module, module or name)
            return f"{layer} ({name}): the net has {sides[0]} there, the weights {sides[1]}"
    return None


def from_the_image_on(name: str, modules: Sequence[str]) -> tuple[Any, ...]:
    """A parameter's place in a net of such `modules`, in their order: layers by their numbers, the weight first."""
    module, _, parameter = name.rpartition(".")
    first, *rest = module.split(".")
    numbers = [(part.isdigit(), int(part) if part.isdigit() else part) for part in rest]
    return modules.index(first) if first in modules else len(modules), first, numbers, parameter != "weight"


def require_fit(net: ConvNet, state: Mapping[str, Tensor], source: str, *, remedy: str = REMEDY) -> None:
    """Make sure that `state` is of a net like `net`.

    Raises:
        UserError: naming the first layer that differs.
    """
    if difference := first_difference(net, state):
        raise UserError(f"{source} is of another net, first in {difference}; {remedy}.")


def fill(net: ConvNet, state: Mapping[str, Tensor], source: str, *, remedy: str = REMEDY) -> None:
    """Give `net` the weights `state`; raises as `require_fit`."""
    require_fit(net, state, source, remedy=remedy)
    net.load_state_dict(state, strict=False)  # older files lack batch norm's counters
