"""The losses a user can pick for boxes, turned boxes and masks: plain functions on aligned rows.

``(prediction, target) -> (...)``: one value for each pair, at least float32, with static shapes and finite gradients
also for boxes without an area. What a row weighs and how rows are averaged is the caller's. Legend: ... leading
dimensions, h x w pixels of a mask.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from visrun import boxes
from visrun.boxes.numbers import ratio, wide

BoxLoss = Callable[[Tensor, Tensor], Tensor]  # of boxes found and true
TURN_WEIGHT = 0.5  # of the angle's own term in the default loss of turned boxes
TENTH = 10.0  # smooth L1 counts errors in tenths of the object's size
SMALLEST = 1.0  # side in pixels below which an error counts as one of a side of 1
TINY = 1e-6


# Boxes: prediction and target (..., 4) xyxy.


def default(prediction: Tensor, target: Tensor) -> Tensor:
    """:func:`giou`; a network of torchvision takes the loss it was published with."""
    return giou(prediction, target)


def giou(prediction: Tensor, target: Tensor) -> Tensor:
    """1 - generalised IoU, in [0, 2) (Rezatofighi et al. 2019, arXiv 1902.09630)."""
    return 1 - boxes.giou(prediction, target)


def ciou(prediction: Tensor, target: Tensor) -> Tensor:
    """1 - complete IoU: overlap, distance of the centres, aspect ratio (Zheng et al. 2020, arXiv 1911.08287)."""
    return 1 - boxes.ciou(prediction, target)


def diou(prediction: Tensor, target: Tensor) -> Tensor:
    """1 - distance IoU: overlap and distance of the centres (Zheng et al. 2020, arXiv 1911.08287)."""
    return 1 - boxes.diou(prediction, target)


def iou(prediction: Tensor, target: Tensor) -> Tensor:
    """1 - IoU, in [0, 1]; it cannot bring boxes together that do not overlap (Yu et al. 2016, arXiv 1608.01471)."""
    return 1 - boxes.iou(prediction, target)


def smooth_l1(prediction: Tensor, target: Tensor, *, beta: float = 1.0) -> Tensor:
    """Smooth L1 (Girshick 2015, arXiv 1504.08083, eq. 3) of the four sides' errors, in tenths of the object's size.

    Args:
        beta: Error up to which it is quadratic, in those tenths.
    """
    prediction, target = wide(prediction), wide(target)
    size = (target[..., 2:] - target[..., :2]).clamp(min=SMALLEST)
    return _rounded((prediction - target) / torch.cat([size, size], -1), beta)


# Turned boxes: prediction (..., 5) of any angle, target (..., 5) le90.


def default_rotated(prediction: Tensor, target: Tensor) -> Tensor:
    """1 - ProbIoU (Llerena et al. 2021, arXiv 2106.06072) and, half as much, the angle's own error.

    ProbIoU sees little of the angle of an almost round Gaussian. The second term is 1 - cos of twice the angle between
    for what is long, which also settles that the longer side comes first, and half of 1 - cos of four times that angle
    for what is square, where a quarter turn changes nothing; |log(w / h)|, at most 1, says how long it is.
    """
    return 1 - boxes.probiou(prediction, target) + TURN_WEIGHT * _turn(prediction, target)


def rotated_iou(prediction: Tensor, target: Tensor) -> Tensor:
    """1 - the exact IoU of the rectangles, and what :func:`giou` adds to the IoU of their upright hulls.

    IoU alone has no gradient where boxes do not meet.
    """
    prediction, target = wide(prediction), wide(target)
    hulls = boxes.le90_to_xyxy(prediction), boxes.le90_to_xyxy(target)
    apart = (boxes.giou(*hulls) - boxes.iou(*hulls)).to(prediction.dtype)
    return 1 - boxes.rotated_iou(prediction, target) - apart


def kld(prediction: Tensor, target: Tensor) -> Tensor:
    """1 - 1 / (1 + log(1 + divergence of the Gaussians)), in [0, 1) (Yang et al. 2021, arXiv 2106.01883, eq. 13)."""
    return 1 - 1 / (1 + torch.log1p(boxes.kl_divergence(prediction, target)))


def smooth_l1_rotated(prediction: Tensor, target: Tensor, *, beta: float = 1.0) -> Tensor:
    """Smooth L1 of the centre and the sides, in tenths of the object's size, and of the angle, in tenths of a radian.

    The angle is compared by cos and sin of its double and, the squarer the object, of four times itself, which know no
    edge to jump at (arXiv 2211.06368).

    Args:
        beta: Error up to which it is quadratic, in those tenths.
    """
    prediction, target = wide(prediction), wide(target)
    size = target[..., 2:4].clamp(min=SMALLEST)
    x, y = (prediction[..., :2] - target[..., :2]).unbind(-1)
    away = torch.stack(boxes.turn(x, y, -target[..., 4]), -1)
    sides = prediction[..., 2:4] - target[..., 2:4]
    length = _length(target)[..., None]
    turned = [  # about the angle between, in radians
        (_pointer(prediction, turns) - _pointer(target, turns)) * share / turns
        for turns, share in ((2, length), (4, 1 - length))
    ]
    return _rounded(torch.cat([away / size, sides / size, *turned], -1), beta)


# Masks: prediction (..., h, w) logits, target (..., h, w) zeros and ones, inside (..., h, w) what counts.


def default_mask(prediction: Tensor, target: Tensor, inside: Tensor) -> Tensor:
    """:func:`bce_mask` + :func:`dice_mask`: exact pixels and the whole shape."""
    return bce_mask(prediction, target, inside) + dice_mask(prediction, target, inside)


def bce_mask(prediction: Tensor, target: Tensor, inside: Tensor) -> Tensor:
    """Binary cross-entropy, the mean over the pixels inside (He et al. 2017, arXiv 1703.06870)."""
    terms = F.binary_cross_entropy_with_logits(wide(prediction), wide(target), reduction="none")
    return _pixel_mean(terms, inside)


def dice_mask(prediction: Tensor, target: Tensor, inside: Tensor) -> Tensor:
    """1 - soft Dice over the pixels inside, in [0, 1] (Milletari et al. 2016, arXiv 1606.04797, section 3)."""
    found, target = wide(prediction).sigmoid() * inside, wide(target) * inside
    both = (found * target).sum((-2, -1))
    return 1 - (2 * both + 1) / (found.square().sum((-2, -1)) + target.sum((-2, -1)) + 1)


def focal_mask(
    prediction: Tensor, target: Tensor, inside: Tensor, *, gamma: float = 2.0, alpha: float | None = None
) -> Tensor:
    """Focal loss (Lin et al. 2017, arXiv 1708.02002, eq. 4 and 5), the mean over the pixels inside.

    Args:
        gamma: How strongly pixels that are right already are played down; 0 gives :func:`bce_mask`.
        alpha: Share in [0, 1] of the object's pixels, those around it have ``1 - alpha``. None = all count the same.
    """
    prediction, target = wide(prediction), wide(target)
    terms = F.binary_cross_entropy_with_logits(prediction, target, reduction="none")
    wrong = (-torch.expm1(-terms)).clamp(min=TINY)  # 1 - p of the true side; above 0, so that its slope is finite
    terms = wrong**gamma * terms
    if alpha is not None:
        terms = terms * torch.where(target > 0, alpha, 1 - alpha)
    return _pixel_mean(terms, inside)


def _rounded(errors: Tensor, beta: float) -> Tensor:
    """Sum of smooth L1 over the last dimension, errors given as shares of the size; back in shares."""
    return F.smooth_l1_loss(errors * TENTH, torch.zeros_like(errors), reduction="none", beta=beta).sum(-1) / TENTH


def _turn(prediction: Tensor, target: Tensor) -> Tensor:
    """How wrong the angle is, in [0, 2]; of a square up to quarter turns."""
    between, length = wide(prediction)[..., 4] - wide(target)[..., 4], _length(target)
    return (1 - (2 * between).cos()) * length + (1 - (4 * between).cos()) / 2 * (1 - length)


def _pointer(boxes: Tensor, turns: int) -> Tensor:
    """(..., 5) -> (..., 2): where ``turns`` times the angle points to."""
    angle = turns * boxes[..., 4]
    return torch.stack([angle.cos(), angle.sin()], -1)


def _length(target: Tensor) -> Tensor:
    """|log(w / h)|, at most 1: 0 for a square, 1 from e : 1 on."""
    w, h = wide(target)[..., 2:4].clamp(min=TINY).unbind(-1)
    return (w / h).log().abs().clamp(max=1)


def _pixel_mean(terms: Tensor, inside: Tensor) -> Tensor:
    return ratio((terms * inside).sum((-2, -1)), inside.to(terms.dtype).sum((-2, -1)))
