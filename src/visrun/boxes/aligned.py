"""Axis-aligned boxes (xyxy): overlaps, and what an image's edge leaves of them.

Leading dimensions broadcast: ``iou(a[:, None], b)`` is (N, M).
"""

from __future__ import annotations

from math import pi

import torch
from torch import Tensor

from visrun.boxes.numbers import ratio, wide


def clip_xyxy(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """(..., 4) xyxy cut to an image of ``size`` (height, width); boxes outside end up with no area on its edge."""
    height, width = size
    x0, y0, x1, y1 = wide(boxes).unbind(-1)
    return torch.stack([x0.clamp(0, width), y0.clamp(0, height), x1.clamp(0, width), y1.clamp(0, height)], -1)


def box_area(boxes: Tensor) -> Tensor:
    """(..., 4) xyxy -> (...); a box turned inside out has none."""
    return _product(_sides(boxes))


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union, in [0, 1]; 0 where neither box has an area.

    Args:
        a: (..., 4) xyxy.
        b: (..., 4) xyxy, leading dimensions broadcast with those of ``a``.
    """
    return ratio(*_areas(a, b))


def overlap_share(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over the area of ``a``, in [0, 1]: how COCO matches detections ``a`` to crowds ``b``."""
    return ratio(_intersection(a, b), box_area(a))


def giou(a: Tensor, b: Tensor) -> Tensor:
    """IoU less the share of the hull that neither covers, in (-1, 1] (Rezatofighi et al. 2019, arXiv 1902.09630)."""
    intersection, union = _areas(a, b)
    hull = _product(_hull(a, b))
    return ratio(intersection, union) - ratio(hull - union, hull)


def diou(a: Tensor, b: Tensor) -> Tensor:
    """IoU less the squared distance of the centres over that of the hull's corners (arXiv 1911.08287, eq. 6 and 7)."""
    a, b = wide(a), wide(b)
    apart = (a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]).square().sum(-1) / 4
    return iou(a, b) - ratio(apart, _hull(a, b).square().sum(-1))


def ciou(a: Tensor, b: Tensor) -> Tensor:
    """DIoU less the difference of the aspect ratios (Zheng et al. 2020, arXiv 1911.08287, eq. 8 to 11).

    The weight of that term is a constant to the gradient, as in the paper's code. Symmetric.
    """
    (w, h), (v, g) = _sides(a).unbind(-1), _sides(b).unbind(-1)
    aspect = 4 / pi**2 * (_atan_ratio(w, h) - _atan_ratio(v, g)).square()
    with torch.no_grad():
        weight = ratio(aspect, 1 - iou(a, b) + aspect)
    return diou(a, b) - weight * aspect


def _atan_ratio(w: Tensor, h: Tensor) -> Tensor:
    """atan(w / h), 0 for a point, whose gradient atan2 does not have."""
    point = (w == 0) & (h == 0)
    return torch.where(point, 0.0, torch.atan2(w, torch.where(point, 1.0, h)))


def _sides(boxes: Tensor) -> Tensor:
    boxes = wide(boxes)
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0)


def _product(sides: Tensor) -> Tensor:
    """(..., 2) -> (...). The gradient of `Tensor.prod` reads a value back from the device, which ends a CUDA graph."""
    width, height = sides.unbind(-1)
    return width * height


def _intersection(a: Tensor, b: Tensor) -> Tensor:
    a, b = wide(a), wide(b)
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    return _product((high - low).clamp(min=0))


def _areas(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Of the intersection and of the union."""
    intersection = _intersection(a, b)
    return intersection, box_area(a) + box_area(b) - intersection


def _hull(a: Tensor, b: Tensor) -> Tensor:
    """Width and height of the smallest axis-aligned box around both."""
    a, b = wide(a), wide(b)
    return torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
