"""Losses of good against defective, for whole images and for pixels alike.

``prediction`` (B, 2) with ``target`` (B,) int64, or (B, 2, H, W) with (B, H, W) int64 in which 255 counts for nothing.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from visrun import losses
from visrun.data.ids import IGNORE


def cross_entropy(prediction: Tensor, target: Tensor) -> Tensor:
    """Softmax cross-entropy; the mean over images or over the pixels that count."""
    fn = losses.pixel_cross_entropy if prediction.ndim == 4 else losses.cross_entropy
    return fn(prediction, target)


def focal(prediction: Tensor, target: Tensor, *, gamma: float = 2.0, alpha: float | None = None) -> Tensor:
    """Focal loss (arXiv 1708.02002); ``alpha`` is the weight of defects, good ones have ``1 - alpha``."""
    fn = losses.pixel_focal if prediction.ndim == 4 else losses.focal
    return fn(prediction, target, gamma=gamma, alpha=alpha)


def bce(prediction: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy of both outputs on their own, "good or not" and "defective or not"."""
    if prediction.ndim == 2:
        return losses.bce(prediction, target)
    counted = (target != IGNORE).unsqueeze(1)
    share = torch.stack([target == 0, target == 1], 1).float()
    terms = F.binary_cross_entropy_with_logits(prediction.float(), share, reduction="none")
    return (terms * counted).sum() / (2 * counted.sum()).clamp_min(1)
