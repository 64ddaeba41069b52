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

from visrun.data.ids import IGNORE
from visrun.data.outlines import Floats, Outline, Rle, Window, hull_points, pixels
from visrun.tables.targets import TARGETS

# Columns of a batch's target: class index or -1 for an empty row, whether the object is neither learnt nor wrong to
# find, its number in the batch's masks (0 = none), and its box in pixels of the training image.
LABEL, IGNORED, ID, BOX = 0, 1, 2, slice(3, None)
MASK_STRIDE = TARGETS["instances"].cell  # pixels of the training image for one of the batch's masks
LEAST = 0.1  # pixels of the file: an object that is narrower has no size
MOST_MASKED = 255  # objects of one image whose masks can be learnt: their numbers are bytes
LAYERS = 2  # masks may overlap two deep without loss
POINTS = 16  # around an object: turned by any angle, the box of a round one is at most 4 % too small
ANGLES = 2 * np.pi / POINTS * np.arange(POINTS)
DIRECTIONS = np.stack([np.cos(ANGLES), np.sin(ANGLES)])  # (2, POINTS)


@dataclass(frozen=True, eq=False)
class Objects:
    """The objects of one image.

    Args:
        labels: (n,) int64 class indices.
        boxes: (n, 4) float64 left, top, right, bottom.
        ignored: (n,) bool, crowds and difficult objects: neither to be found nor wrong to find.
        quads: (n, 4, 2) corners in order around, where the labels are turned boxes.
        outlines: One for each object, where the labels have them: polygons that together make the object, or runs.
        hulls: (n, POINTS, 2) float32, see `hulls_of`: what is left of outlines where boxes alone are learnt.
    """

    labels: NDArray[np.int64]
    boxes: Floats
    ignored: NDArray[np.bool_]
    quads: Floats | None = None
    outlines: tuple[Outline, ...] | None = None
    hulls: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        """Short, and different for different objects: part of a dataset's fingerprint."""
        return f"Objects({len(self)}, {self.digest()})"

    def num_ignored(self) -> int:
        """How many are ignored; a place that is ignored for several classes counts once."""
        return len(np.unique(self.boxes[self.ignored], axis=0))

    def digest(self) -> str:
        """64 hex digits over everything but ``hulls``."""
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
            None if self.hulls is None else self.hulls[index],
        )

    def within(self, window: Window) -> Objects:
        """Those whose box reaches into a part of the image: left, top, right, bottom."""
        left, top, right, bottom = window
        return self.pick(np.all((self.boxes[:, :2] < (right, bottom)) & (self.boxes[:, 2:] > (left, top)), axis=1))

    def relabelled(self, labels: NDArray[np.int64]) -> Objects:
        """The same objects of other classes."""
        return replace(self, labels=labels)

    def corners(self) -> Floats:
        """(n, 4, 2): the labelled corners, or the box's."""
        return self.quads if self.quads is not None else corners_of(self.boxes)


def corners_of(boxes: Floats) -> Floats:
    """(n, 4, 2) corners of (n, 4) boxes, clockwise as drawn from the top left."""
    left, top, right, bottom = boxes.T
    return np.stack([left, top, right, top, right, bottom, left, bottom], 1).reshape(-1, 4, 2)


def outermost(objects: Objects) -> Floats:
    """(n, POINTS, 2) the points around which each object's upright box stays, however the picture is turned."""
    low, high = objects.boxes[:, None, :2], objects.boxes[:, None, 2:]
    if objects.hulls is not None:
        return low + objects.hulls * (high - low)
    points = (low + high) / 2 + (high - low) / 2 * DIRECTIONS.T
    for i, outline in enumerate(objects.outlines or ()):
        points[i] = _standing_out(outline, points[i]).clip(low[i], high[i])  # it may stick out of the image
    return points


def hulls_of(objects: Objects) -> NDArray[np.float32] | None:
    """(n, POINTS, 2) where in each object's box the outermost points of its outline lie, from 0 to 1, with the outline
    stretched to the box as it is written; None without outlines."""
    if objects.outlines is None:
        return None
    ellipse = (1 + DIRECTIONS.T) / 2
    points = np.array([_standing_out(outline, ellipse) for outline in objects.outlines]).reshape(-1, POINTS, 2)
    low, span = points.min(1, keepdims=True), np.ptp(points, 1)[:, None]
    flat = (span == 0).any(-1, keepdims=True)
    return np.where(flat, ellipse, (points - low) / np.where(flat, 1.0, span)).astype(np.float32)


def _standing_out(outline: Outline, otherwise: Floats) -> Floats:
    """(POINTS, 2) the outermost points in DIRECTIONS; ``otherwise`` of runs without a pixel."""
    corners = hull_points(outline)
    return corners[(corners @ DIRECTIONS).argmax(0)] if len(corners) else otherwise


def layered(objects: Objects, size: tuple[int, int], *, window: Window | None = None) -> NDArray[np.uint8]:
    """(LAYERS, h, w): the pixels of the first ``MOST_MASKED`` objects, as their number in the image + 1; 0 = none.

    An object goes to the layer where fewer of its pixels are taken; what both layers have is lost to the later object.
    Ignored objects are drawn like others. Arguments as for :func:`visrun.data.outlines.pixels`.
    """
    assert objects.outlines is not None, "these labels have no outlines"
    layers = np.zeros((LAYERS, size[1] * size[0]), np.uint8)
    for number, outline in enumerate(objects.outlines[:MOST_MASKED], 1):
        place = pixels(outline, size, window=window)
        layer = layers[int(np.argmin(np.count_nonzero(layers[:, place], axis=1)))]
        layer[place[layer[place] == 0]] = number
    return layers.reshape(LAYERS, size[1], size[0]).transpose(0, 2, 1)


def painted(objects: Objects, size: tuple[int, int]) -> NDArray[np.uint8]:
    """(h, w) class indices: outlines filled with their labels, larger objects below smaller ones; 0 where none is, and
    255 of ignored ones. ``size`` is (h, w) of the file.
    """
    assert objects.outlines is not None, "these labels have no outlines"
    places = [pixels(outline, size) for outline in objects.outlines]
    page = np.zeros(size[1] * size[0], np.uint8)
    for i in sorted(range(len(places)), key=lambda i: -len(places[i])):
        page[places[i]] = IGNORE if objects.ignored[i] else objects.labels[i]
    return np.ascontiguousarray(page.reshape(size[1], size[0]).T)
