"""Dense evaluation (section 3.2): the FC layers as convolutions over the whole image, one map of class scores."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vggsuite.data.preprocessing import Preprocessing
from vggsuite.models.vgg import VGG


def score_map(net: VGG, images: Tensor) -> Tensor:
    """Class scores [N, classes, h, w] of whole images [N, 3, H, W], one for each place of the crop on the grid of the
    net's stride: h = floor(H / stride) - map_side + 1, which is floor(H / 32) - 6 for a 224-net.

    The first FC layer is applied as a map_side x map_side convolution, the others as 1x1; the weights are the net's
    own, viewed in another shape. `net` must be in eval mode.
    """
    maps: Tensor = net.features(images)
    for layer in net.classifier:
        if isinstance(layer, nn.Linear):
            side = layer.in_features // maps.shape[1]  # map_side squared for the first, 1 for the others
            side = round(side**0.5)
            maps = F.conv2d(maps, layer.weight.view(layer.out_features, -1, side, side), layer.bias)
        else:
            maps = layer(maps)
    return maps


def dense_posteriors(net: VGG, images: Tensor, *, flip: bool, average: str = "scores") -> Tensor:
    """Soft-max posteriors [N, classes] of whole images [N, 3, H, W].

    Args:
        net: in eval mode.
        images: preprocessed.
        flip: average the posteriors with those of the horizontally flipped images.
        average: over places, the "scores" before the soft-max (the paper's words, read literally) or the
            "posteriors" after it.
    """
    views = (images, images.flip(-1)) if flip else (images,)
    return torch.stack([averaged(score_map(net, view), average) for view in views]).mean(0)


def averaged(scores: Tensor, average: str) -> Tensor:
    """Posteriors [N, classes] of score maps [N, classes, h, w]."""
    if average == "posteriors":
        return scores.softmax(dim=1).mean(dim=(2, 3))
    return scores.mean(dim=(2, 3)).softmax(dim=1)


@torch.inference_mode()
def predict(
    net: VGG,
    preprocessing: Preprocessing,
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    num_images: int,
    num_classes: int,
    device: torch.device,
    flip: bool,
    average: str,
) -> Tensor:
    """Dense posteriors [num_images, num_classes] of a whole data set, float32 on the CPU, in the data set's order.

    Args:
        batches: (uint8 pixels [N, 3, H, W], indices [N]) in any order, each index at least once.

    Raises:
        RuntimeError: where an image did not come, or its scores are no numbers.
    """
    posteriors = torch.full((num_images, num_classes), torch.nan)
    net.eval()
    for pixels, indices in batches:
        images = preprocessing(pixels.to(device, non_blocking=True)).contiguous(memory_format=torch.channels_last)
        posteriors[indices] = dense_posteriors(net, images, flip=flip, average=average).float().cpu()
    if posteriors.isnan().any():
        raise RuntimeError(
            f"{int(posteriors.isnan().any(dim=1).sum())} of {num_images} images have no finite posteriors"
        )
    return posteriors
