"""Augmentations by name, for ``augment.extra=[blur,noise]``: functions of whole batches that leave targets as they are.

Each is ``(images, rng) -> images``: images (B, 3, H, W), normalised, on the training device; ``rng`` is keyed on
(seed, epoch, step), so draw what is random from it, on the host, and send it in one piece. One whose signature names
``mean`` or ``std`` is given what the images were normalised with. A plugin adds its own with
``visrun.tables.AUGMENTATIONS["mine"] = "my_package:mine"``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from visrun.data.augment import LUMA
from visrun.data.rendering import tint
from visrun.data.stream import sent

SHARE = 0.3  # of the samples that an augmentation changes
BLUR = (0.3, 1.5)  # standard deviation in pixels
TAPS = 7  # of the blur's kernel
NOISE = 0.15  # largest standard deviation, in the units of normalised images


def blur(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Gaussian blur of some samples, as a camera out of focus (SimCLR, arXiv 2002.05709, appendix A)."""
    sigma = np.where(rng.random(len(images)) < SHARE, rng.uniform(*BLUR, len(images)), 1e-3)
    at = np.arange(TAPS) - TAPS // 2
    weights = np.exp(-0.5 * (at / sigma[:, None]) ** 2)
    kernel = _sent(weights / weights.sum(1, keepdims=True), images)
    batch, channels, height, width = images.shape
    flat = F.pad(images.reshape(1, batch * channels, height, width), [TAPS // 2] * 4, mode="replicate")
    taps = kernel.repeat_interleave(channels, 0)
    flat = F.conv2d(flat, taps[:, None, :, None], groups=batch * channels)
    return F.conv2d(flat, taps[:, None, None, :], groups=batch * channels).view(batch, channels, height, width)


def grayscale(images: Tensor, rng: np.random.Generator, *, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Some samples without colour: every pixel at its luma, which leaves grey as it is; beyond the picture still 0."""
    chosen = (rng.random(len(images)) < SHARE)[:, None, None]
    luma, grey = LUMA * std, LUMA @ mean - mean  # of a normalised pixel, and what it lies beyond the mean colour
    matrix = np.column_stack([np.broadcast_to(luma, (3, 3)), grey]) / np.reshape(std, (3, 1))
    tinted = tint(images, _sent(np.where(chosen, matrix, np.eye(3, 4)), images), mixes_channels=True)
    return torch.where((images != 0).any(1, keepdim=True), tinted, images)


def noise(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Gaussian noise of a strength drawn for each sample."""
    strength = _sent(rng.random(len(images)) * NOISE, images).view(-1, 1, 1, 1)
    generator = torch.Generator(images.device).manual_seed(int(rng.integers(2**62)))
    drawn = torch.randn(images.shape, generator=generator, device=images.device, dtype=images.dtype)
    return images + strength * drawn


def _sent(values: np.ndarray, images: Tensor) -> Tensor:
    return sent(torch.from_numpy(values.astype(np.float32)), images.device).to(images.dtype)
