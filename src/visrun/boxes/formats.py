"""Conversions between box formats; those that have to fit a rectangle are in ``rectangles``."""

from __future__ import annotations

from math import pi

import torch
from torch import Tensor

from visrun.boxes.numbers import wide

CORNERS = ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5))  # of a unit box, clockwise as drawn from the top left


def turn(x: Tensor, y: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors (x, y) turned by ``angle`` radians, clockwise as drawn; by a box's ``-angle``, how they lie in its frame.

    All of shapes that broadcast.
    """
    cos, sin = angle.cos(), angle.sin()
    return cos * x - sin * y, sin * x + cos * y


def xyxy_to_cxcywh(boxes: Tensor) -> Tensor:
    """(..., 4) -> (..., 4)."""
    low, high = wide(boxes).split(2, -1)
    return torch.cat([(low + high) / 2, high - low], -1)


def xyxy_to_le90(boxes: Tensor) -> Tensor:
    """(..., 4) -> (..., 5), with an angle of 0 whatever side is longer."""
    boxes = xyxy_to_cxcywh(boxes)
    return torch.cat([boxes, torch.zeros_like(boxes[..., :1])], -1)


def canonical(boxes: Tensor) -> Tensor:
    """The le90 form of (..., 5): the same rectangle with width >= height and -pi/2 <= angle < pi/2.

    Any angle is taken, also beyond a period. A square has two such forms; it keeps the one its angle names.
    """
    x, y, w, h, angle = wide(boxes).unbind(-1)
    turned = torch.where(w < h, angle + pi / 2, angle)
    turned = torch.remainder(turned + pi / 2, pi) - pi / 2
    turned = torch.where(turned >= pi / 2, turned - pi, turned)  # a remainder can round up to its divisor
    settled = (w >= h) & (angle >= -pi / 2) & (angle < pi / 2)  # as it is, to the last bit
    return torch.stack([x, y, torch.maximum(w, h), torch.minimum(w, h), torch.where(settled, angle, turned)], -1)


def le90_to_quads(boxes: Tensor) -> Tensor:
    """(..., 5) -> (..., 8), clockwise as drawn from the corner that is top left in the box's own frame."""
    x, y, w, h, angle = wide(boxes).unbind(-1)
    corners = [turn(i * w, j * h, angle) for i, j in CORNERS]
    return torch.stack([number for u, v in corners for number in (x + u, y + v)], -1)


def le90_to_xyxy(boxes: Tensor) -> Tensor:
    """(..., 5) -> (..., 4), the smallest axis-aligned box around each."""
    boxes = wide(boxes)
    centre, half = boxes[..., :2], half_extent(boxes)
    return torch.cat([centre - half, centre + half], -1)


def half_extent(boxes: Tensor) -> Tensor:
    """(..., 5) -> (..., 2): half the width and height of the smallest axis-aligned box around each."""
    w, h, angle = boxes[..., 2:].unbind(-1)
    cos, sin = angle.cos().abs(), angle.sin().abs()
    return torch.stack([cos * w + sin * h, sin * w + cos * h], -1) / 2


def polygons_to_xyxy(polygons: Tensor) -> Tensor:
    """(..., 2V) -> (..., 4), the smallest axis-aligned box around each."""
    corners = wide(polygons).unflatten(-1, (polygons.shape[-1] // 2, 2))
    return torch.cat([corners.amin(-2), corners.amax(-2)], -1)
