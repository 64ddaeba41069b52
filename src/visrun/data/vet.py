"""Labelled objects checked before anything is trained on them, all at once: each used, repaired or refused by a rule.

Refused with its image, since something is there that nobody can place or name: a class out of range, a number that is
not finite, coordinates further beyond the image than its own size (another unit, another image), labels made for an
image of another size, a missing outline where outlines are learnt. Refused alone, since nothing is to be seen: an
object (where outlines are learnt, an outline) of no size, or wholly outside its image. Repaired and said: swapped
corners of a box, crossing edges of a quad, boxes that reach beyond the image (clipped), parts of outlines with fewer
than three points, objects that stand twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visrun.data.listing import Problem
from visrun.data.marks import Marks, sized
from visrun.data.objects import LEAST, Objects
from visrun.data.outlines import Floats, Rle, widths
from visrun.data.rows import Rows, gather
from visrun.errors import DataError
from visrun.text import does, plural, some

BEYOND = 1.0  # pixels beyond the edge from which clipping is said; less is rounding
MANY = 0.1  # share of clipped boxes from which their format is doubted
LARGE = 16  # pixels of an image's side from which coordinates that never exceed 1 are doubted
UNLIKE = 0.5  # IoU of a box with its outline's own below which they are said to differ
TRACED = 2.0  # pixels by which outlines traced along the middles of pixels may differ from their boxes

Flags = NDArray[Any]  # of bool


@dataclass(frozen=True, kw_only=True)
class Vetted:
    """What the checks leave.

    Args:
        objects: Of each image, in order.
        lost: Number of an image that cannot be used -> why.
        problems: Objects that cannot be used, whose images can.
        total: How many objects were labelled.
        notes: What was repaired, one line each.
    """

    objects: list[Objects]
    lost: dict[int, Problem]
    problems: list[Problem]
    total: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Rule:
    """Refuses rows where ``found`` (N,) is True, with their whole image or alone, saying ``what`` of a row."""

    found: Flags
    what: Callable[[int], str] | str
    with_image: bool

    def says(self, row: int) -> str:
        """What is wrong with a row."""
        return self.what if isinstance(self.what, str) else self.what(row)


def vet(
    marks: Sequence[Marks],
    sizes: Sequence[tuple[int, int]],
    *,
    wheres: Sequence[str],
    form: str,
    classes: Sequence[str],
    outlined: bool = False,
    boxed: bool = True,
) -> Vetted:
    """Check the labels of all images.

    Args:
        marks: One for each image.
        sizes: (width, height) of each upright image.
        wheres: Where each image was found, for messages.
        form: ``boxes``, ``quads`` or ``outlines``.
        classes: Names of the classes.
        outlined: Whether every object must have an outline.
        boxed: Whether boxes are learnt, beside outlines those around them, so that clipping is worth a word.

    Raises:
        DataError: Coordinates of the whole dataset are of another unit.
    """
    marks, beyond = sized(marks, sizes)
    other = beyond | _of_other_sizes(marks, sizes)
    lost = {number: Problem(wheres[number], what) for number, what in other.items()}
    rows = gather(marks, sizes, form=form)
    if form == "quads" and not boxed:  # upright boxes that some labels have beside the turned ones are other tasks'
        rows = replace(rows, boxes=rows.bounds)
    _require_pixels(rows)
    rows, swapped = _unswapped(rows)
    rows, crossed = _uncrossed(rows)
    problems, good = [], ~np.isin(rows.image, list(lost))
    for rule in _rules(rows, classes, outlined=outlined):
        for row in np.flatnonzero(rule.found & good).tolist():
            problem = Problem(rows.spot(row), rule.says(row))
            if rule.with_image:
                lost.setdefault(int(rows.image[row]), problem)
            else:
                problems.append(problem)
        good &= ~rule.found
    good &= ~np.isin(rows.image, list(lost))
    twice = _twice(rows, good)
    notes = _notes(rows, good, swapped=swapped, crossed=crossed, twice=twice, boxed=boxed, outlined=outlined)
    kept = rows.pick(good & ~twice)
    kept = replace(kept, boxes=_clipped(kept.outlined if outlined and boxed else kept.boxes, kept.size))
    return Vetted(objects=list(kept.objects()), lost=lost, problems=problems, total=len(rows), notes=notes)


def _of_other_sizes(marks: Sequence[Marks], sizes: Sequence[tuple[int, int]]) -> dict[int, str]:
    """Images whose labels, or whose runs, were made for another size."""
    lost = {}
    for number, (several, size) in enumerate(zip(marks, sizes, strict=True)):
        known = [several.size] if several.size and len(several) else []
        known += [outline.size[::-1] for outline in several.outlines or () if isinstance(outline, Rle)]
        wrong = next((other for other in known if other != size), None)
        if wrong is not None:
            turned = " (turned by its EXIF orientation?)" if wrong == size[::-1] else ""
            lost[number] = f"labels for {wrong[0]}x{wrong[1]} pixels, the image has {size[0]}x{size[1]}{turned}"
    return lost


def _require_pixels(rows: Rows) -> None:
    shares = np.array([several.relative for several in rows.marks], bool)[rows.image]
    pixels = rows.finite & ~shares & (rows.size > LARGE).all(axis=1)
    reach = rows.reach[pixels]
    if np.abs(reach).max(initial=0.0) <= 1.0 and (reach % 1.0).any():
        raise DataError(
            f"{rows.spot(int(np.argmax(pixels)))}: no coordinate of these labels is above 1: "
            "this layout writes pixels, not shares of width and height"
        )


def _unswapped(rows: Rows) -> tuple[Rows, Flags]:
    swapped: Flags = np.any(rows.boxes[:, :2] > rows.boxes[:, 2:], axis=1)
    return replace(rows, boxes=_ordered(rows.boxes), bounds=_ordered(rows.bounds)), swapped


def _ordered(boxes: Floats) -> Floats:
    low, high = boxes[:, :2], boxes[:, 2:]
    return np.concatenate([np.minimum(low, high), np.maximum(low, high)], 1)


def _uncrossed(rows: Rows) -> tuple[Rows, Flags]:
    """Quads whose edges cross get their corners in order around their middle."""
    if rows.quads is None:
        return rows, np.zeros(len(rows), bool)
    a, b, c, d = rows.quads.transpose(1, 0, 2)
    crossed = _cross(a, b, c, d) | _cross(b, c, d, a)
    away = rows.quads - rows.quads.mean(1, keepdims=True)
    order = np.argsort(np.arctan2(away[..., 1], away[..., 0]), axis=1)
    ordered = np.take_along_axis(rows.quads, order[..., None], 1)
    return replace(rows, quads=np.where(crossed[:, None, None], ordered, rows.quads)), crossed


def _cross(a: Floats, b: Floats, c: Floats, d: Floats) -> Flags:
    """Whether the segments a-b and c-d, all (N, 2), cross."""
    return (_side(a, b, c) * _side(a, b, d) < 0) & (_side(c, d, a) * _side(c, d, b) < 0)


def _side(a: Floats, b: Floats, c: Floats) -> Floats:
    ab, ac = b - a, c - a
    return ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]


def _rules(rows: Rows, classes: Sequence[str], *, outlined: bool) -> list[Rule]:
    """In this order; the first that holds counts."""
    names = f"{plural(len(classes), 'class')} ({some(classes, 3)})"
    size = np.tile(rows.size, 2)
    far: Flags = np.any((rows.reach < -size) | (rows.reach > 2 * size), axis=1)
    outside = _narrow(_clipped(rows.boxes, rows.size)) | (outlined & _narrow(_clipped(rows.bounds, rows.size)))
    unknown = (rows.labels < 0) | (rows.labels >= len(classes))
    missing = np.array([outlined and (rows.outlines is None or rows.outlines[i] is None) for i in range(len(rows))])
    return [
        Rule(unknown, lambda i: f"class {rows.labels[i]} is out of range: there are {names}", True),
        Rule(~rows.finite, "a coordinate is no finite number", True),
        Rule(far, lambda i: _far(rows, i), True),
        Rule(missing.astype(bool), "no outline, and this task learns outlines", True),
        Rule(_pointless(rows), "an outline of fewer than 3 points", False),
        Rule(_narrow(rows.boxes), lambda i: f"an object of no size ({_shape(rows.boxes[i])})", False),
        Rule(_flat(rows, outlined=outlined), lambda i: f"an object without area: {_why_flat(rows, i)}", False),
        Rule(outside, lambda i: f"wholly outside its image of {_shape([0, 0, *rows.size[i]])}", False),
    ]


def _far(rows: Rows, row: int) -> str:
    low, high = rows.reach[row][:2].min(), rows.reach[row][2:].max()
    if rows.marks[rows.image[row]].relative:
        low, high = (rows.reach[row] / np.tile(rows.size[row], 2))[[0, 2]]
        return f"shares of width and height from {low:g} to {high:g}: they go from 0 to 1 (are these pixels?)"
    return f"coordinates from {low:g} to {high:g} in an image of {_shape([0, 0, *rows.size[row]])}: another unit?"


def _pointless(rows: Rows) -> Flags:
    return np.array([outline == () for outline in rows.outlines], bool) if rows.outlines else np.zeros(len(rows), bool)


def _flat(rows: Rows, *, outlined: bool) -> Flags:
    """Outlines and quads narrower than LEAST; of a slanted outline only where outlines are learnt, else its box is."""
    narrow = _narrow(rows.bounds)
    if rows.outlines is not None and outlined:
        narrow |= widths(rows.outlines) < LEAST
    if rows.quads is not None:
        x, y = rows.quads[..., 0], rows.quads[..., 1]
        area = np.abs((x * np.roll(y, -1, 1) - np.roll(x, -1, 1) * y).sum(1)) / 2
        narrow |= area < LEAST * (rows.bounds[:, 2:] - rows.bounds[:, :2]).max(1, initial=0.0)
    return narrow


def _why_flat(rows: Rows, row: int) -> str:
    blank = rows.outlines is not None and isinstance(rows.outlines[row], Rle)
    return "its runs mark no pixel" if blank else "its points lie on a line"


def _narrow(boxes: Floats) -> Flags:
    narrow: Flags = np.any(boxes[:, 2:] - boxes[:, :2] < LEAST, axis=1)
    return narrow


def _clipped(boxes: Floats, size: Floats) -> Floats:
    return np.clip(boxes, 0.0, np.tile(size, 2))


def _shape(box: Sequence[float] | Floats) -> str:
    return f"{box[2] - box[0]:g}x{box[3] - box[1]:g} pixels"


def _twice(rows: Rows, good: Flags) -> Flags:
    """Good rows that repeat an earlier one: the same image, class, box, corners and outline."""
    columns = np.column_stack([rows.image, rows.labels, rows.ignored, rows.boxes])
    _, inverse, counts = np.unique(columns[good], axis=0, return_inverse=True, return_counts=True)
    alike = np.flatnonzero(good)[(counts > 1)[inverse.ravel()]]  # few: a signature of each outline would take long
    shapes = np.zeros((len(alike), 1))
    if rows.quads is not None:
        shapes = rows.quads[alike].reshape(-1, 8)
    if rows.outlines is not None:
        shapes = np.array([[_signature(rows.outlines[i])] for i in alike]).reshape(-1, 1)
    _, first = np.unique(np.column_stack([columns[alike], shapes]), axis=0, return_index=True)
    return np.isin(np.arange(len(rows)), np.delete(alike, first))


def _signature(outline: object) -> float:
    """Equal for equal outlines, and hardly ever else."""
    if isinstance(outline, Rle):
        return float(np.dot(outline.counts, np.arange(1, len(outline.counts) + 1)))
    parts = outline if isinstance(outline, tuple) else ()
    return float(sum((part.ravel() @ np.arange(1.0, part.size + 1)) for part in parts))


def _notes(
    rows: Rows, good: Flags, *, swapped: Flags, crossed: Flags, twice: Flags, boxed: bool, outlined: bool
) -> tuple[str, ...]:
    boxes = rows.bounds if outlined else rows.boxes
    over = np.concatenate([-boxes[:, :2], boxes[:, 2:] - rows.size], 1).max(1, initial=0.0) > BEYOND
    many = over[good].sum() > MANY * max(1, good.sum())
    doubt = " (so many: are width and height written where corners are expected, or the reverse?)" if many else ""
    used = "those around polygons are learnt" if outlined else "both are taken as written"
    said: list[tuple[Flags, str, Callable[[int], str]]] = [
        (swapped, "box", lambda _: "had corners swapped: they were put in order"),
        (crossed, "quad", lambda _: "had edges that cross: the corners were put in order"),
        (over & boxed, "box", lambda n: f"{does(n, 'reach')} beyond the image: clipped to it{doubt}"),
        (rows.thin > 0, "outline", lambda _: "lost parts that have fewer than 3 points"),
        (_unlike(rows) & boxed, "box", lambda n: f"{does(n, 'differ')} from the outline (IoU below {UNLIKE}): {used}"),
        (twice, "object", lambda n: f"{does(n, 'stand')} twice: one of each was left out"),
    ]
    lines = []
    for flags, noun, text in said:
        found = np.flatnonzero(flags & good)
        if n := len(found):
            lines.append(f"{plural(n, noun)} {text(n)}, such as {rows.spot(int(found[0]))}")
    return tuple(lines)


def _unlike(rows: Rows) -> Flags:
    if rows.outlines is None:
        return np.zeros(len(rows), bool)
    (a, b), (c, d) = np.split(rows.boxes, 2, 1), np.split(rows.bounds, 2, 1)
    common = np.prod(np.clip(np.minimum(b, d) - np.maximum(a, c), 0.0, None), 1)
    far = np.abs(rows.boxes - rows.bounds).max(1, initial=0.0) > TRACED
    return far & (common < UNLIKE * (np.prod(b - a, 1) + np.prod(d - c, 1) - common))
