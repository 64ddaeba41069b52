"""Exact overlaps of rotated boxes (le90, any angle), in float64 and without a loop over pairs.

The area of a polygon inside the box |x| <= W, |y| <= H is the sum over its edges of the integral of clamp(y, -H, H) dx
for x within [-W, W], where y(x) runs along the edge. Seen from b's frame, a's four edges give the intersection in
closed form: no corners to find or sort, no case for parallel edges. The integrals depend continuously on the boxes, so
the error stays near float64's rounding also for boxes that (nearly) coincide, where finding corners fails.
"""

from __future__ import annotations

import torch
from torch import Tensor

from visrun.boxes.formats import CORNERS
from visrun.boxes.numbers import height_at, mean_of_clamped, ratio, result_type

CHUNK, CHUNK_ON_GPU = 1 << 14, 1 << 20  # pairs at a time: what fits a core's cache; on a GPU launches cost more


def rotated_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union, in [0, 1]; 0 where a box has no area. Differentiable; static shapes.

    Args:
        a: (..., 5) le90.
        b: (..., 5) le90, leading dimensions broadcast with those of ``a``.

    Boxes apart have IoU 0 and gradient 0: as a loss it needs another term that brings them together.
    """
    return _iou(_parts(a), _parts(b)).to(result_type(a, b))


def rotated_intersection(a: Tensor, b: Tensor) -> Tensor:
    """Area of the intersection; shapes as in :func:`rotated_iou`."""
    return _intersection(_parts(a), _parts(b)).to(result_type(a, b))


def rotated_iou_of(a: Tensor, b: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """IoU of ``a[first]`` with ``b[second]``, (K,) float64, a chunk at a time."""
    parts_a, parts_b = _parts(a), _parts(b)
    size = CHUNK_ON_GPU if a.is_cuda else CHUNK
    chunks = zip(first.split(size), second.split(size), strict=True)
    return torch.cat([_iou(parts_a[:, i], parts_b[:, j]) for i, j in chunks])


def _parts(boxes: Tensor) -> Tensor:
    """(..., 5) -> (6, ...) float64: centre, half sizes, cosine, sine."""
    x, y, w, h, angle = boxes.double().unbind(-1)
    return torch.stack([x, y, w.clamp(min=0) / 2, h.clamp(min=0) / 2, angle.cos(), angle.sin()])


def _iou(a: Tensor, b: Tensor) -> Tensor:
    intersection = _intersection(a, b)
    return ratio(intersection, 4 * a[2] * a[3] + 4 * b[2] * b[3] - intersection)


def _intersection(a: Tensor, b: Tensor) -> Tensor:
    """(6, ...), (6, ...) -> (...)."""
    x, y = _corners_seen_from(a, b)
    half_w, half_h = b[2], b[3]
    inside = _clamp(x, half_w)
    ends = x.roll(-1, 0), y.roll(-1, 0)
    # An upright edge is read from end to end, so that the slope of its (empty) integral is the true one.
    start = height_at(inside, x, y, *ends, upright=0.0)
    end = height_at(inside.roll(-1, 0), x, y, *ends, upright=1.0)
    heights = mean_of_clamped(start, end, _clamp(start, half_h), _clamp(end, half_h))
    strips = (inside - inside.roll(-1, 0)) * heights
    smaller = torch.minimum(4 * a[2] * a[3], 4 * half_w * half_h)
    return torch.minimum(strips.sum(0).clamp(min=0), smaller)


def _clamp(values: Tensor, bound: Tensor) -> Tensor:
    """To [-bound, bound]; on the bound half the slope, so that boxes which coincide pull neither way."""
    return torch.minimum(torch.maximum(values, -bound), bound)


def _corners_seen_from(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """x and y, each (4, ...), of a's corners in b's frame."""
    dx, dy = a[0] - b[0], a[1] - b[1]
    cos, sin = a[4] * b[4] + a[5] * b[5], a[5] * b[4] - a[4] * b[5]
    x, y = b[4] * dx + b[5] * dy, b[4] * dy - b[5] * dx
    corners = [(2 * i * a[2], 2 * j * a[3]) for i, j in CORNERS]
    return (
        torch.stack([x + cos * u - sin * v for u, v in corners]),
        torch.stack([y + sin * u + cos * v for u, v in corners]),
    )
