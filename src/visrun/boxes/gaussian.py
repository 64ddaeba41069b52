"""Boxes as Gaussians: smooth measures for losses, in float32. Neither is an IoU; neither sees the angle of a square.

All terms are sums of squares in one box's frame: covariances multiplied out cancel and lose thin boxes in float32.
"""

from __future__ import annotations

import torch
from torch import Tensor

from visrun.boxes.formats import turn
from visrun.boxes.numbers import wide

SMALLEST = 1e-3  # width or height below which a box counts as this wide; keeps the logarithms finite
SOFT = 1e-7  # added below the root of the Hellinger distance, whose slope is infinite at 0


def probiou(a: Tensor, b: Tensor) -> Tensor:
    """ProbIoU, 1 - Hellinger distance of the two Gaussians, in [0, 1] (Llerena et al. 2021, arXiv 2106.06072).

    Args:
        a: (..., 5) le90 in pixels.
        b: (..., 5) le90, leading dimensions broadcast with those of ``a``.

    Up to 0.3 away from the IoU, mostly above it: a training signal, never a metric.
    """
    a, b = _sized(a), _sized(b)
    squared = -torch.expm1(-_bhattacharyya(a, b))
    return 1 - ((squared + SOFT).sqrt() - SOFT**0.5) / ((1 + SOFT) ** 0.5 - SOFT**0.5)


def kl_divergence(prediction: Tensor, target: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the prediction's Gaussian from the target's, >= 0 (arXiv 2106.01883, eq. 7).

    The paper's loss is ``1 - 1 / (tau + log(1 + divergence))`` with tau 1; it does not change with the scale of both.

    Args:
        prediction: (..., 5) le90 in pixels.
        target: (..., 5) le90, leading dimensions broadcast.
    """
    prediction, target = _sized(prediction), _sized(target)
    (w, h), (tw, th) = prediction[..., 2:4].unbind(-1), target[..., 2:4].unbind(-1)
    cos2, sin2 = _angle_between(prediction, target)
    u, v = _offset_in_frame_of(target, prediction)
    centres = 4 * ((u / tw).square() + (v / th).square())
    along, across = (w / tw).square() + (h / th).square(), (h / tw).square() + (w / th).square()
    sizes = cos2 * along + sin2 * across - 2 - 2 * ((w / tw).log() + (h / th).log())
    return ((centres + sizes) / 2).clamp(min=0)


def _bhattacharyya(a: Tensor, b: Tensor) -> Tensor:
    """Bhattacharyya distance of the uniform boxes' Gaussians, variances w^2 / 12 and h^2 / 12 (eq. 4 to 9)."""
    (w, h), (v, g) = a[..., 2:4].unbind(-1), b[..., 2:4].unbind(-1)
    cos2, sin2 = _angle_between(a, b)
    areas = w * h * v * g
    # |A + B| = 4 sqrt(|A| |B|) + excess: the excess alone holds what differs, so equal boxes give exactly 0.
    excess = (w * h - v * g).square() + cos2 * (w * g - h * v).square() + sin2 * (w * v - h * g).square()
    first, second = _offset_in_frame_of(a, b), _offset_in_frame_of(b, a)
    spread = (h * first[0]).square() + (w * first[1]).square() + (g * second[0]).square() + (v * second[1]).square()
    return 3 * spread / (excess + 4 * areas) + torch.log1p(excess / (4 * areas)) / 2


def _sized(boxes: Tensor) -> Tensor:
    x, y, w, h, angle = wide(boxes).unbind(-1)
    return torch.stack([x, y, w.clamp(min=SMALLEST), h.clamp(min=SMALLEST), angle], -1)


def _angle_between(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Squared cosine and sine of the angle between the boxes."""
    between = a[..., 4] - b[..., 4]
    return between.cos().square(), between.sin().square()


def _offset_in_frame_of(frame: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    dx, dy = (other[..., :2] - frame[..., :2]).unbind(-1)
    return turn(dx, dy, -frame[..., 4])
