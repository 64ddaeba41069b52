"""Boxes against the edges of an image or a tile."""

from __future__ import annotations

import torch
from torch import Tensor

from visrun.boxes.formats import le90_to_quads, turn, xyxy_to_quads
from visrun.boxes.numbers import ratio, wide
from visrun.boxes.rectangles import points_to_le90
from visrun.boxes.rotated import rotated_intersection


def clip_xyxy(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """(..., 4) xyxy cut to an image of ``size`` (height, width); boxes outside end up with no area on its edge."""
    height, width = size
    x0, y0, x1, y1 = wide(boxes).unbind(-1)
    return torch.stack([x0.clamp(0, width), y0.clamp(0, height), x1.clamp(0, width), y1.clamp(0, height)], -1)


def share_inside(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Share of each (..., 5) le90 box's area inside an image of ``size`` (height, width), in [0, 1]; 0 without area."""
    height, width = size
    image = boxes.new_tensor([width / 2, height / 2, width, height, 0.0], dtype=torch.float64)
    inside = rotated_intersection(boxes.double(), image)
    return ratio(inside, boxes[..., 2].double() * boxes[..., 3].double()).clamp(max=1).to(wide(boxes).dtype)


def clip_le90(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """The rectangle of least area around the part of each box that is inside an image.

    Boxes wholly inside come back as they are, canonical ones; boxes wholly outside as zeros. What is cut off at a slant
    still sticks out a little.

    Args:
        boxes: (N, 5) le90.
        size: (height, width).
    """
    height, width = size
    quads = le90_to_quads(boxes.double())
    corners = quads.unflatten(-1, (4, 2))
    window = xyxy_to_quads(quads.new_tensor([0, 0, width, height])).unflatten(-1, (4, 2))
    own = ((corners >= 0) & (corners <= corners.new_tensor([width, height]))).all(-1)
    crossings, crossed = _crossings(corners, size)
    theirs = _holds(boxes.double(), window)
    points = torch.cat([corners, crossings, window.expand(len(boxes), 4, 2)], 1)
    cut = points_to_le90(points, torch.cat([own, crossed, theirs], 1)).to(wide(boxes).dtype)
    return torch.where(own.all(1, keepdim=True), wide(boxes), cut)


def _holds(boxes: Tensor, points: Tensor) -> Tensor:
    """(N, 5) boxes, (P, 2) points -> (N, P): is the point in the box?"""
    away = points - boxes[:, None, :2]
    u, v = turn(away[..., 0], away[..., 1], -boxes[:, None, 4])
    return (u.abs() <= boxes[:, None, 2] / 2) & (v.abs() <= boxes[:, None, 3] / 2)


def _crossings(corners: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Where the edges of (N, 4, 2) quads cross the image's border: (N, 16, 2), and which of them do (N, 16)."""
    ends = corners.roll(-1, 1)
    points, flags = [], []
    for axis, lines in ((0, (0, size[1])), (1, (0, size[0]))):
        for line in lines:
            start, run = corners[..., axis], ends[..., axis] - corners[..., axis]
            share = (line - start) / torch.where(run == 0, 1.0, run)
            other = corners[..., 1 - axis] + share * (ends[..., 1 - axis] - corners[..., 1 - axis])
            on_line = torch.full_like(other, line)
            points.append(torch.stack([on_line, other] if axis == 0 else [other, on_line], -1))
            limit = size[0] if axis == 0 else size[1]
            flags.append((run != 0) & (share >= 0) & (share <= 1) & (other >= 0) & (other <= limit))
    return torch.cat(points, 1), torch.cat(flags, 1)
