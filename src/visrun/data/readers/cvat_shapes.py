"""The shapes of one image in CVAT's own xml: boxes, which may be turned, polygons, ellipses, masks."""

from __future__ import annotations

import math
from collections.abc import Hashable

import numpy as np

from visrun.data.listing import Problem
from visrun.data.marks import around
from visrun.data.objects import corners_of
from visrun.data.opening import MAX_PIXELS
from visrun.data.outlines import Floats, Outline, Rle, box_of
from visrun.data.readers.common import Size, size_in
from visrun.data.readers.shapes import Shape, Shapes, ellipse, gather, placed, turned
from visrun.data.xmltree import Tag
from visrun.numbers import number_in

NO_OBJECTS = ("polyline", "points", "tag")
SIDES = ("xtl", "ytl", "xbr", "ybr")


def parse(image: Tag, shown: str) -> Shapes:
    """What an ``<image>`` of the file ``shown`` holds."""
    told = image.attributes.get
    found = Shapes(f"{shown}:", image=told("name", ""), size=size_in(told("width"), told("height")))
    if not found.image:
        found.problems.append(Problem(f"{shown}:{image.line}", "an image without a name"))
    parts: list[tuple[Hashable, Shape]] = []
    for tag in image.inside:
        if tag.name in NO_OBJECTS:
            found.others[tag.name] += 1
            continue
        try:
            part = _shape(tag, found.size)
        except (ValueError, OverflowError) as error:
            found.problems.append(Problem(f"{shown}:{tag.line}", str(error)))
            continue
        parts.append((tag.attributes.get("group_id") if part.outline is not None else None, part))
    gather(parts, found)
    return found


def _shape(tag: Tag, size: Size | None) -> Shape:
    """One shape.

    Raises:
        ValueError: What is wrong with it.
    """
    name = tag.attributes.get("label", "").strip()
    if not name:
        raise ValueError(f"{tag.name} without a label")
    if tag.name == "box":
        return _box(tag, name)
    if tag.name not in ("polygon", "ellipse", "mask"):
        raise ValueError(f"{tag.name} is not read: box, polygon, ellipse and mask are")
    outline: Outline = _mask(tag, size) if tag.name == "mask" else (_polygon(tag),)
    return Shape(tag.line, name, box_of(outline), outline=outline)


def _box(tag: Tag, name: str) -> Shape:
    """A box around its middle, turned by ``rotation`` degrees clockwise."""
    box, angle = np.array(_numbers(tag, *SIDES)), _rotation(tag)
    if not angle:
        return Shape(tag.line, name, box)
    quad = turned(corners_of(box[None])[0], (box[:2] + box[2:]) / 2, angle)
    return Shape(tag.line, name, around(quad[None])[0], quad=quad)


def _polygon(tag: Tag) -> Floats:
    """(V, 2) points of a polygon, or on an ellipse."""
    if tag.name == "polygon":
        return _points(tag)
    x, y, wide, high = _numbers(tag, "cx", "cy", "rx", "ry")
    middle = np.array([x, y])
    return turned(ellipse(middle, np.array([wide, high])), middle, _rotation(tag))


def _rotation(tag: Tag) -> float:
    """In radians."""
    (degrees,) = _numbers(tag, "rotation") if "rotation" in tag.attributes else (0.0,)
    if not np.isfinite(degrees):
        raise ValueError("rotation is no finite number")
    return math.radians(degrees)


def _numbers(tag: Tag, *names: str) -> list[float]:
    try:
        return [number_in(tag.attributes[name]) for name in names]
    except (KeyError, ValueError):
        raise ValueError(f"{tag.name} without the number{'s' * (len(names) > 1)} {', '.join(names)}") from None


def _points(tag: Tag) -> Floats:
    """(V, 2) of ``x,y;x,y``."""
    written = tag.attributes.get("points", "")
    try:
        return np.array([[number_in(x), number_in(y)] for x, y in (pair.split(",") for pair in written.split(";"))])
    except ValueError:
        raise ValueError(f"points {written[:60]!r} are not x,y;x,y") from None


def _mask(tag: Tag, size: Size | None) -> Rle:
    """Runs of 0, 1, 0, ... row by row within a frame."""
    try:
        left, top, width, height = (int(tag.attributes[name]) for name in ("left", "top", "width", "height"))
        counts = [int(count) for count in tag.attributes["rle"].split(",")]
    except (KeyError, ValueError):
        raise ValueError("mask without the whole numbers rle, left, top, width, height") from None
    if size is None:
        raise ValueError("a mask in an image without width and height")
    if not 0 < width * height <= MAX_PIXELS or size[0] * size[1] > MAX_PIXELS or min(width, height) < 1:
        raise ValueError(f"a mask of {width}x{height} pixels in an image of {size[0]}x{size[1]}")
    if min(counts) < 0 or sum(counts) != width * height:
        raise ValueError(f"runs over {sum(counts)} pixels, but {width} x {height} are {width * height}")
    mask = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(height, width)
    return placed(mask, left, top, size)
