"""From the factors of a net to the net."""

from collections.abc import Mapping

import torch
from torch import Tensor

from vggsuite.config import Family, ModelConfig
from vggsuite.models.alexnet import AlexNet
from vggsuite.models.factors import arguments_of, check_model
from vggsuite.models.googlenet import GoogLeNet
from vggsuite.models.net import ConvNet
from vggsuite.models.resnet import ResNet
from vggsuite.models.state import num_classes
from vggsuite.models.vgg import VGG

FAMILIES: dict[Family, type[ConvNet]] = {
    Family.vgg: VGG,
    Family.alexnet: AlexNet,
    Family.googlenet: GoogLeNet,
    Family.resnet: ResNet,
}


def build_net(model: ModelConfig, *, num_classes: int = 1000, crop: int = 224) -> ConvNet:
    """The net of a model, its weights not yet drawn.

    Raises:
        UserError: for a combination that no net has.
    """
    check_model(model)
    return FAMILIES[model.family](**arguments_of(model), num_classes=num_classes, crop=crop)


def net_for(state: Mapping[str, Tensor], model: ModelConfig, crop: int) -> ConvNet:
    """The net of a model with as many classes as `state`, of such a net, has.

    Raises:
        UserError: where that cannot be told.
    """
    with torch.device("meta"):
        outline = build_net(model, crop=crop)
    return build_net(model, num_classes=num_classes(state, outline.last_name), crop=crop)
