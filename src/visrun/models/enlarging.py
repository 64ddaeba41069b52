"""Maps enlarged by a whole number, so that each cell stays where it lies in the image."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor


def enlarged(x: Tensor, times: int, size: Sequence[int]) -> Tensor:
    """(B, C, h, w) made ``times`` as large, bilinearly, and cut to (B, C, *size); what lacks repeats the edge.

    Where the stride of a map does not divide the image's side, its last cells reach beyond the image: a map that is
    stretched or squeezed to ``size`` would move what it shows, by up to a stride at the far edge.
    """
    large = F.interpolate(x, scale_factor=float(times), mode="bilinear") if times > 1 else x
    rows, columns = (max(0, side - had) for side, had in zip(size, large.shape[2:], strict=True))
    if rows or columns:  # a body that drops what fills no cell
        large = F.pad(large, (0, columns, 0, rows), mode="replicate")
    return large[:, :, : size[0], : size[1]]
