"""The objects of Pascal VOC's xml files: boxes, and the turned ones of roLabelImg and DIOR-R (Cheng et al., arXiv
2110.01931)."""

from __future__ import annotations

import re

import numpy as np

from visrun.data import files
from visrun.data.listing import Problem
from visrun.data.outlines import Floats
from visrun.data.readers.common import size_in
from visrun.data.readers.shapes import Shape, Shapes, turned_box, upright
from visrun.data.xmltree import Tag
from visrun.numbers import number_in
from visrun.text import composed

OUTERMOST = "annotation"  # tag of VOC's files
FROM_ONE = re.compile(r"The VOC\d{4} Database")  # VOC's own files count pixels from 1 and both ends in
SIDES = ("xmin", "ymin", "xmax", "ymax")
AROUND = ("cx", "cy", "w", "h", "angle")  # in radians, clockwise
CORNERS = tuple(f"{axis}_{end}" for end in ("left_top", "right_top", "right_bottom", "left_bottom") for axis in "xy")


def parse(tag: Tag, shown: str) -> Shapes:
    """What a file, ``shown`` so, holds; of what is wrong the first alone."""
    found = Shapes(f"{shown}:", size=size_in(tag.get("size", "width"), tag.get("size", "height")))
    objects = tag.all("object")
    if not objects and tag.name.lower() != OUTERMOST:
        what = f"not VOC's: its outermost tag is {tag.name[:60]}, not {OUTERMOST}"
        found.problems.append(Problem(f"{shown}:{tag.line}", what))
    first = 1.0 if FROM_ONE.search(tag.get("source", "database")) else 0.0
    for item in objects:
        try:
            found.objects.append(_shape(item, first))
        except ValueError as error:
            found.problems.append(Problem(f"{shown}:{item.line}", str(error)))
            break
    return found


def _shape(item: Tag, first: float) -> Shape:
    """One object, whose file counts pixels from ``first``.

    Raises:
        ValueError: What is wrong with it.
    """
    quad = _turned(item)
    box = _box(item, first) if quad is None else upright(_sides(item), quad, first=first)
    if not item.get("name"):
        raise ValueError("an object without a name")
    difficult = files.flag(item.get("difficult") or "0")
    if difficult is None:
        raise ValueError(f"difficult {item.get('difficult')[:60]!r} is neither 0 nor 1")
    return Shape(item.line, composed(item.get("name")), box, quad=quad, ignored=difficult)


def _turned(item: Tag) -> Floats | None:
    """(4, 2) of a turned box; None of an upright one, also where an empty frame of a turned one stands beside it."""
    frames = item.all("robndbox")
    if item.all("bndbox"):
        frames = [frame for frame in frames if any(tag.text.strip() for tag in frame.inside)]
    return next(map(_corners, frames), None)


def _sides(item: Tag) -> list[str]:
    return [item.get("bndbox", side) for side in SIDES]


def _box(item: Tag, first: float) -> Floats:
    try:
        return np.array([*map(number_in, _sides(item))]) - (first, first, 0.0, 0.0)
    except ValueError:
        raise ValueError("an object without a bndbox of four numbers") from None


def _corners(tag: Tag) -> Floats:
    """(4, 2) of a turned box, written as its middle, its sides and its angle, or as its corners."""
    try:
        if tag.all(CORNERS[0]):
            return np.array([number_in(tag.get(name)) for name in CORNERS]).reshape(4, 2)
        numbers = [number_in(tag.get(name)) for name in AROUND]
    except ValueError:
        raise ValueError(f"a robndbox without the numbers {', '.join(AROUND)}, or four corners") from None
    return turned_box(numbers, "the angle of a robndbox")
