"""Smallest rotated rectangles around points, quads and masks, exact and without a loop over sets.

A side of the smallest rectangle lies on an edge of the convex hull (Freeman and Shapira 1975). Large sets are first
thinned to their hulls, whose edges are at hand then. Of small ones no hull is sought: an edge of it is level, or the
leftmost or rightmost way up from a point, so two directions a point hold them all.
"""

from __future__ import annotations

import torch
from torch import Tensor

from visrun.boxes.formats import canonical
from visrun.boxes.numbers import wide

CHUNK = 1 << 22  # projections held at a time
LEVEL = 1e-290  # pixels: what rises less than that has no slope in double precision
FEW = 16  # sets of up to so many points are not thinned: static shapes, nothing read back


def points_to_le90(points: Tensor, valid: Tensor | None = None) -> Tensor:
    """The rectangle of least area around each set of points: (N, P, 2) -> canonical (N, 5).

    Sets on a line give a height of 0, empty ones five zeros.

    Args:
        points: (N, P, 2).
        valid: (N, P) bool, which points count; None = all.
    """
    dtype = wide(points).dtype
    if points.shape[0] == 0 or points.shape[1] == 0:
        return points.new_zeros(len(points), 5, dtype=dtype)
    points, filled = _filled(points.double(), valid)
    many = points.shape[1] > FEW
    if many:
        points = _hull(points)
    sets = max(1, CHUNK // (3 * points.shape[1] ** 2))
    parts = points.split(sets)
    boxes = torch.cat([_smallest(part, part.diff(dim=1) if many else _steps_up(part)) for part in parts])
    return torch.where(filled, boxes, 0.0).to(dtype)


def quads_to_le90(quads: Tensor) -> Tensor:
    """The rectangle of least area around each quad: (..., 8) -> canonical (..., 5)."""
    return points_to_le90(quads.reshape(-1, 4, 2)).reshape(*quads.shape[:-1], 5)


def masks_to_le90(masks: Tensor) -> Tensor:
    """The rectangle of least area around each mask's pixels, each a unit square: (N, H, W) -> canonical (N, 5).

    One pixel gives a 1 x 1 box about its centre; an empty mask five zeros. Float32.
    """
    if masks.numel() == 0:
        return torch.zeros(len(masks), 5, device=masks.device)
    left, right = _row_ends(masks != 0)
    heights = torch.arange(masks.shape[1] + 1, device=masks.device).double().expand_as(left)
    points = torch.stack([torch.cat([left, right], 1), torch.cat([heights, heights], 1)], -1)
    return points_to_le90(points, (left <= right).repeat(1, 2)).float()


def _first(flags: Tensor) -> Tensor:
    """Index of the first True along the last dimension; 0 if there is none."""
    return flags.to(torch.uint8).argmax(-1)


def _row_ends(masks: Tensor) -> tuple[Tensor, Tensor]:
    """(N, H, W) -> (N, H + 1) and (N, H + 1): where the squares that touch each line between rows begin and end."""
    count, _, width = masks.shape
    some = masks.any(2)
    begin = torch.where(some, _first(masks), width + 1).double()
    end = torch.where(some, width - _first(masks.flip(2)), -1).double()
    above, below = begin.new_full((count, 1), width + 1), begin.new_full((count, 1), -1)
    return (
        torch.minimum(torch.cat([begin, above], 1), torch.cat([above, begin], 1)),
        torch.maximum(torch.cat([end, below], 1), torch.cat([below, end], 1)),
    )


def _filled(points: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor]:
    """Points that do not count moved onto the first that does, and (N, 1): is there any?"""
    if valid is None:
        valid = torch.ones(points.shape[:2], dtype=torch.bool, device=points.device)
    first = _first(valid)[:, None, None].expand(-1, 1, 2)
    filled = valid.any(1, keepdim=True)
    points = torch.where(valid[..., None], points, points.gather(1, first))
    return torch.where(filled[..., None], points, 0.0), filled


def _hull(points: Tensor) -> Tensor:
    """(N, P, 2) -> (N, K, 2): once around each set's hull and back to the first corner; some stand repeatedly."""
    for axis in (0, 1):  # by y, then by x
        order = points[..., axis].argsort(dim=1, stable=True)
        points = points.gather(1, order[..., None].expand_as(points))
    return torch.cat([_chain(points, 1.0), _chain(points, -1.0).flip(1)], 1)


def _chain(points: Tensor, side: float) -> Tensor:
    """The hull's left (``side`` 1) or right (-1) corners of sorted points, from the first to the last.

    Shorter chains repeat their last corner.
    """
    count = points.new_full((len(points),), points.shape[1], dtype=torch.long)
    while True:
        keep = ~_hidden(points, side)
        former, count = count, keep.sum(1)
        if torch.equal(former, count):
            return points
        order = keep.to(torch.uint8).argsort(dim=1, descending=True, stable=True)
        places = torch.arange(int(count.max()), device=points.device).expand(len(points), -1)
        order = order.gather(1, torch.minimum(places, count[:, None] - 1))
        points = points.gather(1, order[..., None].expand(-1, -1, 2))


def _hidden(points: Tensor, side: float) -> Tensor:
    """(N, P) bool: points that repeat the one before, or lie on or behind a chord between one before and one after.

    Chords of all lengths that are powers of 2, so that few rounds clear what hides behind a far point.
    """
    x, y = points[..., 0].contiguous(), points[..., 1].contiguous()
    hidden = torch.zeros_like(x, dtype=torch.bool)
    hidden[:, 1:] = (x.diff(dim=1) == 0) & (y.diff(dim=1) == 0)
    for power in range((points.shape[1] - 1).bit_length()):
        from_x, to_x = _neighbours(x, 2**power)
        from_y, to_y = _neighbours(y, 2**power)
        away_x, away_y, left_x, left_y = x - from_x, y - from_y, to_x - x, to_y - y
        ahead = side * ((to_x - from_x) * away_y - (to_y - from_y) * away_x)
        between = ((away_x != 0) | (away_y != 0)) & ((left_x != 0) | (left_y != 0))
        hidden |= (ahead < 0) | ((ahead == 0) & between)
    return hidden


def _neighbours(values: Tensor, away: int) -> tuple[Tensor, Tensor]:
    """Of (N, P), what stands so many places before and after each; the first and the last beyond the ends."""
    first, last = values[:, :1].expand(-1, away), values[:, -1:].expand(-1, away)
    return torch.cat([first, values[:, :-away]], 1), torch.cat([values[:, away:], last], 1)


def _smallest(points: Tensor, steps: Tensor) -> Tensor:
    """(N, P, 2) -> (N, 5), the best of the rectangles with a level side, or one along a step of (N, D, 2)."""
    origin = points[:, :1]
    points = points - origin
    level = points.new_tensor([1.0, 0.0])
    length = torch.hypot(steps[..., 0], steps[..., 1])[..., None]
    ways = torch.where(length > LEVEL, steps / length, level)
    along = torch.cat([level.expand(len(points), 1, 2), ways], 1)
    across = torch.stack([-along[..., 1], along[..., 0]], -1)
    u_low, u_high = _range(points, along)
    v_low, v_high = _range(points, across)
    best = ((u_high - u_low) * (v_high - v_low)).argmin(1, keepdim=True)
    u_low, u_high, v_low, v_high = (v.gather(1, best) for v in (u_low, u_high, v_low, v_high))
    along, across = (v.gather(1, best[..., None].expand(-1, 1, 2))[:, 0] for v in (along, across))
    centre = origin[:, 0] + along * (u_low + u_high) / 2 + across * (v_low + v_high) / 2
    angle = torch.atan2(along[:, 1:], along[:, :1])
    return canonical(torch.cat([centre, u_high - u_low, v_high - v_low, angle], 1))


def _range(points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Least and greatest projection of (N, P, 2) points on (N, D, 2) directions -> (N, D) and (N, D)."""
    projections = points[:, None, :, 0] * directions[..., :1] + points[:, None, :, 1] * directions[..., 1:]
    low, high = projections.aminmax(dim=2)
    return low, high


def _steps_up(points: Tensor) -> Tensor:
    """From each point to those of greater y that lie furthest left and furthest right of it: (N, P, 2) -> (N, 2 P, 2).

    The topmost points have none, which gives zeros.
    """
    away = points[:, None] - points[:, :, None]
    higher = away[..., 1] > LEVEL
    lean = away[..., 0] / torch.where(higher, away[..., 1], 1.0)
    left = torch.where(higher, lean, torch.inf).argmin(2)
    right = torch.where(higher, lean, -torch.inf).argmax(2)
    furthest = torch.stack([left, right], 2)
    steps = away.gather(2, furthest[..., None].expand(-1, -1, -1, 2))
    return torch.where(higher.any(2)[..., None, None], steps, 0.0).flatten(1, 2)
