"""What scores are worth by their order, and probabilities by how often they come true.

All of them are torchmetrics' to the last digit, whose import alone takes a second. Legend: N samples, K classes, T
different scores.
"""

from __future__ import annotations

import torch
from torch import Tensor


def auroc(scores: Tensor, truth: Tensor) -> Tensor:
    """Area under the curve of true by false positives, (N, K) scores and zeros and ones -> (K,), equals as one step.

    A class without positives or without negatives has none; what stands there means nothing.
    """
    return torch.stack([_area(*_counts(*column)) for column in zip(scores.T, truth.T, strict=True)])


def _area(right: Tensor, wrong: Tensor) -> Tensor:
    start = right.new_zeros(1)
    right, wrong = torch.cat([start, right]), torch.cat([start, wrong])
    return torch.trapezoid(right / right[-1], wrong / wrong[-1])


def average_precision(scores: Tensor, truth: Tensor) -> Tensor:
    """Precision at each score, weighted by the recall gained there, (N, K) -> (K,); NaN without positives."""
    return torch.stack([_precision(*_counts(*column)) for column in zip(scores.T, truth.T, strict=True)])


def _precision(right: Tensor, wrong: Tensor) -> Tensor:
    gained = torch.cat([right.new_zeros(1), right / right[-1]]).diff()
    return (gained * (right / (right + wrong))).flip(0).sum()


def _counts(scores: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Down to each different score, the highest first, how many positives (T,) and negatives (T,) there are."""
    scores, order = scores.sort(descending=True)
    last = torch.cat([scores.diff() != 0, scores.new_ones(1, dtype=torch.bool)]).nonzero()[:, 0]
    right = truth[order].cumsum(0)[last]  # of integers: that of floats is refused where results must be deterministic
    return right, last + 1 - right


def calibration_error(confidence: Tensor, right: Tensor, bins: int) -> Tensor:
    """Expected calibration error (Guo et al. 2017, arXiv 1706.04599, eq. 5) over ``bins`` equal parts of [0, 1].

    Args:
        confidence: (N,) probabilities of what was said.
        right: (N,) whether it was so.
    """
    edges = torch.linspace(0, 1, bins + 1, dtype=confidence.dtype, device=confidence.device)
    at = torch.bucketize(confidence, edges, right=True) - 1

    def total(values: Tensor) -> Tensor:
        return torch.zeros_like(edges).scatter_add_(0, at, values.to(edges.dtype))

    count = total(torch.ones_like(confidence))
    gaps = (total(right) / count).nan_to_num() - (total(confidence) / count).nan_to_num()
    return (gaps.abs() * (count / count.sum())).sum()
