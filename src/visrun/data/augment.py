"""Augmentation of whole batches on the training device.

`plan` draws on the host, for many steps at once, and packs what the device needs into one small table; `render` turns
kept pixels into training images by it in a handful of kernels. Nothing waits for the device.

Colour is one affine map of RGB per sample: brightness, then saturation and hue (a turn in the YIQ plane; Haeberli,
"Matrix operations for image processing", 1993), then contrast about the mean colour the network expects, then
normalisation. Erasing is Zhong et al., arXiv 1708.04896, with the mean colour as the fill.

Legend: S steps, B samples, H x W training image, Hc x Wc canvas, P columns of the table.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from visrun.data import geometry, mixing
from visrun.data.geometry import Array, Fit

IGNORE = 255
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
YIQ = np.array([LUMA, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
ERASED_AREA = (0.02, 0.33)
ERASED_ASPECT = math.log(1 / 0.3)
# Columns of the table: the view, the picture's end in the canvas, colour, the erased box, the mixing weight and box.
VIEW, END, COLOUR, ERASED, MIX = slice(0, 6), slice(6, 8), slice(8, 20), slice(20, 24), slice(24, 29)
COLUMNS = 29
# What a kind of target can take: a value may count what a rectangle would hide, a mask has no half classes.
TAKES = {"label": {"mixup", "cutmix", "erase"}, "value": {"mixup"}, "mask": {"cutmix", "erase"}, "none": {"erase"}}


@dataclass(frozen=True, kw_only=True)
class Augment:
    """How training images vary; the defaults vary nothing.

    Args:
        crop_scale: Low and high share of the picture's area that a random crop or zoom keeps (of a letterbox: that
            the picture covers, at least 0.64). (1, 1) = evaluation's view.
        hflip: Mirror left and right in half of the samples; vflip: top and bottom.
        rotate: Largest turn to either side, degrees in [0, 180].
        brightness: Largest relative change, in [0, 1]; so contrast and saturation.
        hue: Largest turn of the colour circle, in [0, 0.5] turns.
        mixup: Alpha of mixup, cutmix: of CutMix; 0 = off. With both, each batch takes one of them.
        erase: Probability of erasing a rectangle, in [0, 1].
    """

    crop_scale: tuple[float, float] = (1.0, 1.0)
    hflip: bool = False
    vflip: bool = False
    rotate: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    erase: float = 0.0


@dataclass(frozen=True)
class Plan:
    """What happens to the batches of S steps, decided on the host.

    Args:
        table: (S, B, P) float32, the only part that the device sees.
        corner: (top, left) where a slice of the canvas is the view of every sample, else None.
        tints: Whether channels mix (saturation, hue), or are only scaled.
        pads: Whether a view can reach beyond its picture.
        erases: Whether any sample may lose a rectangle.
        mix: For each step "", "mixup" or "cutmix".
    """

    table: NDArray[np.float32]
    corner: tuple[int, int] | None
    tints: bool
    pads: bool
    erases: bool
    mix: tuple[str, ...]


def fitting(augment: Augment, kind: str) -> tuple[Augment, tuple[str, ...]]:
    """``augment`` without the parts that a target of ``kind`` cannot take, and the names of those that were on."""
    dropped = tuple(n for n in ("mixup", "cutmix", "erase") if getattr(augment, n) and n not in TAKES[kind])
    off: dict[str, Any] = dict.fromkeys(dropped, 0.0)
    return replace(augment, **off), dropped


def plan(
    rngs: Sequence[np.random.Generator],
    sizes: Array,
    *,
    image_size: tuple[int, int],
    canvas: tuple[int, int],
    fit: Fit,
    augment: Augment | None,
    mean: Sequence[float],
    std: Sequence[float],
) -> Plan:
    """Draw everything for the batches of S steps.

    Args:
        rngs: One for each step, keyed on it; every part draws its numbers also when it is off, so switching one off
            leaves the others as they were.
        sizes: (S, B, 2) height and width of the pictures in their canvas.
        augment: None for evaluation.
        mean: 3 floats in [0, 1], with ``std`` what the network's weights expect.
    """
    how = augment or Augment()
    steps, n, _ = sizes.shape
    draws = np.concatenate([rng.random((n, 16)) for rng in rngs])
    mixes = [mixing.draw(rng, n, mixup=how.mixup, cutmix=how.cutmix) for rng in rngs]
    flat = sizes.reshape(-1, 2)
    view = _view(flat, image_size, fit, how, draws)
    table = np.empty((steps * n, COLUMNS), np.float32)
    table[:, VIEW] = geometry.matrices(view, canvas).reshape(-1, 6)
    table[:, END] = 2 * flat[:, ::-1] / (canvas[1], canvas[0]) - 1
    table[:, COLOUR] = colour(draws[:, 7:11], how, mean, std).reshape(-1, 12)
    table[:, ERASED] = _erased(draws[:, 11:16], how.erase)
    table[:, MIX] = np.concatenate([numbers for _, numbers in mixes])
    return Plan(
        table=table.reshape(steps, n, COLUMNS),
        corner=geometry.window(view, image_size, canvas),
        tints=bool(how.saturation or how.hue),
        pads=fit != "crop",
        erases=bool(how.erase),
        mix=tuple(name for name, _ in mixes),
    )


def colour(draws: Array, augment: Augment, mean: Sequence[float], std: Sequence[float]) -> Array:
    """(B, 3, 4): from RGB in [0, 255] and 1 to normalised RGB. ``draws`` (B, 4) in [0, 1): brightness, contrast,
    saturation, hue."""
    bright, contrast, saturation = (
        1 + (2 * draws[:, i] - 1) * part
        for i, part in enumerate((augment.brightness, augment.contrast, augment.saturation))
    )
    linear = np.broadcast_to(np.eye(3), (len(draws), 3, 3))
    if augment.saturation:
        grey = np.broadcast_to(LUMA, (3, 3))
        linear = grey + saturation[:, None, None] * (np.eye(3) - grey)
    if augment.hue:
        linear = _hue((2 * draws[:, 3] - 1) * augment.hue) @ linear
    gain = contrast[:, None] / np.asarray(std)
    matrix = linear * (bright[:, None] * gain / 255)[:, :, None]
    return np.concatenate([matrix, -(gain * mean)[:, :, None]], 2)


def render(
    pixels: Tensor, masks: Tensor | None, plan: Plan, table: Tensor, image_size: tuple[int, int]
) -> tuple[Tensor, Tensor | None]:
    """The training images, normalised, and their masks.

    Args:
        pixels: (B, Hc, Wc, 3) uint8.
        masks: (B, Hc, Wc) uint8 or None.
        table: (B, P), the step's part of ``plan.table``, on the device of ``pixels``.

    Returns:
        images (B, 3, H, W) float32 and masks (B, H, W) int64 with 255 outside the picture, or None.
    """
    images, outside = pixels.permute(0, 3, 1, 2), None
    if plan.corner is not None:
        images = _slice(images, plan.corner, image_size).float()
        masks = None if masks is None else _slice(masks, plan.corner, image_size)
    else:
        grid = _grid(table[:, VIEW].unflatten(1, (2, 3)), image_size)
        images = _sample(images.float(), grid, "bilinear")
        masks = None if masks is None else _sample(masks[:, None].float(), grid, "nearest")[:, 0]
        outside = _outside(grid, table[:, END]) if plan.pads else None
    images = _tint(images, table[:, COLOUR].unflatten(1, (3, 4)), plan.tints)
    masks = None if masks is None else masks.long()
    box = mixing.inside(table[:, ERASED], image_size) if plan.erases else None
    for hidden in (outside, box):
        if hidden is not None:
            images = images.masked_fill_(hidden[:, None], 0.0)
            masks = None if masks is None else masks.masked_fill_(hidden, IGNORE)
    return images, masks


def _view(sizes: Array, image_size: tuple[int, int], fit: Fit, how: Augment, draws: Array) -> geometry.View:
    turn = np.radians((2 * draws[:, 4] - 1) * how.rotate)
    if tuple(how.crop_scale) == (1.0, 1.0) and not how.rotate:
        view = geometry.centred(sizes, image_size, fit)
    else:
        where = draws[:, :4] if tuple(how.crop_scale) != (1.0, 1.0) else np.full((len(sizes), 4), 0.5)
        view = geometry.RANDOM[fit](sizes, image_size, where, how.crop_scale, turn)
    return geometry.flipped(view, how.hflip & (draws[:, 5] < 0.5), how.vflip & (draws[:, 6] < 0.5))


def _hue(turns: Array) -> Array:
    cos, sin = np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)
    turned = np.zeros((len(turns), 3, 3))
    turned[:, 0, 0] = 1
    turned[:, 1, 1] = turned[:, 2, 2] = cos
    turned[:, 1, 2], turned[:, 2, 1] = -sin, sin
    return np.linalg.inv(YIQ) @ turned @ YIQ


def _erased(draws: Array, probability: float) -> Array:
    """(B, 4) top, bottom, left, right as shares of the image; an empty box where nothing is erased."""
    area = ERASED_AREA[0] + draws[:, 1] * (ERASED_AREA[1] - ERASED_AREA[0])
    aspect = np.exp((2 * draws[:, 2] - 1) * ERASED_ASPECT)
    high, wide = np.minimum(np.sqrt(area / aspect), 1.0), np.minimum(np.sqrt(area * aspect), 1.0)
    top, left = draws[:, 3] * (1 - high), draws[:, 4] * (1 - wide)
    return np.stack([top, top + high, left, left + wide], 1) * (draws[:, :1] < probability)


def _slice(array: Tensor, corner: tuple[int, int], image_size: tuple[int, int]) -> Tensor:
    return array[..., corner[0] : corner[0] + image_size[0], corner[1] : corner[1] + image_size[1]]


def _grid(matrix: Tensor, image_size: tuple[int, int]) -> Tensor:
    """(B, H, W, 2) where in the canvas each training pixel looks, from (B, 2, 3). (`affine_grid` would go through a
    matrix product, which is slow on small images and may round to TF32.)"""
    y, x = (2 * mixing.centres(n, matrix.device) - 1 for n in image_size)
    across = x * matrix[:, :, :1]  # (B, 2, W)
    down = torch.addcmul(matrix[:, :, 2:], y, matrix[:, :, 1:2])  # (B, 2, H)
    return (across[:, :, None, :] + down[:, :, :, None]).permute(0, 2, 3, 1)


def _sample(images: Tensor, grid: Tensor, mode: str) -> Tensor:
    return F.grid_sample(images, grid, mode=mode, padding_mode="border", align_corners=False)


def _outside(grid: Tensor, end: Tensor) -> Tensor:
    """(B, H, W) bool: pixels whose centre lies beyond the picture, which covers [-1, end) of the canvas."""
    return ((grid < -1) | (grid >= end[:, None, None])).any(-1)


def _tint(images: Tensor, matrix: Tensor, mixes_channels: bool) -> Tensor:
    """``images`` (B, 3, H, W) through the affine map ``matrix`` (B, 3, 4); element-wise, which on three channels beats
    a matrix product on both devices and stays exact under TF32."""
    columns = matrix[:, :, :, None, None]
    if not mixes_channels:
        gain = matrix.diagonal(dim1=1, dim2=2)[:, :, None, None]
        return torch.addcmul(columns[:, :, 3], images, gain)
    tinted = torch.addcmul(columns[:, :, 3], images[:, 0:1], columns[:, :, 0])
    tinted.addcmul_(images[:, 1:2], columns[:, :, 1])
    return tinted.addcmul_(images[:, 2:3], columns[:, :, 2])
