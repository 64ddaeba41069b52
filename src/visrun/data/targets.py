"""A split's targets as one tensor, and the class weights that follow from how often each class occurs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from visrun.errors import ConfigError
from visrun.text import are, plural


def target_tensor(targets: Sequence[Any], *, kind: str, num_classes: int, multilabel: bool) -> Tensor | None:
    """The targets of a split's records in the form that batches carry.

    Args:
        targets: ``label``: class indices, or tuples of them; ``value``: tuples of floats; ``mask``: paths.
        kind: ``label``, ``value`` or ``mask``.
        num_classes: K.
        multilabel: Whether an image can have several labels.

    Returns:
        Labels (N,) int64, or (N, K) float32 zeros and ones; values (N, T) float32; None for masks, which come with
        the images.
    """
    if kind == "mask":
        return None
    if kind == "value":
        return torch.tensor([list(target) for target in targets], dtype=torch.float32)
    if not multilabel:
        return torch.tensor([int(target) for target in targets], dtype=torch.int64)
    matrix = torch.zeros(len(targets), num_classes)
    for row, labels in zip(matrix, targets, strict=True):
        row[list(labels)] = 1.0
    return matrix


def class_weights(wanted: str | Sequence[float], counts: Sequence[int], classes: Sequence[str]) -> Tensor | None:
    """Weight of each class in the loss: (K,) float32, or None for equal weights.

    ``balanced`` is N / (K * count), which lets every class weigh alike; a class never seen weighs 0.

    Args:
        wanted: ``none``, ``balanced`` or K numbers.
        counts: Training images (or pixels) of each class.
        classes: The class names, for the error.

    Raises:
        ConfigError: Another number of weights than of classes.
    """
    if wanted == "none":
        return None
    if wanted == "balanced":
        count = torch.tensor(counts, dtype=torch.float64)
        weights = count.sum() / (len(count) * count.clamp(min=1.0))
        return torch.where(count > 0, weights, torch.zeros_like(weights)).float()
    if len(wanted) != len(classes):
        raise ConfigError(
            f"data.class_weights has {plural(len(wanted), 'number')}, but there "
            f"{are(len(classes))} {plural(len(classes), 'class')}: {', '.join(classes)}"
        )
    return torch.tensor([float(weight) for weight in wanted])
