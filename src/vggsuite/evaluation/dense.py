"""Dense evaluation (section 3.2): the FC layers as convolutions over the whole image, one map of class scores.

A convolution of the map's size is a matrix product with every patch of that size, and so are the 1x1 convolutions: the
FC layers stay the layers that they are, with their own weights, and act on all patches at once.
"""

from torch import Tensor
from torch.nn import functional as F

from vggsuite.models.net import ConvNet
from vggsuite.protocol import Average


def patches(maps: Tensor, side: int) -> Tensor:
    """Every square patch of `side` of feature maps [N, channels, H, W], flattened as the first FC layer takes it:
    [N, places, features], places row by row."""
    return F.unfold(maps, side).transpose(1, 2)


def score_map(net: ConvNet, images: Tensor) -> Tensor:
    """Class scores [N, classes, h, w] of whole images [N, 3, H, W], one for each place of the crop on the grid of the
    net's stride; of VGG h = floor(H / stride) - map_side + 1, which is floor(H / 32) - 6 for a 224-net, or each pool
    rounds up where the net pools with `ceil_mode`. Of a net that averages its maps: what its last layer says of each
    place before the average. `net` must be in eval mode."""
    maps = net.maps(images)
    height, width = (side - net.map_side + 1 for side in maps.shape[2:])
    scores: Tensor = net.last(net.hidden(patches(maps, net.map_side)))
    return scores.transpose(1, 2).unflatten(2, (height, width))


def penultimate(net: ConvNet, images: Tensor, *, relu: bool = True) -> Tensor:
    """What the last layer takes at each place, [N, places, D], of whole images [N, 3, H, W]: of three FC layers what
    the second says, before its ReLU or after it; of a net that averages its maps these. `net` must be in eval mode."""
    return net.hidden(patches(net.maps(images), net.map_side), relu=relu)


def dense_posteriors(net: ConvNet, images: Tensor, average: Average = Average.scores) -> Tensor:
    """Soft-max posteriors [N, classes], float32, of whole images [N, 3, H, W].

    Args:
        net: in eval mode.
        images: preprocessed.
        average: over places, of the scores before the soft-max, or of the posteriors after it.
    """
    hidden, last = penultimate(net, images), net.last
    if average == Average.posteriors:
        return last(hidden).float().softmax(dim=-1).mean(dim=1)
    scores: Tensor = last(hidden.mean(dim=1))  # linear, so it commutes with the mean over places
    return scores.float().softmax(dim=-1)
