"""Losses: pure functions ``(prediction, target, *, weight=None, options) -> scalar``.

All are computed in float32 at least, also under autocast, and have static shapes and no read-back from the device, so a
training step that uses them can be captured in a CUDA graph. Where nothing counts (an empty batch, a mask that is all
ignored) the loss is 0 with zero gradients. Legend: B images, K classes, T regression targets, H x W pixels.

Class weights scale the terms of their class and the mean is taken over the weights, as in
``torch.nn.functional.cross_entropy``: equal weights of any size change nothing.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from visrun.boxes.numbers import wide
from visrun.data.ids import IGNORE

TINY = 1e-12  # keeps a denominator above 0


# Classification: prediction (B, K) logits; target (B,) int64 classes, or (B, K) shares of classes in [0, 1].


def cross_entropy(prediction: Tensor, target: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """Softmax cross-entropy (Bridle 1990); shares of classes, as mixup makes them, weigh the classes' terms."""
    prediction, share = _shared(prediction, target)
    return _class_mean(-prediction.log_softmax(1), share, weight)


def label_smoothing(
    prediction: Tensor, target: Tensor, *, weight: Tensor | None = None, smoothing: float = 0.1
) -> Tensor:
    """Cross-entropy against targets of which ``smoothing`` is spread over all K classes (arXiv 1512.00567, sec. 7).

    An image counts by the weight of its own class. That of the class which a share is spread to, as torch takes it,
    would make a rare class the best answer to every image.
    """
    prediction, share = _shared(prediction, target)
    counted = share if weight is None else share * weight
    smooth = (1.0 - smoothing) * counted + smoothing / prediction.shape[1] * counted.sum(1, keepdim=True)
    return _over(-prediction.log_softmax(1) * smooth, counted)


def focal(
    prediction: Tensor,
    target: Tensor,
    *,
    weight: Tensor | None = None,
    gamma: float = 2.0,
    alpha: float | None = None,
) -> Tensor:
    """Focal loss ``-alpha (1 - p)^gamma log p`` of the true class (Lin et al. 2017, arXiv 1708.02002, eq. 4 and 5).

    Args:
        gamma: How strongly well-classified examples are played down; 0 gives cross-entropy.
        alpha: Share in [0, 1] of the classes from the second on; the first (background, normal) has ``1 - alpha``.
            With two classes this is the paper's balance. None = all count the same.
    """
    prediction, share = _shared(prediction, target)
    terms = _focal_terms(prediction.log_softmax(1), gamma)
    if alpha is not None:
        terms = torch.cat([(1.0 - alpha) * terms[:, :1], alpha * terms[:, 1:]], dim=1)
    return _class_mean(terms, share, weight)


def bce(prediction: Tensor, target: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """Binary cross-entropy of every class on its own: several labels an image, or one-hot (arXiv 2110.00476).

    The mean over images and classes; classes count by their weight.
    """
    prediction, share = _shared(prediction, target)
    terms = F.binary_cross_entropy_with_logits(prediction, share, reduction="none")
    return _class_mean(terms, torch.ones_like(terms), weight)


# Regression: prediction and target (B, T), standardised by the task.


def mse(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared error."""
    return _mean(F.mse_loss(*_pair(prediction, target), reduction="none"))


def mae(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error."""
    return _mean(F.l1_loss(*_pair(prediction, target), reduction="none"))


def huber(prediction: Tensor, target: Tensor, *, delta: float = 1.0) -> Tensor:
    """Half the squared error up to ``delta``, linear with slope ``delta`` beyond (Huber 1964)."""
    return _mean(F.huber_loss(*_pair(prediction, target), reduction="none", delta=delta))


def smooth_l1(prediction: Tensor, target: Tensor, *, beta: float = 1.0) -> Tensor:
    """Absolute error, rounded to a parabola below ``beta`` (Girshick 2015, arXiv 1504.08083, eq. 3): huber / beta."""
    return _mean(F.smooth_l1_loss(*_pair(prediction, target), reduction="none", beta=beta))


# Segmentation: prediction (B, K, H, W) logits; target (B, H, W) int64 classes, 255 = ignored.


def pixel_cross_entropy(prediction: Tensor, target: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """Softmax cross-entropy of every pixel that counts (Long et al. 2015, arXiv 1411.4038)."""
    log_p, counts, _ = _true_class(prediction, target, weight)
    return -(log_p * counts).sum() / counts.sum().clamp_min(TINY)


def pixel_focal(
    prediction: Tensor,
    target: Tensor,
    *,
    weight: Tensor | None = None,
    gamma: float = 2.0,
    alpha: float | None = None,
) -> Tensor:
    """:func:`focal` of every pixel that counts; ``alpha`` is the share of the classes other than class 0."""
    log_p, counts, index = _true_class(prediction, target, weight)
    terms = _focal_terms(log_p, gamma)
    if alpha is not None:
        terms = terms * torch.where(index == 0, 1.0 - alpha, alpha)
    return (terms * counts).sum() / counts.sum().clamp_min(TINY)


def dice(prediction: Tensor, target: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """1 - soft Dice, ``2 sum(p g) / (sum(p^2) + sum(g^2))`` over the batch's pixels (arXiv 1606.04797, section 3).

    The mean over the classes that the batch's masks hold: a class without a pixel has no Dice to improve.
    """
    classes = torch.arange(prediction.shape[1], device=target.device).view(1, -1, 1, 1)
    truth = target.unsqueeze(1) == classes  # (B, K, H, W); an ignored pixel is no class
    counted = (target != IGNORE).unsqueeze(1)
    p = torch.where(counted, wide(prediction).softmax(1), 0.0)
    size = truth.sum((0, 2, 3)).to(p.dtype)
    overlap = torch.where(truth, p, 0.0).sum((0, 2, 3))
    score = 2.0 * overlap / (p.square().sum((0, 2, 3)) + size).clamp_min(TINY)
    counts = (size > 0).to(p.dtype)
    if weight is not None:
        counts = counts * weight
    return ((1.0 - score) * counts).sum() / counts.sum().clamp_min(TINY)


def ce_dice(
    prediction: Tensor, target: Tensor, *, weight: Tensor | None = None, dice_weight: float = 1.0
) -> dict[str, Tensor]:
    """Cross-entropy and ``dice_weight`` times Dice, to be added (nnU-Net, arXiv 1809.10486).

    Returns:
        The two parts, named ``ce`` and ``dice``.
    """
    return {
        "ce": pixel_cross_entropy(prediction, target, weight=weight),
        "dice": dice_weight * dice(prediction, target, weight=weight),
    }


def _shared(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The prediction, wide, and its targets as shares of classes (B, K): as they are, or one-hot."""
    prediction = wide(prediction)
    if not target.is_floating_point():
        target = target.unsqueeze(1) == torch.arange(prediction.shape[1], device=target.device)
    return prediction, target.to(prediction.dtype)


def _class_mean(terms: Tensor, share: Tensor, weight: Tensor | None) -> Tensor:
    """The mean of ``terms`` (B, K), which count by share and class weight."""
    counted = share if weight is None else share * weight
    return _over(terms * counted, counted)


def _over(terms: Tensor, counted: Tensor) -> Tensor:
    """The sum of ``terms`` by that of ``counted``; 0 where nothing counts."""
    total = counted.sum()
    return torch.where(total > 0, terms.sum() / total.clamp_min(TINY), 0.0)


def _focal_terms(log_p: Tensor, gamma: float) -> Tensor:
    # expm1 keeps 1 - p exact near p = 1; the floor keeps the power's slope finite for gamma < 1.
    return -((-torch.expm1(log_p)).clamp_min(TINY) ** gamma) * log_p


def _true_class(prediction: Tensor, target: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Of every pixel (B, H, W): log-probability of its class, how much it counts (0 = ignored), and its class."""
    counted = target != IGNORE
    index = torch.where(counted, target, 0)
    log_p = wide(prediction).log_softmax(1).gather(1, index.unsqueeze(1)).squeeze(1)
    counts = counted.to(log_p.dtype)
    return log_p, counts if weight is None else counts * weight.to(log_p.dtype)[index], index


def _pair(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    assert prediction.shape == target.shape, f"prediction {prediction.shape} and target {target.shape} differ"
    prediction = wide(prediction)
    return prediction, target.to(prediction.dtype)


def _mean(terms: Tensor) -> Tensor:
    return terms.sum() / max(terms.numel(), 1)
