"""Images mixed with one another: mixup (Zhang et al., arXiv 1710.09412) and CutMix (Yun et al., arXiv 1905.04899).

Each sample is mixed with its neighbour in the batch (batches are in random order), with a weight of its own from
Beta(alpha, alpha). Where both are on, each batch takes one, evenly.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def draw(rng: np.random.Generator, n: int, *, mixup: float, cutmix: float) -> tuple[str, NDArray[np.float64]]:
    """Which of the two a batch of ``n`` takes ("" for none), and (n, 5): the weight of the sample itself, and the box
    taken from its neighbour as top, bottom, left, right in shares of the image."""
    numbers = np.zeros((n, 5))
    coin = rng.random()
    if not (mixup or cutmix):
        return "", numbers
    if mixup and (not cutmix or coin < 0.5):
        numbers[:, 0] = rng.beta(mixup, mixup, n)
        return "mixup", numbers
    side = np.sqrt(1 - rng.beta(cutmix, cutmix, n))[:, None]
    centre = rng.random((n, 2))
    low, high = np.maximum(centre - side / 2, 0), np.minimum(centre + side / 2, 1)
    numbers[:, 0] = 1 - (high - low).prod(1)
    numbers[:, 1:] = np.stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]], 1)
    return "cutmix", numbers


def inside(boxes: Tensor, image_size: tuple[int, int]) -> Tensor:
    """(B, H, W) bool: pixels whose centre lies in the sample's box; ``boxes`` (B, 4) as `draw` gives them."""
    y, x = (centres(n, boxes.device) for n in image_size)
    rows = (y >= boxes[:, 0:1]) & (y < boxes[:, 1:2])
    columns = (x >= boxes[:, 2:3]) & (x < boxes[:, 3:4])
    return rows[:, :, None] & columns[:, None, :]


@lru_cache(maxsize=32)
def centres(n: int, device: torch.device) -> Tensor:
    """(n,) float32: the centres of n pixels as shares of their row; kept, since every batch asks for the same."""
    return (torch.arange(n, dtype=torch.float32, device=device) + 0.5) / n


def mix(how: str, images: Tensor, target: Tensor, numbers: Tensor, *, dense: bool) -> tuple[Tensor, Tensor]:
    """Mix each sample with the next.

    Args:
        how: "mixup" or "cutmix".
        images: (B, 3, H, W).
        target: (B, K) soft labels or values, or with ``dense`` (B, H, W) class indices (CutMix only).
        numbers: (B, 5) from `draw`, on the device.
    """
    others = images.roll(1, 0)
    weight = numbers[:, :1]
    if how == "mixup":
        images = torch.lerp(others, images, weight[:, :, None, None].to(images.dtype))
    else:
        box = inside(numbers[:, 1:], (images.shape[2], images.shape[3]))
        images = torch.where(box[:, None], others, images)
        if dense:
            return images, torch.where(box, target.roll(1, 0), target)
        weight = 1 - box.float().mean((1, 2))[:, None]  # the share of whole pixels, as the image has it
    return images, torch.lerp(target.roll(1, 0), target, weight)


def soft(labels: Tensor, num_classes: int) -> Tensor:
    """(B, K) float32: one-hot rows of class indices (B,); labels that already are rows (B, K) pass."""
    if labels.ndim == 2:
        return labels
    rows = torch.zeros(len(labels), num_classes, device=labels.device)
    return rows.scatter_(1, labels[:, None], 1.0)
