"""What is labelled in one image: objects with a class and a box, and where the labels tell, corners and outlines.

Coordinates are pixels of the upright file, x to the right and y down; pixel i covers [i, i + 1]. From an outline every
lower form follows: the box around it, the smallest rectangle around it, its pixels. Imports no torch, since helper
processes draw masks with it.

Legend: n objects, h x w pixels, V corners of a polygon.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Polygon = Floats  # (V, 2) corners in order
Window = tuple[int, int, int, int]  # left, top, right, bottom: a part of a file, in its pixels
# Columns of a batch's target: class index or -1 for an empty row, whether the object is neither learnt nor wrong to
# find, its number in the batch's masks (0 = none), and its box in pixels of the training image.
LABEL, IGNORED, ID, BOX = 0, 1, 2, slice(3, None)
MASK_STRIDE = 4  # pixels of the training image for one of the batch's masks
MOST_MASKED = 255  # objects of one image whose masks can be learnt: their numbers are bytes
LAYERS = 2  # masks may overlap two deep without loss


@dataclass(frozen=True, eq=False)
class Rle:
    """A mask as runs, COCO's uncompressed form: column by column, ``counts`` of 0, 1, 0, ... over (h, w) = ``size``."""

    counts: tuple[int, ...]
    size: tuple[int, int]


Outline = tuple[Polygon, ...] | Rle


@dataclass(frozen=True, eq=False)
class Objects:
    """The objects of one image.

    Args:
        labels: (n,) int64 class indices.
        boxes: (n, 4) float64 left, top, right, bottom.
        ignored: (n,) bool, crowds and difficult objects: neither to be found nor wrong to find.
        quads: (n, 4, 2) corners in order around, where the labels are turned boxes.
        outlines: One for each object, where the labels have them: polygons that together make the object, or runs.
    """

    labels: NDArray[np.int64]
    boxes: Floats
    ignored: NDArray[np.bool_]
    quads: Floats | None = None
    outlines: tuple[Outline, ...] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        """Short, and different for different objects: part of a dataset's fingerprint."""
        return f"Objects({len(self)}, {self.digest()})"

    def digest(self) -> str:
        """64 hex digits over everything."""
        found = hashlib.sha256()
        for array in (self.labels, self.boxes, self.ignored, self.quads):
            found.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
        for outline in self.outlines or ():
            parts = (np.asarray((*outline.size, *outline.counts)),) if isinstance(outline, Rle) else outline
            for part in parts:
                found.update(np.ascontiguousarray(part).tobytes() + b"|")
        return found.hexdigest()

    def pick(self, rows: Sequence[int] | NDArray[Any]) -> Objects:
        """Those with these numbers, or where a (n,) bool array is True, in that order."""
        found = np.asarray(rows)
        index = np.flatnonzero(found) if found.dtype.kind == "b" else found.astype(np.int64)
        return Objects(
            self.labels[index],
            self.boxes[index],
            self.ignored[index],
            None if self.quads is None else self.quads[index],
            None if self.outlines is None else tuple(self.outlines[i] for i in index),
        )

    def relabelled(self, labels: NDArray[np.int64]) -> Objects:
        """The same objects of other classes."""
        return replace(self, labels=labels)

    def corners(self) -> Floats:
        """(n, 4, 2): the labelled corners, or the box's."""
        return self.quads if self.quads is not None else corners_of(self.boxes)


def nothing(*, quads: bool = False, outlines: bool = False) -> Objects:
    """The objects of an image that shows none."""
    return Objects(
        np.zeros(0, np.int64),
        np.zeros((0, 4)),
        np.zeros(0, bool),
        np.zeros((0, 4, 2)) if quads else None,
        () if outlines else None,
    )


def corners_of(boxes: Floats) -> Floats:
    """(n, 4, 2) corners of (n, 4) boxes, clockwise as drawn from the top left."""
    left, top, right, bottom = boxes.T
    return np.stack([left, top, right, top, right, bottom, left, bottom], 1).reshape(-1, 4, 2)


def box_of(outline: Outline) -> Floats:
    """(4,) the box around an outline; zeros for a mask without a pixel."""
    if isinstance(outline, Rle):
        rows, columns = (np.flatnonzero(drawn(outline, outline.size).any(axis)) for axis in (1, 0))
        ends = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1] if len(rows) else [0, 0, 0, 0]
        return np.asarray(ends, np.float64)
    points = np.concatenate(outline)
    return np.concatenate([points.min(0), points.max(0)])


def drawn(outline: Outline, size: tuple[int, int], *, window: Window | None = None) -> NDArray[np.bool_]:
    """The pixels of an outline, drawn as COCO's own tools do.

    Args:
        size: (h, w) of the mask wanted.
        window: The part of the file that the mask shows, scaled to ``size``; None = ``size`` pixels from the top left.
    """
    from faster_coco_eval import mask as coco

    left, top, right, bottom = window or (0, 0, size[1], size[0])
    if isinstance(outline, Rle):
        runs = coco.frPyObjects({"counts": list(outline.counts), "size": list(outline.size)}, *outline.size)
        return _scaled(coco.decode(runs).astype(bool)[top:bottom, left:right], size)
    scale = np.array([size[1] / (right - left), size[0] / (bottom - top)])
    parts = [((part - (left, top)) * scale).ravel().tolist() for part in outline]
    return np.asarray(coco.decode(coco.merge(coco.frPyObjects(parts, *size))), dtype=bool)


def layered(objects: Objects, size: tuple[int, int], *, window: Window | None = None) -> NDArray[np.uint8]:
    """(LAYERS, h, w): the pixels of the first ``MOST_MASKED`` objects, as their number in the image + 1; 0 = none.

    An object goes to the layer where fewer of its pixels are taken; what both layers have is lost to the later object.
    Ignored objects are drawn like others. Arguments as for :func:`drawn`.
    """
    assert objects.outlines is not None, "these labels have no outlines"
    layers = np.zeros((LAYERS, *size), np.uint8)
    for number, outline in enumerate(objects.outlines[:MOST_MASKED], 1):
        mask = drawn(outline, size, window=window)
        taken = [int(np.count_nonzero(layer[mask])) for layer in layers]
        layer = layers[int(np.argmin(taken))]
        layer[mask & (layer == 0)] = number
    return layers


def painted(objects: Objects, size: tuple[int, int], *, background: int, ignore: int) -> NDArray[np.uint8]:
    """(h, w) class indices: outlines filled with their labels, larger objects below smaller ones.

    Args:
        size: (h, w) of the file.
        background: The index where no object is.
        ignore: The index of ignored objects.
    """
    assert objects.outlines is not None, "these labels have no outlines"
    masks = [drawn(outline, size) for outline in objects.outlines]
    page = np.full(size, background, np.uint8)
    for i in sorted(range(len(masks)), key=lambda i: -int(masks[i].sum())):
        page[masks[i]] = ignore if objects.ignored[i] else objects.labels[i]
    return page


def _scaled(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    if mask.shape == size:
        return mask
    rows, columns = (((np.arange(n) + 0.5) * m / n).astype(int) for n, m in zip(size, mask.shape, strict=True))
    return mask[rows][:, columns]
