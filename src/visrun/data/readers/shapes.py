"""Shapes of objects as LabelMe, CVAT and VOC have them: their parts put together, their form, their marks."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from visrun.data.listing import Problem
from visrun.data.marks import Marks, around, spot_in
from visrun.data.objects import corners_of
from visrun.data.outlines import Floats, Outline, Rle, pixels, rle_of
from visrun.data.readers.common import Size
from visrun.numbers import number_in
from visrun.text import are, plural

ROUND = 64  # corners of the polygon that stands for a circle or an ellipse


@dataclass(frozen=True, eq=False)
class Shape:
    """One object: where its first shape stands, its class, its box, its corners or outline if it has some, and whether
    it is difficult, as X-AnyLabeling has it."""

    spot: int
    name: str
    box: Floats
    quad: Floats | None = None
    outline: Outline | None = None
    ignored: bool = False


@dataclass
class Shapes:
    """One image: its objects, how many shapes of each type are none, the name of its image; and what is wrong."""

    file: str
    image: str = ""
    size: Size | None = None
    objects: list[Shape] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)


def gather(parts: Iterable[tuple[Hashable, Shape]], found: Shapes) -> None:
    """Put the objects that shapes, each with its group, make to those of their image: shapes of one class and group
    make one, and one of no group (None) one by itself."""
    groups: dict[Hashable, list[Shape]] = {}
    for number, (group, part) in enumerate(parts):
        groups.setdefault(number if group is None else (part.name, group), []).append(part)
    for several in groups.values():
        try:
            found.objects.append(_together(several, found.size))
        except ValueError as error:
            found.objects.append(several[0])  # the image is left out, its class is still one
            found.problems.append(Problem(spot_in(found.file, several[0].spot), str(error)))


def _together(parts: Sequence[Shape], size: Size | None) -> Shape:
    """The object that shapes of one group make; it has an outline where each of them has one.

    Raises:
        ValueError: A mask and a polygon that is not finite, or far outside.
    """
    if len(parts) == 1:
        return parts[0]
    boxes = np.stack([part.box for part in parts])
    box = np.concatenate([boxes[:, :2].min(0), boxes[:, 2:].max(0)])
    whole = Shape(parts[0].spot, parts[0].name, box, ignored=any(part.ignored for part in parts))
    outlines = [part.outline if part.quad is None else (part.quad,) for part in parts]
    polygons: list[Floats] = []
    for outline in outlines:
        if outline is None:
            return whole
        polygons += () if isinstance(outline, Rle) else outline
    if not any(isinstance(outline, Rle) for outline in outlines):
        return replace(whole, outline=tuple(polygons))
    assert size is not None, "masks are read where the size is known"
    if not all((np.abs(polygon) <= 2 * max(size)).all() for polygon in polygons):
        raise ValueError("a coordinate is far outside, or no finite number")
    every = [pixels(outline, size[::-1]) for outline in outlines if outline is not None]
    return replace(whole, outline=rle_of(np.unique(np.concatenate(every)), size[::-1]))


def form_of(every: Sequence[Shapes]) -> str:
    """What the labels of a dataset are: outlines where an object has one, else turned boxes where one has corners."""
    objects = [shape for shapes in every for shape in shapes.objects]
    if any(shape.outline is not None for shape in objects):
        return "outlines"
    return "quads" if any(shape.quad is not None for shape in objects) else "boxes"


def left_out(every: Sequence[Shapes]) -> tuple[str, ...]:
    """A line on the shapes that are no objects, if any."""
    counts = sum((shapes.others for shapes in every), Counter[str]())
    if not counts:
        return ()
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
    verb = are(counts.total())
    return (f"{plural(counts.total(), 'shape')} that {verb} no object {verb} left out ({kinds})",)


def marks_of(shapes: Shapes, form: str, index: Mapping[str, int]) -> Marks:
    """The objects of one image in the form of the dataset; ``index``: of each class."""
    objects = shapes.objects
    boxes = np.array([shape.box for shape in objects], np.float64).reshape(-1, 4)
    quads, outlines = None, None
    if form == "quads":
        upright = corners_of(boxes)
        found = [upright[i] if shape.quad is None else shape.quad for i, shape in enumerate(objects)]
        quads = np.array(found, np.float64).reshape(-1, 4, 2)
        labelled = np.array([shape.quad is not None for shape in objects], bool)
        boxes = np.where(labelled[:, None], boxes, around(quads))  # as labelled, which may be wider
    if form == "outlines":
        outlines = tuple(shape.outline if shape.quad is None else (shape.quad,) for shape in objects)
    return Marks(
        labels=np.array([index[shape.name] for shape in objects], np.int64),
        boxes=boxes,
        ignored=np.array([shape.ignored for shape in objects], bool),
        spots=np.array([shape.spot for shape in objects]),
        file=shapes.file,
        quads=quads,
        outlines=outlines,
        size=shapes.size,
    )


def placed(mask: NDArray[np.bool_], left: int, top: int, size: Size) -> Rle:
    """A part of a mask with its left upper pixel at ``left`` and ``top`` of an image; what lies beyond is left out."""
    rows, columns = np.nonzero(mask)
    x, y = columns + left, rows + top
    inside = (x >= 0) & (x < size[0]) & (y >= 0) & (y < size[1])
    return rle_of(np.sort((x * size[1] + y)[inside]), size[::-1])


def upright(sides: Iterable[str], quad: Floats, *, first: float = 0.0) -> Floats:
    """(4,) the upright box of an object with the turned box ``quad`` (4, 2), as its sides are written, which may be
    wider, in a file that counts pixels from ``first``; the box around ``quad`` where these are no numbers or no box."""
    try:
        box = np.array([number_in(side) for side in sides]) - (first, first, 0.0, 0.0)
    except ValueError:
        return around(quad[None])[0]
    is_box = np.isfinite(box).all() and (box[:2] < box[2:]).all()
    return box if is_box else around(quad[None])[0]


def ellipse(middle: Floats, radii: Floats | float) -> Floats:
    """(ROUND, 2) points on an upright ellipse, the outermost four among them; a circle of one radius."""
    angles = 2 * np.pi * np.arange(ROUND) / ROUND
    with np.errstate(over="ignore", invalid="ignore"):  # coordinates that are not finite
        return middle + radii * np.stack([np.cos(angles), np.sin(angles)], 1)


def turned(points: Floats, middle: Floats, radians: float) -> Floats:
    """Points (V, 2) turned clockwise around one."""
    cos, sin = np.cos(radians), np.sin(radians)
    with np.errstate(over="ignore", invalid="ignore"):  # coordinates that are not finite
        return middle + (points - middle) @ np.array([[cos, sin], [-sin, cos]])


def turned_box(numbers: Sequence[float], name: str) -> Floats:
    """(4, 2) corners of a box of centre x, y, width, height and angle in radians, clockwise as drawn.

    Raises:
        ValueError: The angle, called ``name``, is not finite or beyond a full turn, as degrees are.
    """
    x, y, width, height, angle = numbers
    if not math.isfinite(angle):
        raise ValueError(f"{name} is no finite number")
    if abs(angle) > 2 * math.pi:
        raise ValueError(f"{name} {angle:g} is beyond a full turn: it counts in radians, from -6.28 to 6.28")
    middle, half = np.array([x, y]), np.array([width, height]) / 2
    return turned(corners_of(np.concatenate([middle - half, middle + half])[None])[0], middle, angle)
