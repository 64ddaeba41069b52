"""Precision, safe division and the two integrals that exact areas are made of."""

from __future__ import annotations

import torch
from torch import Tensor

TINY = 1e-100  # a float64 length below this counts as 0; its square can still be divided by


def wide(values: Tensor) -> Tensor:
    """At least float32: bf16 keeps 8 bits, too few for a pixel coordinate or a sum. Float64 stays."""
    return values if values.dtype in (torch.float32, torch.float64) else values.float()


def result_type(a: Tensor, b: Tensor) -> torch.dtype:
    """What comes of two tensors that are made :func:`wide`."""
    return torch.promote_types(wide(a).dtype, wide(b).dtype)


def ratio(top: Tensor, bottom: Tensor) -> Tensor:
    """``top / bottom`` (...), and 0 with zero gradients where ``bottom`` is not above 0."""
    positive = bottom > 0
    return torch.where(positive, top / torch.where(positive, bottom, 1.0), 0.0)


def mean_of_clamped(start: Tensor, end: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """Mean of clamp(y) while y goes linearly from ``start`` to ``end``; ``first`` and ``last`` are those two clamped.

    All are (...). A weighted mean of the two clamped ends, so its error is that of one rounding however steep or flat
    the line is.
    """
    rise = end - start
    level = rise.abs() < TINY
    rise = torch.where(level, 1.0, rise)
    # Shares of the way inside the bounds and after them; a level line is all inside, or all the same.
    between = torch.where(level, 1.0, (last - first) / rise)
    beyond = torch.where(level, 0.0, (end - last) / rise)
    return first + (last - first) * (between / 2 + beyond)


def height_at(x: Tensor, x0: Tensor, y0: Tensor, x1: Tensor, y1: Tensor, *, upright: float) -> Tensor:
    """y of the segment from (x0, y0) to (x1, y1) at ``x``, never beyond its ends.

    Args:
        upright: Where an upright segment is read, as a share of the way from its start.
    """
    run = x1 - x0
    vertical = run.abs() < TINY
    share = ((x - x0) / torch.where(vertical, 1.0, run)).clamp(0, 1)
    return y0 + torch.where(vertical, upright, share) * (y1 - y0)
