"""What a batch's plane of codes (`visrun.data.verdicts`) says of whole images and of pixels."""

from __future__ import annotations

from torch import Tensor

from visrun.data.ids import IGNORE
from visrun.data.verdicts import BESIDE, DEFECT, MADE, SOMEWHERE


def defective(target: Tensor) -> Tensor:
    """(B,) bool: whether an image shows a defect, labelled or made; from (B, H, W) codes."""
    return ((target >= DEFECT) & (target <= MADE)).flatten(1).any(1)


def made(target: Tensor) -> Tensor:
    """(B,) bool: whether an image shows a defect that was made."""
    return (target == MADE).flatten(1).any(1)


def pixels(target: Tensor) -> Tensor:
    """(B, H, W) int64: 1 in a defect, 0 outside, 255 beyond the picture and where no mask says which it is."""
    inside = (target == DEFECT) | (target == MADE)
    outside = (target == BESIDE) | (target < DEFECT)
    return inside.long().masked_fill(~(inside | outside), IGNORE)


def placed(target: Tensor) -> Tensor:
    """(B,) bool: whether it is known where the defects of an image are; of a good one it is."""
    return ~(target == SOMEWHERE).flatten(1).any(1)
