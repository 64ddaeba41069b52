"""The objects of all images of a dataset as one table, so that checking 100,000 of them takes a moment.

Legend: N objects of all images, one row each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from visrun.data.marks import Marks, around
from visrun.data.objects import Objects
from visrun.data.outlines import Floats, Numbers, Outline, Rle, boxes_of

FEWEST = 3  # points of a polygon
FARTHEST = 1e9  # pixels; coordinates further away are taken as this far, so that nothing overflows


@dataclass(frozen=True, eq=False, kw_only=True)
class Rows:
    """N objects in pixels of their images, in the order of these.

    Args:
        marks: Of the images; image: (N,) which of them; place: (N,) which object of its image.
        size: (N, 2) width and height of the image.
        labels, ignored, boxes, quads, outlines: As in `visrun.data.objects.Objects`, but unchecked; an outline may be
            None, or () where no part has three points.
        thin: (N,) parts of the outline that have fewer than three points and were left out.
        bounds: (N, 4) the box around the outline's or quad's own points; without points the box.
        finite: (N,) whether all coordinates are finite; where not, boxes, quads and bounds are 0.
    """

    marks: Sequence[Marks]
    image: Numbers
    place: Numbers
    size: Floats
    labels: Numbers
    ignored: NDArray[np.bool_]
    boxes: Floats
    quads: Floats | None
    outlines: tuple[Outline | None, ...] | None
    thin: Numbers
    bounds: Floats
    finite: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def reach(self) -> Floats:
        """(N, 4) lowest x and y, highest x and y of all points."""
        low, high = np.minimum(self.boxes, self.bounds), np.maximum(self.boxes, self.bounds)
        return np.concatenate([np.minimum(low[:, :2], low[:, 2:]), np.maximum(high[:, :2], high[:, 2:])], 1)

    @property
    def outlined(self) -> Floats:
        """(N, 4) the boxes around the outlines, which all rows have."""
        assert self.outlines is not None and None not in self.outlines, "some have no outline"
        found = self.bounds.copy()  # which are those around polygons
        rows = [row for row, outline in enumerate(self.outlines) if isinstance(outline, Rle)]
        found[rows] = boxes_of([self.outlines[row] for row in rows])  # type: ignore[misc]
        return found

    def spot(self, row: int) -> str:
        """Where a row stands, for messages."""
        return self.marks[self.image[row]].spot(int(self.place[row]))

    def pick(self, chosen: NDArray[np.bool_]) -> Rows:
        """The rows where ``chosen`` (N,) is True."""
        index = np.flatnonzero(chosen)
        arrays = ("image", "place", "size", "labels", "ignored", "boxes", "thin", "bounds", "finite")
        return replace(
            self,
            **{name: getattr(self, name)[index] for name in arrays},
            quads=None if self.quads is None else self.quads[index],
            outlines=None if self.outlines is None else tuple(self.outlines[i] for i in index),
        )

    def objects(self) -> Iterator[Objects]:
        """The objects of each image, in order; without outlines where one of an image has none."""
        ends = np.searchsorted(self.image, np.arange(len(self.marks) + 1))
        for begin, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
            several = self.outlines[begin:end] if self.outlines is not None else None
            yield Objects(
                self.labels[begin:end],
                self.boxes[begin:end],
                self.ignored[begin:end],
                None if self.quads is None else self.quads[begin:end],
                None if several is None or None in several else several,  # type: ignore[arg-type]
            )


def gather(marks: Sequence[Marks], sizes: Sequence[tuple[int, int]], *, form: str) -> Rows:
    """The table of all objects of these images.

    Args:
        marks: One for each image.
        sizes: (width, height) of each.
        form: What the labels of the dataset are: ``boxes``, ``quads`` or ``outlines``.
    """
    counts = np.array([len(several) for several in marks], np.int64)
    image = np.repeat(np.arange(len(marks)), counts)
    size = np.asarray(sizes, np.float64).reshape(-1, 2)[image]
    relative = np.array([several.relative for several in marks], bool)[image]
    unit = np.where(relative[:, None], size, 1.0)
    quads, outlines, thin = None, None, np.zeros(len(image), np.int64)
    with np.errstate(over="ignore", invalid="ignore"):
        boxes = bounds = _joined([several.boxes for several in marks], (0, 4)) * np.tile(unit, 2)
        if form == "quads":
            quads = _joined([_quads(several) for several in marks], (0, 4, 2)) * unit[:, None]
            bounds = around(quads)
        if form == "outlines":
            outlines, thin = _outlines(marks, relative, unit)
            bounds = _bounds(outlines, boxes)
    finite = np.isfinite(np.concatenate([boxes, bounds], 1)).all(axis=1)
    return Rows(
        marks=marks,
        image=image,
        place=np.arange(len(image)) - np.repeat(np.cumsum(counts) - counts, counts),
        size=size,
        labels=_joined([several.labels for several in marks], (0,)).astype(np.int64),
        ignored=_joined([several.ignored for several in marks], (0,)).astype(bool),
        boxes=_tamed(boxes, finite),
        quads=None if quads is None else _tamed(quads, finite),
        outlines=outlines,
        thin=thin,
        bounds=_tamed(bounds, finite),
        finite=finite,
    )


def _tamed(numbers: Floats, finite: NDArray[np.bool_]) -> Floats:
    shape = (-1, *(1,) * (numbers.ndim - 1))
    return np.clip(np.where(finite.reshape(shape), numbers, 0.0), -FARTHEST, FARTHEST)


def _joined(parts: list[NDArray], shape: tuple[int, ...]) -> NDArray:
    return np.concatenate(parts) if parts else np.zeros(shape)


def _quads(marks: Marks) -> Floats:
    assert marks.quads is not None or not len(marks), "all labels of a reader are of one form"
    return np.zeros((0, 4, 2)) if marks.quads is None else marks.quads


def _outlines(
    marks: Sequence[Marks], relative: NDArray[np.bool_], unit: Floats
) -> tuple[tuple[Outline | None, ...], Numbers]:
    """All outlines in pixels without their thin parts, and how many parts each has lost."""
    every: list[Outline | None] = []
    for several in marks:
        every += several.outlines if several.outlines is not None else [None] * len(several)
    thin = np.zeros(len(every), np.int64)
    for row, outline in enumerate(every):
        if outline is None or isinstance(outline, Rle):
            continue
        if relative[row]:
            outline = every[row] = tuple(part * unit[row] for part in outline)
        if any(len(part) < FEWEST for part in outline):
            every[row] = tuple(part for part in outline if len(part) >= FEWEST)
            thin[row] = sum(len(part) < FEWEST for part in outline)
    return tuple(every), thin


def _bounds(outlines: Sequence[Outline | None], boxes: Floats) -> Floats:
    """(N, 4) the boxes around the polygons; of other rows their box."""
    found = boxes.copy()
    parts = [() if outline is None or isinstance(outline, Rle) else outline for outline in outlines]
    counts = np.array([sum(map(len, several)) for several in parts], np.int64)
    rows = np.flatnonzero(counts)
    if len(rows):
        points = np.concatenate([part for several in parts for part in several])
        starts = np.cumsum(counts[rows]) - counts[rows]
        low, high = np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)
        found[rows] = np.concatenate([low, high], 1)
    return found
