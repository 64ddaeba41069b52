"""Training images and masks from kept pixels, by the table of a `visrun.data.augment.Plan`, in a handful of kernels on
the training device. Nothing waits for it.

Legend: B samples, Q pictures a sample (4 where there are mosaics, else 1), H x W training image, Hc x Wc canvas,
P columns of the table, L layers of masks.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from visrun.data import mixing
from visrun.data.augment import COLOUR, END, ERASED, SLOT, SPLIT, TILES, VIEW, Plan
from visrun.data.ids import IGNORE

NUDGE = 0.1  # of half a pixel: decides between two that are equally near, far beyond the rounding of float32


def slots(table: Tensor, pictures: int) -> Tensor:
    """(B, Q, SLOT) the columns of each picture, from (B, P)."""
    return table[:, : pictures * SLOT].unflatten(1, (pictures, SLOT))


def render_images(pixels: Tensor, plan: Plan, table: Tensor, image_size: tuple[int, int]) -> Tensor:
    """Normalised training images (B, 3, H, W) float32; 0, the mean colour, outside the picture.

    Args:
        pixels: (B * Q, Hc, Wc, 3) uint8.
        table: (B, P), the step's part of ``plan.table``, on the device of ``pixels``.
    """
    images = pixels.permute(0, 3, 1, 2)
    outside = None
    if plan.corner is not None:
        images = _slice(images, plan.corner, image_size).float()
    else:
        grid, outside = _looked_at(plan, table, image_size, images.shape)
        images = _sample(_atlas(images, plan.pictures).float(), grid, "bilinear")
    images = tint(images, columns(plan, table)[:, COLOUR].unflatten(1, (3, 4)), plan.tints)
    for hidden in (outside, _erased(plan, table, image_size)):
        if hidden is not None:
            images = images.masked_fill_(hidden[:, None], 0.0)
    return images


def seen(images: Tensor) -> Tensor:
    """(B, H, W) bool: where training images (B, 3, H, W) show their pictures: beyond them all colours are 0, and in
    them none is, see `visrun.data.look`.

    One that is 0 all over counts as a picture.
    """
    shown = (images != 0).any(1)
    return shown | ~shown.any((1, 2), keepdim=True)


def render_ids(masks: Tensor, plan: Plan, table: Tensor, image_size: tuple[int, int]) -> Tensor:
    """Class ids (B, H, W) int64, 255 outside the picture and where it was erased, from (B, 1, Hc, Wc) uint8."""
    ids, outside = _picked(masks, plan, table, image_size, stride=1)
    ids = ids[:, 0].long()
    for hidden in (outside, _erased(plan, table, image_size)):
        if hidden is not None:
            ids = ids.masked_fill_(hidden, IGNORE)
    return ids


def render_layers(masks: Tensor, plan: Plan, table: Tensor, image_size: tuple[int, int], *, stride: int) -> Tensor:
    """Numbers of objects (B, L, H / stride, W / stride) int16, 0 = none, from (B * Q, L, Hc, Wc) uint8.

    In a mosaic the numbers of picture q have 256 * q added. Where the middle of a cell lies between pixels, as it does
    with an even ``stride`` at the training scale, every other cell, as on a chessboard, takes the pixel after it and
    the rest the one before, so that masks move to neither side.
    """
    layers, outside = _picked(masks, plan, table, image_size, stride=stride)
    layers = layers.to(torch.int16)
    if plan.pictures > 1:
        right, low = _sides(plan, table, (layers.shape[2], layers.shape[3]))
        slot = 256 * (right[:, None, None, :].to(torch.int16) + 2 * low[:, None, :, None].to(torch.int16))
        layers = torch.where(layers > 0, layers + slot, layers)
    return layers if outside is None else layers.masked_fill_(outside[:, None], 0)


def columns(plan: Plan, table: Tensor) -> Tensor:
    """(B, REST), what belongs to the whole sample."""
    return table[:, plan.pictures * SLOT :]


def _picked(
    masks: Tensor, plan: Plan, table: Tensor, image_size: tuple[int, int], *, stride: int
) -> tuple[Tensor, Tensor | None]:
    """(B, L, H / stride, W / stride): what stands in the masks under the middle of each cell, and what lies outside."""
    size = image_size[0] // stride, image_size[1] // stride
    board = _chessboard(size, masks.device) if stride % 2 == 0 else None
    if plan.corner is not None:
        shown = _slice(masks, plan.corner, image_size)
        before, after = (shown[..., at::stride, at::stride] for at in ((stride - 1) // 2, stride // 2))
        return (after if board is None else torch.where(board, after, before)), None
    grid, outside = _looked_at(plan, table, size, masks.shape)
    pages = _atlas(masks, plan.pictures).float()
    if board is not None:
        aside = NUDGE * _half(pages.shape[-1], pages.shape[-2], pages.device)
        grid = torch.where(board[..., None], grid + aside, grid - aside)
    return _sample(pages, grid, "nearest"), outside


@lru_cache(maxsize=8)
def _chessboard(size: tuple[int, int], device: torch.device) -> Tensor:
    """(H, W) bool; kept, since every batch asks for the same."""
    y, x = (torch.arange(n, device=device) for n in size)
    return (y[:, None] + x) % 2 == 1


def _looked_at(plan: Plan, table: Tensor, size: tuple[int, int], shape: torch.Size) -> tuple[Tensor, Tensor | None]:
    """Where each pixel of (B, H, W) looks, in the canvas or the page of four, as `grid_sample` has it, and whether it
    lies beyond its picture, where one can.

    Args:
        shape: Of the canvases, (..., Hc, Wc).
    """
    own = slots(table, plan.pictures)
    views, ends = own[..., VIEW].unflatten(2, (2, 3)), own[..., END]
    if plan.pictures == 1:
        grid = _grid(views[:, 0], size)
        return grid, _outside(grid, ends[:, 0, None, None]) if plan.pads else None
    right, low = (side[:, None] for side in _sides(plan, table, size))
    y, x = (2 * mixing.centres(n, table.device) - 1 for n in size)
    across = views[..., :1] * x  # (B, 4, 2, W)
    down = torch.addcmul(views[..., 2:], views[..., 1:2], y)  # (B, 4, 2, H)
    upper, lower = (torch.where(right, across[:, i + 1], across[:, i])[:, :, None] for i in (0, 2))
    left, beyond = (torch.where(low, down[:, i + 2], down[:, i])[..., None] for i in (0, 1))
    low, right = low[..., None], right[:, :, None]
    grid = (torch.where(low, lower, upper) + torch.where(right, beyond, left)).permute(0, 2, 3, 1)
    end = ends[..., None, None]
    end = torch.where(low, torch.where(right, end[:, 3], end[:, 2]), torch.where(right, end[:, 1], end[:, 0]))
    end = end.permute(0, 2, 3, 1)
    half = _half(shape[-1], shape[-2], table.device)  # no colour of the picture beside it
    inside = torch.minimum(torch.maximum(grid, half - 1), end - half)
    place = torch.cat([right.expand(-1, -1, *size), low.expand(-1, -1, *size)], 1).permute(0, 2, 3, 1)
    return (inside + 1) / 2 + place.float() - 1, _outside(grid, end)


@lru_cache(maxsize=8)
def _half(wide: int, high: int, device: torch.device) -> Tensor:
    """(2,) half a pixel of the canvas along x and y; kept, since every batch asks for the same."""
    return torch.tensor([1 / wide, 1 / high], device=device)


def _sides(plan: Plan, table: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """(B, W) and (B, H) bool: right of, and below, the point where the four pictures meet."""
    meet = columns(plan, table)[:, SPLIT]
    y, x = (mixing.centres(n, table.device) for n in size)
    return x >= meet[:, :1], y >= meet[:, 1:]


def _atlas(images: Tensor, pictures: int) -> Tensor:
    """(B, C, 2 Hc, 2 Wc) pages of four, from (B * 4, C, Hc, Wc); single pictures pass."""
    if pictures == 1:
        return images
    channels, high, wide = images.shape[1:]
    four = images.reshape(-1, TILES // 2, 2, channels, high, wide)
    return four.permute(0, 3, 1, 4, 2, 5).reshape(-1, channels, 2 * high, 2 * wide)


def _erased(plan: Plan, table: Tensor, image_size: tuple[int, int]) -> Tensor | None:
    return mixing.inside(columns(plan, table)[:, ERASED], image_size) if plan.erases else None


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
    return ((grid < -1) | (grid >= end)).any(-1)


def tint(images: Tensor, matrix: Tensor, mixes_channels: bool) -> Tensor:
    """``images`` (B, 3, H, W) through the affine map ``matrix`` (B, 3, 4), channels last; element-wise, which on three
    channels beats a matrix product on both devices and stays exact under TF32."""
    columns = matrix[:, :, :, None, None]
    tinted = torch.empty_like(images, memory_format=torch.channels_last)
    if not mixes_channels:
        gain = matrix.diagonal(dim1=1, dim2=2)[:, :, None, None]
        return torch.addcmul(columns[:, :, 3], images, gain, out=tinted)
    mixed = torch.addcmul(columns[:, :, 3], images[:, 0:1], columns[:, :, 0])
    mixed.addcmul_(images[:, 1:2], columns[:, :, 1])
    return torch.addcmul(mixed, images[:, 2:3], columns[:, :, 2], out=tinted)
