"""Box regression (appendix A): a box as the numbers that a net learns, and back. Pure functions of tensors."""

import torch
from torch import Tensor
from torchvision.ops import box_area, box_convert

COORDINATES = 4  # centre x, centre y, width, height


def encoded(edges: Tensor, crop: int) -> Tensor:
    """Boxes [..., 4], as edges in pixels of the crop (left, top, right, bottom), as what the net regresses: the centre,
    from the middle of the crop, and width and height; all in sides of the crop."""
    boxes = box_convert(edges, "xyxy", "cxcywh") / crop
    return torch.cat([boxes[..., :2] - 0.5, boxes[..., 2:]], dim=-1)


def decoded(outputs: Tensor, crop: int) -> Tensor:
    """The inverse of `encoded`; a width or a height below zero is none."""
    boxes = torch.cat([outputs[..., :2] + 0.5, outputs[..., 2:].clamp(min=0)], dim=-1)
    return box_convert(boxes * crop, "cxcywh", "xyxy")


def of_classes(outputs: Tensor, classes: Tensor) -> Tensor:
    """What the net says of some classes: [N, K, 4] of `outputs` [N, 4 * classes] of per-class regression (PCR), or [N,
    4] of one for all (SCR), and int64 `classes` [N, K]."""
    boxes = outputs.unflatten(1, (-1, COORDINATES))
    if boxes.shape[1] == 1:
        return boxes.expand(-1, classes.shape[1], -1)
    return boxes.gather(1, classes[..., None].expand(-1, -1, COORDINATES))


def euclidean_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Half the squared Euclidean distance of boxes [N, 4], as `encoded`, averaged over them (Caffe's EuclideanLoss)."""
    return (outputs - targets).square().sum(dim=1).mean() / 2


def best_overlaps(edges: Tensor, truth: Tensor) -> Tensor:
    """Of boxes [N, 4], each one's largest intersection over union with one of the right boxes [N, K, 4] of its image,
    which are not numbers where there are fewer: [N]."""
    known = truth.nan_to_num()  # a box without an area overlaps none
    low, high = torch.maximum(edges[:, None, :2], known[..., :2]), torch.minimum(edges[:, None, 2:], known[..., 2:])
    shared = (high - low).clamp(min=0).prod(dim=-1)
    union = box_area(edges)[:, None] + box_area(known.flatten(0, 1)).view_as(shared) - shared
    return (shared / union.clamp(min=torch.finfo(union.dtype).tiny)).amax(dim=1)
