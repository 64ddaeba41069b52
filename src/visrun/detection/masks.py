"""Masks of objects at a quarter of the training image's size, and the network's as sums of prototypes.

A mask is a sum of prototypes that all objects of an image share, weighted by what the object's location says, and cut
to its box (Bolya et al. 2019, YOLACT, arXiv 1904.02689). Legend: B images, M objects, N masks an image, P prototypes,
h x w pixels of a mask.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from visrun.boxes.formats import turn, xyxy_to_le90
from visrun.boxes.numbers import wide
from visrun.data.objects import MASK_STRIDE

TINY = 1e-6
MARGIN = 0.1  # of a box's side, by which a mask is learnt beyond it: found boxes are never exact


def of_objects(masks: Tensor, numbers: Tensor) -> Tensor:
    """(B, layers, h, w) object numbers and (B, N) of them -> (B, N, h, w) bool; nothing for number 0."""
    wanted = numbers.to(masks.dtype)[:, :, None, None]
    found = torch.stack([layer[:, None] == wanted for layer in masks.unbind(1)]).any(0)
    return found & (wanted > 0)


def between_cells(masks: Tensor) -> Tensor:
    """(..., h, w) bool -> (...): whose object lies between the cells, as a small one may; it must not teach that empty
    mask."""
    return ~masks.flatten(-2).any(-1)


def logits_of(coefficients: Tensor, prototypes: Tensor) -> Tensor:
    """(B, N, P) and (B, P, h, w) -> (B, N, h, w) float32."""
    return (wide(coefficients) @ wide(prototypes).flatten(2)).unflatten(-1, prototypes.shape[2:])


def within(boxes: Tensor, size: tuple[int, int], *, margin: float = 0.0) -> Tensor:
    """Which pixels of a mask lie in each box: (..., 4) xyxy of the training image -> (..., h, w) bool.

    Args:
        size: (h, w).
        margin: Share of a box's side by which it is enlarged on each side; at least one pixel, unless it is 0.
    """
    boxes = wide(boxes) / MASK_STRIDE
    reach = (margin * (boxes[..., 2:] - boxes[..., :2])).clamp(min=1.0 if margin else 0.0)
    low, high = boxes[..., :2] - reach, boxes[..., 2:] + reach
    y, x = (torch.arange(count, device=boxes.device) + 0.5 for count in size)
    across = (x > low[..., None, 0]) & (x < high[..., None, 0])
    down = (y > low[..., None, 1]) & (y < high[..., None, 1])
    return down[..., :, None] & across[..., None, :]


def filled(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Turned boxes drawn at the training image's own pixels: (N, 5) le90 -> (N, height, width) bool.

    Args:
        size: (height, width) of the training image.
    """
    y, x = (torch.arange(count, device=boxes.device) + 0.5 for count in size)
    dx, dy = x[None, None, :] - boxes[:, 0, None, None], y[None, :, None] - boxes[:, 1, None, None]
    along, across = turn(dx, dy, -boxes[:, 4, None, None])
    return (along.abs() <= boxes[:, 2, None, None] / 2) & (across.abs() <= boxes[:, 3, None, None] / 2)


def enlarged(masks: Tensor, boxes: Tensor) -> Tensor:
    """Masks at the training image's own pixels: (N, h, w) and (N, 4) xyxy -> (N, 4 h, 4 w) bool.

    An object between the cells fills its box.
    """
    page = masks.repeat_interleave(MASK_STRIDE, 1).repeat_interleave(MASK_STRIDE, 2)
    lost = between_cells(masks)
    page[lost] = filled(xyxy_to_le90(boxes[lost]), (page.shape[1], page.shape[2]))
    return page


def pasted(masks: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Masks that fill their boxes, drawn where the boxes are: (N, s, s) and (N, 4) xyxy -> (N, h, w), bilinear.

    Args:
        boxes: In pixels of what is drawn, (h, w) = ``size``.
    """
    y, x = (torch.arange(count, device=boxes.device) + 0.5 for count in size)
    side = (boxes[:, 2:] - boxes[:, :2]).clamp(min=TINY)
    u = 2 * (x - boxes[:, :1]) / side[:, :1] - 1
    v = 2 * (y - boxes[:, 1:2]) / side[:, 1:2] - 1
    grid = torch.stack([u[:, None, :].expand(-1, size[0], -1), v[:, :, None].expand(-1, -1, size[1])], -1)
    drawn = F.grid_sample(masks[:, None], grid, mode="bilinear", padding_mode="border", align_corners=False)[:, 0]
    return torch.where((grid.abs() <= 1).all(-1), drawn, 0.0)


def as_bytes(probabilities: Tensor) -> Tensor:
    """Probabilities as uint8, 255 times."""
    return (255 * probabilities).round().to(torch.uint8)
