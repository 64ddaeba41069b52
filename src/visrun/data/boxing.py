"""The boxes of whole batches, moved with the pixels that `visrun.data.rendering` shows.

`table` packs the objects of a split once, in pixels of the kept pictures; `render` takes a batch's rows of it through
the views that its pixels are taken through. Shapes are fixed and nothing is read back: it all stays on the device.

An upright box is the box around points of its object, and so stays tight when the picture turns: its outline's
outermost ones in POINTS directions, or those of the ellipse that fills its box (Kalra et al. 2021, arXiv 2109.13488).
Where the edge of the image, of a mosaic's part or of a tile cuts an object, its box ends there; where too little is
left of it, it is ignored. A turned box stays whole, and is ignored where its centre is cut off; it stays a
rectangle, since only random crops stretch, which tasks with objects refuse.

Legend: N images, S rows for objects, n objects, B samples, Q pictures a sample, M rows of a target, C columns,
H x W training image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visrun import boxes
from visrun.data.augment import BACK, SPLIT, Plan
from visrun.data.objects import ID, IGNORED, LABEL, MOST_MASKED, POINTS, Objects, outermost
from visrun.data.outlines import Floats
from visrun.data.rendering import columns, slots
from visrun.data.tiles import borders

LEAST_SEEN = 0.2  # share of an upright box below which what is left of it is no example
SMALLEST = 1.0  # pixels of the training image: what has a smaller side is none
MOST = 300  # rows of a mosaic's target, unless a single picture has more
HEAD = 3  # columns before those of the shape: label, ignored, number


@dataclass(frozen=True, eq=False)
class Table:
    """The objects of N pictures one after another, so that a crowded picture takes no room in the others.

    Columns: label, ignored, number in the masks, then a le90 box, or the points of an upright box, cut at the borders
    of a tile, and the share of the box that these leave.

    Args:
        rows: (n + 1, C) float32, in pixels of the kept pictures; the last row is -1.
        first: (N,) int64 the row of each picture's first object.
        counts: (N,) int64 how many objects each picture has.
        most: S, the largest count, at least 1: batches of one shape need the same room for every picture.
    """

    rows: Tensor
    first: Tensor
    counts: Tensor
    most: int

    def __len__(self) -> int:
        return len(self.counts)

    def to(self, device: torch.device) -> Table:
        """On ``device``."""
        return Table(self.rows.to(device), self.first.to(device), self.counts.to(device), self.most)

    def padded(self, pictures: Tensor) -> Tensor:
        """The objects of ``pictures`` (P,) int64: (P, S, C), rows beyond them -1."""
        number = torch.arange(self.most, device=self.rows.device)
        place = self.first[pictures, None] + number
        place = torch.where(number < self.counts[pictures, None], place, len(self.rows) - 1)
        return self.rows.index_select(0, place.flatten()).unflatten(0, place.shape)


def table(
    objects: Sequence[Objects],
    windows: NDArray[np.int64],
    kept: NDArray[np.int64],
    *,
    wholes: NDArray[np.int64],
    kind: str,
) -> Table:
    """The objects of N pictures, in pixels of the kept pictures.

    Args:
        objects: Of each file; with quads for rotated_boxes, with outlines for instances.
        windows: (N, 4) left, top, right, bottom: the part of the file that the picture is.
        kept: (N, 2) height and width at which it is kept.
        wholes: (N, 2) height and width of the file.
        kind: Of `visrun.tables.TARGETS`, one of objects.
    """
    pictures = zip(objects, windows, kept, wholes, strict=True)
    parts = [_rows(*picture, kind) for picture in pictures]
    counts = torch.tensor([*map(len, parts)], dtype=torch.int64)
    padding = np.full((1, HEAD + _width(kind)), -1, np.float32)
    rows = torch.from_numpy(np.concatenate([*parts, padding]))
    return Table(rows, counts.cumsum(0) - counts, counts, max([1, *counts.tolist()]))


def rows_of_target(packed: Table, pictures: int) -> int:
    """M, for samples of ``pictures`` pictures with the objects of ``packed``."""
    return min(pictures * packed.most, max(packed.most, MOST))


def narrowest(several: Sequence[Objects], kind: str) -> Floats:
    """(n,) the shorter side of each object as it is learnt, in pixels of its file."""
    if kind == "rotated_boxes":
        corners = np.concatenate([np.zeros((0, 4, 2)), *(objects.corners() for objects in several)])
        return boxes.points_to_le90(torch.from_numpy(corners)).numpy()[:, 2:4].min(1)
    upright = np.concatenate([np.zeros((0, 4)), *(objects.boxes for objects in several)])
    return (upright[:, 2:] - upright[:, :2]).min(1)


def render(rows: Tensor, plan: Plan, step: Tensor, image_size: tuple[int, int], *, most: int, kind: str) -> Tensor:
    """The target of a batch (B, M, C), its columns as in `visrun.data.objects`; empty rows are -1.

    Args:
        rows: (B * Q, S, C), see `Table.padded`.
        step: (B, P) the step's part of ``plan.table``.
        most: M.
        kind: Of `visrun.tables.TARGETS`, one of objects.
    """
    back = slots(step, plan.pictures)[..., BACK].reshape(len(rows), 1, 2, 3)
    moved = _moved_le90 if kind == "rotated_boxes" else _moved_xyxy
    shapes, there, whole = moved(rows[..., HEAD:], back, _edges(plan, step, image_size))
    ignored = torch.where(whole, rows[..., IGNORED], 1.0)
    head = torch.stack([rows[..., LABEL], ignored, _numbers(rows[..., ID], plan.pictures)], -1)
    there = there & (rows[..., LABEL] >= 0)
    target = torch.where(there[..., None], torch.cat([head, shapes], -1), -1.0)
    if plan.pictures == 1:
        return target
    target = target.reshape(-1, plan.pictures * target.shape[1], target.shape[2])
    order = (target[..., LABEL] < 0).to(torch.uint8).argsort(dim=1, stable=True)[:, :most]
    return target.gather(1, order[..., None].expand(-1, -1, target.shape[2]))


def _rows(
    objects: Objects, window: NDArray[np.int64], size: NDArray[np.int64], whole: NDArray[np.int64], kind: str
) -> NDArray[np.float32]:
    """(n, C) the objects whose box reaches into the window, numbered there as its masks are."""
    left, top, right, bottom = window.tolist()
    objects = objects.within((left, top, right, bottom))
    number = np.arange(1, len(objects) + 1) if kind == "instances" else np.zeros(len(objects))
    unmasked = number > MOST_MASKED
    scale = np.array([size[1] / (right - left), size[0] / (bottom - top)])
    low, high = (np.reshape(borders((left, top, right, bottom), (whole[1], whole[0])), (2, 2)) - (left, top)) * scale
    points = objects.corners() if kind == "rotated_boxes" else outermost(objects)
    points = (points - (left, top)) * scale
    ignored = objects.ignored | unmasked
    if kind == "rotated_boxes":
        shapes = boxes.points_to_le90(torch.from_numpy(points)).numpy()
        ignored |= np.any((shapes[:, :2] < low) | (shapes[:, :2] > high), axis=1)  # the centre is beyond a border
    else:
        shapes = _cut(points, low, high)
    head = np.stack([objects.labels, ignored, np.where(unmasked, 0, number)], 1)
    return np.concatenate([head, shapes], 1).astype(np.float32)


def _cut(points: Floats, low: Floats, high: Floats) -> Floats:
    """(n, 2 * POINTS + 1) points cut at a tile's borders, and the share left of the box around them."""
    cut = points.clip(low, high)
    area, seen = np.ptp(points, 1).prod(1), np.ptp(cut, 1).prod(1)
    share = np.divide(seen, area, out=np.ones(len(points)), where=area > 0)
    return np.column_stack([cut.reshape(len(points), 2 * POINTS), share])


def _width(kind: str) -> int:
    """Columns of a shape in the table."""
    return 5 if kind == "rotated_boxes" else 2 * POINTS + 1


def _edges(plan: Plan, step: Tensor, image_size: tuple[int, int]) -> Tensor:
    """(B * Q, 1, 4) left, top, right, bottom of the part of the training image that shows each picture."""
    meet = columns(plan, step)[:, SPLIT]
    x, y = meet[:, 0] * image_size[1], meet[:, 1] * image_size[0]
    zero, wide, high = torch.zeros_like(x), torch.full_like(x, image_size[1]), torch.full_like(x, image_size[0])
    parts = [(zero, zero, x, y), (x, zero, wide, y), (zero, y, x, high), (x, y, wide, high)][: plan.pictures]
    return torch.stack([torch.stack(part, -1) for part in parts], 1).reshape(-1, 1, 4)


def _moved_xyxy(shapes: Tensor, back: Tensor, edges: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes (B * Q, S, 4) cut at the edges, whether anything is left of them, and whether enough is."""
    points = _through(shapes[..., :-1].unflatten(-1, (POINTS, 2)), back[:, :, None])
    whole = torch.cat([points.amin(-2), points.amax(-2)], -1)
    low, high = edges[..., :2], edges[..., 2:]
    cut = torch.cat([whole[..., :2].clamp(low, high), whole[..., 2:].clamp(low, high)], -1)
    sides, seen = whole[..., 2:] - whole[..., :2], cut[..., 2:] - cut[..., :2]
    return cut, (seen >= SMALLEST).all(-1), shapes[..., -1] * seen.prod(-1) >= LEAST_SEEN * sides.prod(-1)


def _moved_le90(shapes: Tensor, back: Tensor, edges: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes (B * Q, S, 5), whether their upright hull reaches over the edges, and whether their centre does."""
    centre = _through(shapes[..., None, :2], back[:, :, None])[..., 0, :]
    along, across = boxes.turn(back[..., 0], back[..., 1], -shapes[..., 4:])
    size = shapes[..., 2:4] * torch.stack([along.norm(dim=-1), across.norm(dim=-1)], -1)
    turned = torch.atan2(along[..., 1], along[..., 0])
    moved = boxes.canonical(torch.cat([centre, size, turned[..., None]], -1))
    hull = boxes.le90_to_xyxy(moved)
    shown = edges[..., :2] < edges[..., 2:]  # a part of no size shows nothing, though hulls reach over it
    reaches = shown & (hull[..., :2] < edges[..., 2:]) & (hull[..., 2:] > edges[..., :2])
    inside = (centre >= edges[..., :2]) & (centre <= edges[..., 2:])
    return moved, reaches.all(-1) & (size >= SMALLEST).all(-1), inside.all(-1)


def _through(points: Tensor, back: Tensor) -> Tensor:
    """Points (..., P, 2) through affine maps (..., 2, 3), element by element: a matrix product may round to TF32."""
    x, y = points[..., :1], points[..., 1:]
    return x * back[..., 0] + y * back[..., 1] + back[..., 2]


def _numbers(number: Tensor, pictures: int) -> Tensor:
    """The objects' numbers in the batch's masks: 256 * q more in picture q of a mosaic, as `render_layers` has it."""
    if pictures == 1:
        return number
    slot = torch.arange(len(number), device=number.device).remainder(pictures)[:, None]
    return torch.where(number > 0, number + 256 * slot, number)
