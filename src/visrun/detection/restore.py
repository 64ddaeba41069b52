"""From pixels of the training image back to those of the file: boxes, turned boxes and masks."""

from __future__ import annotations

import torch
from torch import Tensor

from visrun.boxes import clip_xyxy
from visrun.data.objects import MASK_STRIDE
from visrun.data.placement import Place

HALF = 127.5  # of a mask's 255: from here on a pixel belongs to the object
PIXELS = 1 << 24  # of masks drawn at a time


def restore_boxes(boxes: Tensor, place: Place) -> Tensor:
    """(n, 4) xyxy of the training image as (n, 4) of the file, cut to it."""
    return clip_xyxy(place.points(boxes.unflatten(-1, (2, 2))).flatten(-2), place.size)


def restore_rotated(boxes: Tensor, place: Place) -> Tensor:
    """(n, 5) le90 of the training image as (n, 5) of the file; they may stick out of it."""
    return torch.cat([place.points(boxes[..., :2]), boxes[..., 2:4] * place.scale, boxes[..., 4:]], -1)


def restore_masks(masks: Tensor, place: Place) -> Tensor:
    """(n, H / 4, W / 4) uint8, 255 times a probability, as (n, h, w) bool of the file."""
    height, width = place.size
    some = max(1, PIXELS // max(1, height * width))
    parts = [place.back_maps(part.float(), MASK_STRIDE) >= HALF for part in masks.split(some) if len(part)]
    return torch.cat(parts) if parts else torch.zeros(0, height, width, dtype=torch.bool, device=masks.device)
