"""What label files say of the objects in one image, as written: before anything is checked, scaled or derived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from visrun.data.outlines import Floats, Numbers, Outline, Rle, boxes_of, rle_over

if TYPE_CHECKING:
    from visrun.data.listing import Listing

# What labels can be, each with what is missing from it.
FORMS = {
    "boxes": "boxes without corners or outlines",
    "quads": "turned boxes without outlines",
    "outlines": "outlines",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Marks:
    """The n objects that label files name in one image.

    Args:
        labels: (n,) int64 class indices; what is none of them is found by the checks.
        boxes: (n, 4) left, top, right, bottom.
        ignored: (n,) bool.
        quads: (n, 4, 2) corners, where the labels are turned boxes.
        outlines: Where the labels have them, one for each object or None for those that have only a box.
        runs: In place of outlines and boxes, which then are NaN, where labels do not tell the image's size that makes
            outlines of runs: of each object (R, 2) first pixel and length, ascending, counted from 0 down the columns.
        spots: (n,) line numbers or ids.
        file: What stands before a spot in messages: ``labels/a.txt:`` or ``train.json: annotation``.
        relative: Whether coordinates are shares of the image's width and height rather than pixels.
        size: (width, height) of the image as the labels know it, if they do.
    """

    labels: Numbers
    boxes: Floats
    ignored: NDArray[np.bool_]
    spots: NDArray[Any]
    file: str
    quads: Floats | None = None
    outlines: tuple[Outline | None, ...] | None = None
    runs: tuple[NDArray[np.int32], ...] | None = None
    relative: bool = False
    size: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def spot(self, row: int) -> str:
        """Where an object stands, for messages."""
        return spot_in(self.file, self.spots[row])


def spot_in(file: str, spot: Any) -> str:
    """A ``file``, as `Marks` has it, and the place of an object in it."""
    return f"{file}{'' if file.endswith(':') else ' '}{spot}"


def no_marks(file: str, *, form: str = "boxes") -> Marks:
    """An image that shows nothing."""
    return Marks(
        labels=np.zeros(0, np.int64),
        boxes=np.zeros((0, 4)),
        ignored=np.zeros(0, bool),
        spots=np.zeros(0, np.int64),
        file=file,
        quads=np.zeros((0, 4, 2)) if form == "quads" else None,
        outlines=() if form == "outlines" else None,
    )


def form_of(listing: Listing) -> str | None:
    """``boxes``, ``quads`` or ``outlines``: the most that any object of a listing has; None where targets are no marks.

    Where nothing is labelled at all it is ``outlines``, which serve every task: what is missing is no form.
    """
    marks = [r.target for records in listing.splits.values() for r in records if isinstance(r.target, Marks)]
    if not marks:
        return None
    if not any(map(len, marks)) or any(several.runs for several in marks):
        return "outlines"
    if any(outline is not None for one in marks for outline in one.outlines or ()):
        return "outlines"
    return "quads" if any(several.quads is not None for several in marks) else "boxes"


def sized(marks: Sequence[Marks], sizes: Sequence[tuple[int, int]]) -> tuple[Sequence[Marks], dict[int, str]]:
    """The marks of images with outlines and boxes in place of ``runs``, now that ``sizes``, (width, height) of each,
    are known; and by number of an image what is wrong with runs that end beyond it."""
    made, beyond = [*marks], {}
    outlines: list[Outline] = []
    waiting = [(i, one.runs) for i, one in enumerate(marks) if one.runs is not None]
    for i, runs in waiting:
        width, height = sizes[i]
        end = max((int(several[-1].sum()) for several in runs if len(several)), default=0)
        if end > width * height:
            beyond[i] = f"runs up to pixel {end:,}, its image of {width}x{height} has {width * height:,}"
        outlines += (Rle((), (height, width)) if i in beyond else rle_over(one, (height, width)) for one in runs)
    boxes, place = boxes_of(outlines), 0
    for i, runs in waiting:
        rows = slice(place, place := place + len(runs))
        made[i] = replace(marks[i], runs=None, boxes=boxes[rows], outlines=tuple(outlines[rows]))
    return made if waiting else marks, beyond


def with_boxes(boxes: Floats, outlines: Sequence[Outline | None]) -> Floats:
    """``boxes`` with those that are not written (NaN) taken from the outlines."""
    missing = [i for i in np.flatnonzero(np.isnan(boxes).all(1)).tolist() if outlines[i]]
    if missing:
        boxes = boxes.copy()
        boxes[missing] = boxes_of([outline for i in missing if (outline := outlines[i])])
    return boxes


def around(quads: Floats) -> Floats:
    """(n, 4, 2) corners -> (n, 4) boxes."""
    return np.concatenate([quads.min(1), quads.max(1)], 1)
