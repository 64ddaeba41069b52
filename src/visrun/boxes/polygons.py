"""Exact overlaps of simple polygons, convex or not, in float64 and without a loop over pairs.

A polygon is the signed sum of the regions below its edges, so the area of an intersection is the signed sum, over pairs
of edges, of the integral of the lower of the two over the x they share (see ``rotated`` for why this is robust).
"""

from __future__ import annotations

import torch
from torch import Tensor

from visrun.boxes.formats import polygons_to_xyxy, xyxy_to_cxcywh
from visrun.boxes.numbers import height_at, mean_of_clamped, ratio, result_type

CHUNK = 1 << 16  # pairs of edges at a time


def polygon_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union, in [0, 1]; 0 where a polygon has no area.

    Args:
        a: (..., 2V) corners x, y in order around, in either direction; edges do not cross. Repeat a corner to pad.
        b: (..., 2W) likewise, leading dimensions broadcast with those of ``a``.
    """
    return ratio(*_areas(a, b)).to(result_type(a, b))


def polygon_iou_of(a: Tensor, b: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """IoU of ``a[first]`` with ``b[second]``, (K,), a chunk at a time."""
    pairs = max(1, CHUNK // max(1, a.shape[-1] * b.shape[-1] // 4))
    chunks = zip(first.split(pairs), second.split(pairs), strict=True)
    return torch.cat([polygon_iou(a[i], b[j]) for i, j in chunks])


def polygon_area(polygons: Tensor) -> Tensor:
    """(..., 2V) simple polygons -> (...) float64."""
    x, y = _corners(polygons)
    return _signed_area(x - x[..., :1], y - y[..., :1]).abs()


def hulls(polygons: Tensor) -> tuple[Tensor, Tensor]:
    """Centres and half sizes, each (N, 2), of the smallest axis-aligned boxes around (N, 2V)."""
    centre, size = xyxy_to_cxcywh(polygons_to_xyxy(polygons.double())).split(2, -1)
    return centre, size / 2


def _corners(polygons: Tensor) -> tuple[Tensor, Tensor]:
    """(..., 2V) -> x and y, each (..., V)."""
    return polygons.double()[..., 0::2], polygons.double()[..., 1::2]


def _signed_area(x: Tensor, y: Tensor) -> Tensor:
    return (x * y.roll(-1, -1) - x.roll(-1, -1) * y).sum(-1) / 2


def _areas(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Of the intersection and of the union."""
    (ax, ay), (bx, by) = _corners(a), _corners(b)
    origin_x, origin_y = bx[..., :1], by[..., :1]
    ax, ay, bx, by = ax - origin_x, ay - origin_y, bx - origin_x, by - origin_y
    area_a, area_b = _signed_area(ax - ax[..., :1], ay - ay[..., :1]), _signed_area(bx, by)
    low = _below_both(ax, ay, bx, by) * (area_a.sign() * area_b.sign())
    area_a, area_b = area_a.abs(), area_b.abs()
    intersection = torch.minimum(low.clamp(min=0), torch.minimum(area_a, area_b))
    return intersection, area_a + area_b - intersection


def _below_both(ax: Tensor, ay: Tensor, bx: Tensor, by: Tensor) -> Tensor:
    """Signed sum over the pairs of edges: (..., V), (..., V), (..., W), (..., W) -> (...)."""
    e = [v.unsqueeze(-1) for v in (ax, ay, ax.roll(-1, -1), ay.roll(-1, -1))]
    f = [v.unsqueeze(-2) for v in (bx, by, bx.roll(-1, -1), by.roll(-1, -1))]
    left = torch.maximum(torch.minimum(e[0], e[2]), torch.minimum(f[0], f[2]))
    right = torch.minimum(torch.maximum(e[0], e[2]), torch.maximum(f[0], f[2]))
    start, end = height_at(left, *f, upright=0.0), height_at(right, *f, upright=0.0)
    above_start, above_end = height_at(left, *e, upright=0.0) - start, height_at(right, *e, upright=0.0) - end
    mean = (start + end) / 2 + mean_of_clamped(above_start, above_end, above_start.clamp(max=0), above_end.clamp(max=0))
    sign = (e[2] - e[0]).sign() * (f[2] - f[0]).sign()
    return (sign * (right - left).clamp(min=0) * mean).sum((-2, -1))
