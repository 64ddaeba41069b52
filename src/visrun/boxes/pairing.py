"""Which boxes of two sets can overlap at all."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 1 << 20  # entries of the comparison held at a time


def near_pairs(
    centre_a: Tensor, half_a: Tensor, centre_b: Tensor, half_b: Tensor, *, labels: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """Indices (K,) and (K,) of the pairs whose axis-aligned hulls overlap or touch.

    Args:
        centre_a, half_a: (N, 2) centres and half sizes of the hulls; ``centre_b``, ``half_b`` (M, 2) likewise.
        labels: (N,) and (M,); pairs of different labels are left out.
    """
    a, b = _sides(centre_a, half_a), _sides(centre_b, half_b)
    rows = _rows(len(centre_b))
    found = [torch.zeros(0, 2, dtype=torch.long, device=a.device)]
    for start in range(0, len(centre_a), rows):
        part = slice(start, start + rows)
        near = _meet(a[:, part, None], b[:, None])
        if labels is not None:
            near &= labels[0][part, None] == labels[1]
        found.append(near.nonzero() + found[0].new_tensor([start, 0]))
    first, second = torch.cat(found).unbind(1)
    return first, second


def near_pairs_within(centre: Tensor, half: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """:func:`near_pairs` of one set with itself, the first index below the second.

    Args:
        centre, half: (N, 2) centres and half sizes of the hulls.
        labels: (N,) in ascending order, so that few pairs of different labels are looked at; they are left out.
    """
    sides = _sides(centre, half)
    rows = _rows(len(centre))
    starts = torch.arange(0, len(centre), rows, device=centre.device)
    last = labels[(starts + rows).clamp(max=len(centre)) - 1]
    found = [torch.zeros(0, 2, dtype=torch.long, device=centre.device)]
    for start, stop in zip(starts.tolist(), torch.searchsorted(labels, last, right=True).tolist(), strict=True):
        part, others = slice(start, start + rows), slice(start, stop)
        near = _meet(sides[:, part, None], sides[:, None, others]).triu(1)
        near &= labels[part, None] == labels[others]
        found.append(near.nonzero() + start)
    first, second = torch.cat(found).unbind(1)
    return first, second


def _rows(columns: int) -> int:
    """How many rows of the comparison are held at a time."""
    return max(1, BLOCK // max(1, columns))


def _sides(centre: Tensor, half: Tensor) -> Tensor:
    """(4, N) float64: left, top, right, bottom."""
    centre, half = centre.detach().double(), half.detach().double()
    return torch.cat([centre - half, centre + half], 1).T.contiguous()


def _meet(a: Tensor, b: Tensor) -> Tensor:
    """(4, N, 1), (4, 1, M) -> (N, M)."""
    return (a[0] <= b[2]) & (b[0] <= a[2]) & (a[1] <= b[3]) & (b[1] <= a[3])
