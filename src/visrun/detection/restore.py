"""From pixels of the training image back to those of the file: boxes, turned boxes and masks.

Legend: n masks of H / 4 x W / 4 cells, a x b pixels of a window of the file.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from visrun.boxes import clip_xyxy, rotated_intersection
from visrun.data.objects import LEAST, MASK_STRIDE
from visrun.data.placement import Place, centre_of
from visrun.detection.matching import Ints
from visrun.detection.runs import Runs, encoded

HALF = 127.5  # of a mask's 255: from here on a pixel belongs to the object
PIXELS = 1 << 24  # of masks drawn at a time


def restore_boxes(boxes: Tensor, place: Place) -> Tensor:
    """(n, 4) xyxy of the training image as (n, 4) of the file, cut to it."""
    return clip_xyxy(place.points(boxes.unflatten(-1, (2, 2))).flatten(-2), place.size)


def restore_rotated(boxes: Tensor, place: Place) -> Tensor:
    """(n, 5) le90 of the training image as (n, 5) of the file; they may stick out of it."""
    return torch.cat([place.points(boxes[..., :2]), boxes[..., 2:4] * place.scale, boxes[..., 4:]], -1)


def shown(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """(n,) whether the file, of ``size`` (h, w), shows something of restored boxes (n, 4 or 5): not the padding alone.

    An upright box, which is cut to the file, has a size then; a turned one reaches into it.
    """
    if boxes.shape[1] == 4:
        return (boxes[:, 2:] - boxes[:, :2] >= LEAST).all(1)
    height, width = size
    file = boxes.new_tensor([width / 2, height / 2, width, height, 0.0])
    return rotated_intersection(boxes, file) >= LEAST**2


def restore_masks(masks: Tensor, place: Place) -> list[Runs]:
    """(n, H / 4, W / 4) uint8, 255 times a probability, as runs over the file: the pixels where, bilinear, it is half.

    Each is drawn only where the file can have such pixels, since most objects are small beside it.
    """
    corners, sizes = _windows(masks, place)
    found: list[Runs] = [{}] * len(masks)
    for rows in _alike(sizes):
        some = masks[torch.from_numpy(rows).to(masks.device)].float()
        crops = _drawn(some, place, corners[rows], sizes[rows].max(0))
        for row, runs in zip(rows.tolist(), encoded(crops, corners[rows], place.size), strict=True):
            found[row] = runs
    return found


def _windows(masks: Tensor, place: Place) -> tuple[Ints, Ints]:
    """Top and left pixel, and height and width, of the window outside of which each mask has no pixel: (n, 2) twice.

    What lies a cell or more from the centre of every cell that reaches a half does not reach it.
    """
    cells, corners, sizes = masks >= HALF, [], []
    for side, (begin, end) in enumerate(_spans(place)):
        there = cells.any(2 - side).cpu().numpy()
        first, last = there.argmax(1), there.shape[1] - 1 - there[:, ::-1].argmax(1)
        scale = place.size[side] / (end - begin)
        low = np.floor(((first - 0.5) * MASK_STRIDE - begin) * scale - 1).clip(0, place.size[side])
        high = np.ceil(((last + 1.5) * MASK_STRIDE - begin) * scale + 1).clip(0, place.size[side])
        corners.append(low)
        sizes.append(np.where(there.any(1), high - low, 0).clip(min=1))
    return np.stack(corners, 1).astype(np.int64), np.stack(sizes, 1).astype(np.int64)


def _alike(sizes: Ints) -> list[Ints]:
    """Rows in groups to be drawn at once: their windows (n, 2) are alike and together have few pixels."""
    kinds = np.log2(sizes).astype(np.int64)
    groups = [np.flatnonzero((kinds == kind).all(1)) for kind in np.unique(kinds, axis=0)]
    return [
        rows[begin : begin + some]
        for rows in groups
        for some in (max(1, PIXELS // int(sizes[rows].max(0).prod())),)
        for begin in range(0, len(rows), some)
    ]


def _drawn(masks: Tensor, place: Place, corners: Ints, size: Ints) -> Tensor:
    """(n, a, b) bool: masks (n, H / 4, W / 4) float32 in windows of one size of the file, False beyond it."""
    axes, seen = [], []
    for side, (begin, end) in enumerate(_spans(place)):
        pixel = torch.from_numpy(corners[:, side, None] + np.arange(size[side])).to(masks.device)
        centre = centre_of(pixel, place.size[side], begin, end)
        axes.append((centre / (masks.shape[1 + side] * MASK_STRIDE) * 2 - 1).float())  # from -1 to 1 across the mask
        seen.append((axes[-1].abs() <= 1) & (pixel < place.size[side]))
    y, x = axes[0][:, :, None].expand(-1, -1, size[1]), axes[1][:, None, :].expand(-1, size[0], -1)
    grid = torch.stack([x, y], -1)
    found = F.grid_sample(masks[:, None], grid, mode="bilinear", padding_mode="border", align_corners=False)[:, 0]
    return (found >= HALF) & seen[0][:, :, None] & seen[1][:, None, :]


def _spans(place: Place) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where the file begins and ends in the training image, down and across."""
    left, top, right, bottom = place.box
    return (top, bottom), (left, right)
