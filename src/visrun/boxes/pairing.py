"""Which boxes of two sets can overlap at all."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import torch
from torch import Tensor

BLOCK, BLOCK_ON_GPU = 1 << 16, 1 << 23  # entries compared at a time: a cache holds them; on a GPU launches cost more
ROUNDING = 1e-9  # share by which hulls may overlap more than what is in them, since both are rounded


def near_pairs(
    centre_a: Tensor,
    half_a: Tensor,
    centre_b: Tensor,
    half_b: Tensor,
    *,
    labels: tuple[Tensor, Tensor] | None = None,
    later: bool = False,
    above: tuple[float, Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Indices (K,) and (K,) of the pairs whose axis-aligned hulls overlap or touch.

    Args:
        centre_a, half_a: (N, 2) centres and half sizes of the hulls; ``centre_b``, ``half_b`` (M, 2) likewise.
        labels: (N,) and (M,); pairs of different labels are left out, and most of them not looked at.
        later: Both sets are the same: only pairs whose second index is above the first.
        above: An IoU, and the areas (N,) and (M,) of what is in the hulls: only pairs whose hulls overlap so much that
            it may have a larger one.
    """
    hull_a, hull_b = _sides(centre_a, half_a), _sides(centre_b, half_b)
    of_a, of_b = labels or (torch.zeros_like(x[0], dtype=torch.long) for x in (hull_a, hull_b))
    order_a, order_b = of_a.argsort(stable=True), of_b.argsort(stable=True)  # a label after the other
    a, b, of_a, of_b = hull_a[:, order_a], hull_b[:, order_b], of_a[order_a], of_b[order_b]
    highs = torch.searchsorted(of_b, of_a, right=True).tolist()
    lows = range(len(highs)) if later else torch.searchsorted(of_b, of_a).tolist()
    found = [(order_a[:0], order_b[:0])]
    start = 0
    while start < len(highs):
        low = lows[start]
        end = _end(highs, start, low, BLOCK_ON_GPU if a.is_cuda else BLOCK)
        part, others = slice(start, end), slice(low, highs[end - 1])
        near = _meet(a[:, part, None], b[:, None, others])
        if labels is not None:
            near &= of_a[part, None] == of_b[others]
        if later:
            near = near.triu(1)
        first, second = near.nonzero().unbind(1)
        first, second = order_a[first + start], order_b[second + low]
        if above is not None:
            least, area_a, area_b = above
            likely = _alike(hull_a[:, first], hull_b[:, second], area_a[first], area_b[second], least)
            first, second = first[likely], second[likely]
        found.append((first, second))
        start = end
    return torch.cat([first for first, _ in found]), torch.cat([second for _, second in found])


def _end(highs: Sequence[int], start: int, low: int, block: int) -> int:
    """Up to which row, from ``start`` on, rows make a block with all that lies from ``low`` to the last one's end."""
    rows = range(start + 1, len(highs) + 1)
    return start + max(1, bisect_right(rows, block, key=lambda end: (end - start) * (highs[end - 1] - low)))


def _sides(centre: Tensor, half: Tensor) -> Tensor:
    """(4, N) float64: left, top, right, bottom."""
    centre, half = centre.detach().double(), half.detach().double()
    return torch.cat([centre - half, centre + half], 1).T.contiguous()


def _meet(a: Tensor, b: Tensor) -> Tensor:
    """(4, N, 1), (4, 1, M) -> (N, M)."""
    return (a[0] <= b[2]) & (b[0] <= a[2]) & (a[1] <= b[3]) & (b[1] <= a[3])


def _alike(a: Tensor, b: Tensor, area_a: Tensor, area_b: Tensor, least: float) -> Tensor:
    """(4, K) sides of hulls that meet, (K,) areas -> (K,) whether so much may lie in both that the IoU is larger."""
    width, height = (torch.minimum(a[i + 2], b[i + 2]).sub_(torch.maximum(a[i], b[i])) for i in (0, 1))
    shared = torch.minimum(width.mul_(height), torch.minimum(area_a, area_b))
    return shared.mul_((1 + ROUNDING) * (1 + least)) > (area_a + area_b).mul_(least)
