"""Which boxes of two sets can overlap at all."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 1 << 20  # entries of the comparison held at a time


def near_pairs(
    centre_a: Tensor,
    half_a: Tensor,
    centre_b: Tensor,
    half_b: Tensor,
    *,
    labels: tuple[Tensor, Tensor] | None = None,
    later: bool = False,
) -> tuple[Tensor, Tensor]:
    """Indices (K,) and (K,) of the pairs whose axis-aligned hulls overlap or touch.

    Args:
        centre_a, half_a: (N, 2) centres and half sizes of the hulls; ``centre_b``, ``half_b`` (M, 2) likewise.
        labels: (N,) and (M,); pairs of different labels are left out.
        later: Both sets are the same: only pairs whose second index is above the first.
    """
    a, b = _sides(centre_a, half_a), _sides(centre_b, half_b)
    rows = max(1, BLOCK // max(1, len(centre_b)))
    found = [torch.zeros(0, 2, dtype=torch.long, device=a.device)]
    for start in range(0, len(centre_a), rows):
        part, others = slice(start, start + rows), slice(start if later else 0, None)
        near = _meet(a[:, part, None], b[:, others])
        if labels is not None:
            near &= labels[0][part, None] == labels[1][others]
        if later:
            near = near.triu(1)
        found.append(near.nonzero() + found[0].new_tensor([start, others.start]))
    first, second = torch.cat(found).unbind(1)
    return first, second


def _sides(centre: Tensor, half: Tensor) -> Tensor:
    """(4, N) float64: left, top, right, bottom."""
    centre, half = centre.detach().double(), half.detach().double()
    return torch.cat([centre - half, centre + half], 1).T.contiguous()


def _meet(a: Tensor, b: Tensor) -> Tensor:
    return (a[0] <= b[2]) & (b[0] <= a[2]) & (a[1] <= b[3]) & (b[1] <= a[3])
