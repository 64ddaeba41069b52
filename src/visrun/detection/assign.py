"""Which location of the feature pyramid learns which object, as dense tensor work of fixed shape.

Adaptive training sample selection (Zhang et al. 2020, ATSS, arXiv 1912.02424, algorithm 1): of the locations around an
object's centre, on every level, those whose anchor overlaps it more than most learn it. Four changes: the candidates
of a level are the locations within ``NEAR`` strides of the centre rather than a counted few; anchors are turned with
the object, so that upright and turned boxes are one case; the best candidates always pass, since on few levels none
may be better than most; and of several objects a location learns the nearest and smallest, by the sum of its squared
distance and a quarter of its area, rather than the one that its anchor overlaps most: anchors overlap a nucleus always
less than the cell around it, which has other locations, and all that lies within them alike, wherever its centre is.
Only geometry decides: from random weights, what the network says of an object tells nothing yet of where it is best
seen.

Legend: B images, M objects, L locations.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from visrun.boxes.formats import turn
from visrun.boxes.numbers import wide

NEAR = 1.5  # strides from the centre, along both sides, within which a location is a candidate: three by three of them
ANCHOR = 8.0  # side of a location's anchor in strides
LEAST = 0.75  # strides: an object counts as wide as twice this at least, and so surely holds a location


class Assigned(NamedTuple):
    """What each location learns.

    Args:
        row: (B, L) int64, the object in the target; 0 where there is none.
        positive: (B, L) bool, whether there is one.
        counted: (B, L) bool, False where an ignored object is and no other: it is no background either.
    """

    row: Tensor
    positive: Tensor
    counted: Tensor


def assign(points: Tensor, boxes: Tensor, *, real: Tensor, ignored: Tensor) -> Assigned:
    """Give each location at most one object, the nearest and smallest of those that it fits.

    Args:
        points: (L, 3) x, y and stride of each location, in pixels of the training image.
        boxes: (B, M, 5), turned boxes of any angle; rows that are neither real nor ignored may hold anything finite.
        real: (B, M) bool, which rows are objects to be learnt.
        ignored: (B, M) bool, which are objects that are neither to be found nor wrong to find.
    """
    along, across = offsets(points, boxes)
    half_w, half_h = (wide(boxes)[..., i, None].clamp(min=0) / 2 for i in (2, 3))
    stride = points[:, 2]
    overlap = _anchor_overlap(along, across, half_w, half_h, ANCHOR / 2 * stride)
    near = torch.maximum(along.abs(), across.abs()) <= NEAR * stride
    least = LEAST * stride
    inside = (along.abs() < torch.maximum(half_w, least)) & (across.abs() < torch.maximum(half_h, least))
    fits = near & inside & (overlap > 0) & (overlap >= _enough(overlap, near)) & real[..., None]
    away, row = torch.where(fits, along.square() + across.square() + half_w * half_h, torch.inf).min(1)
    positive = away < torch.inf
    row = _shared(fits, overlap, torch.where(positive, row, -1))
    covered = ((along.abs() < half_w) & (across.abs() < half_h) & ignored[..., None]).any(1)
    return Assigned(torch.where(positive, row, 0), positive, positive | ~covered)


def _shared(fits: Tensor, overlap: Tensor, row: Tensor) -> Tensor:
    """``row`` (B, L), -1 = none, with a location for each object that others left none: its best of those whose owners
    have more."""
    number = torch.arange(fits.shape[1], device=row.device)[:, None]
    count = (row[:, None] == number).sum(2)  # (B, M)
    spare = count.gather(1, row.clamp(min=0)) > 1  # where nobody won, nobody fits
    wanted = torch.where(fits & spare[:, None] & (count == 0)[..., None], overlap, -1.0)
    best = torch.arange(row.shape[1], device=row.device) == wanted.argmax(2, keepdim=True)
    share, taker = torch.where(best, wanted, -1.0).max(1)
    return torch.where(share >= 0, taker, row)


def offsets(points: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """How far (L, 3) points lie from the centres of (B, M, 5) boxes, along and across each: (B, M, L) twice."""
    x, y, _, _, angle = (part[..., None] for part in wide(boxes).unbind(-1))
    return turn(points[:, 0] - x, points[:, 1] - y, -angle)


def _anchor_overlap(along: Tensor, across: Tensor, half_w: Tensor, half_h: Tensor, side: Tensor) -> Tensor:
    """IoU of each box with a square of half side ``side`` about each location, turned like the box: (B, M, L)."""
    width = (torch.minimum(along + side, half_w) - torch.maximum(along - side, -half_w)).clamp(min=0)
    height = (torch.minimum(across + side, half_h) - torch.maximum(across - side, -half_h)).clamp(min=0)
    both = width * height
    return both / (4 * side.square() + 4 * half_w * half_h - both)


def _enough(overlap: Tensor, near: Tensor) -> Tensor:
    """Mean plus standard deviation over each object's candidates, but not more than the best has: (B, M, 1)."""
    count, overlap = near.sum(2, keepdim=True), torch.where(near, overlap, 0.0)
    mean = overlap.sum(2, keepdim=True) / count.clamp(min=1)
    spread = torch.where(near, (overlap - mean).square(), 0.0).sum(2, keepdim=True) / (count - 1).clamp(min=1)
    return torch.minimum(mean + spread.sqrt(), overlap.amax(2, keepdim=True))
