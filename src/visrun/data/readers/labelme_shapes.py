"""The shapes in LabelMe's json files: polygons, rectangles, circles, masks, turned rectangles."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visrun.data import files
from visrun.data.listing import Problem
from visrun.data.marks import spot_in
from visrun.data.opening import BOMBS, BROKEN, MAX_PIXELS
from visrun.data.outlines import Floats, Outline, Rle, box_of
from visrun.data.readers import json_keys
from visrun.data.readers.common import Size, size_in
from visrun.data.readers.shapes import Shape, Shapes, ellipse, gather, placed
from visrun.errors import DataError
from visrun.text import plural

KEYS = ("shapes", "imagePath", "imageData")  # any of which tells a LabelMe json
NO_OBJECTS = ("line", "linestrip", "point", "points")
NO_CLASSES = ("__ignore__", "_background_")  # of LabelMe's own lists of labels
TURNED = ("oriented_rectangle", "rotation")
CORNERS = 4


def parse(path: Path, root: Path) -> Shapes | None:
    """What a json holds; None where it is another kind of json."""
    shown = files.shown(path, root)
    found = Shapes(f"{shown}: shape")
    try:
        content = json_keys.parsed(path, files.text(path))
    except DataError as error:
        found.problems.append(Problem(shown, str(error).replace(str(path), shown)))
        return found
    if not isinstance(content, dict) or not any(key in content for key in KEYS):
        return None
    shapes = content.get("shapes")
    if not isinstance(shapes, list):
        found.problems.append(Problem(shown, "shapes is no list" if "shapes" in content else "it has no shapes"))
        return found
    found.image = _base(content.get("imagePath"))
    found.size = size_in(content.get("imageWidth"), content.get("imageHeight"))
    _fill(found, shapes)
    return found


def _base(written: Any) -> str:
    """The last part of a path as written on any machine."""
    return PurePosixPath(written.replace("\\", "/")).name if isinstance(written, str) else ""


def _fill(found: Shapes, shapes: Sequence[Any]) -> None:
    parts: list[tuple[Hashable, Shape]] = []
    for spot, shape in enumerate(shapes, start=1):
        try:
            if not isinstance(shape, dict):
                raise ValueError("is no object of label and points")
            kind = "polygon" if shape.get("shape_type") is None else shape["shape_type"]
            label = shape.get("label")
            if kind in NO_OBJECTS or label in NO_CLASSES:
                found.others[str(kind if kind in NO_OBJECTS else label)] += 1
                continue
            part = replace(_shape(spot, shape, kind, found.size), ignored=_difficult(shape.get("difficult")))
            group = shape.get("group_id")
            if not isinstance(group, int | float | str | None):
                raise ValueError(f"group_id {group!r:.60} is no number")
        except ValueError as error:
            found.problems.append(Problem(spot_in(found.file, spot), str(error)))
            continue
        parts.append((group, part))
    gather(parts, found)


def _shape(spot: int, shape: Mapping[str, Any], kind: Any, size: Size | None) -> Shape:
    """One shape.

    Raises:
        ValueError: What is wrong with it.
    """
    name, points = _name(shape.get("label")), _points(shape.get("points"))
    box, outline = np.concatenate([points.min(0), points.max(0)]), (points,)
    if kind == "polygon":
        return Shape(spot, name, box, outline=outline)
    if kind == "rectangle":
        _require(kind, points, 2, CORNERS)
        return Shape(spot, name, box)
    if kind == "circle":
        _require(kind, points, 2)
        return _outlined(spot, name, (ellipse(points[0], math.dist(*points)),))
    if kind == "mask":
        _require(kind, points, 2)
        return _outlined(spot, name, _mask(points, shape.get("mask"), size))
    if kind in TURNED:
        _require(kind, points, CORNERS)
        return Shape(spot, name, box, quad=points)
    known = ("polygon", "rectangle", "circle", "mask", *TURNED, *NO_OBJECTS)
    raise ValueError(f"shape_type {kind!r:.60} is none of {', '.join(known)}")


def _name(written: Any) -> str:
    name = str(written).strip() if type(written) in (str, int) else ""
    if not name or not name.encode("utf-8", "ignore").decode() == name:
        raise ValueError(f"label {written!r:.60} is no name of a class")
    return name


def _difficult(written: Any) -> bool:
    found = False if written is None else files.flag(str(written))
    if found is None:
        raise ValueError(f"difficult {written!r:.60} is neither true nor false")
    return found


def _points(written: Any) -> Floats:
    """(P, 2), at least one."""
    pairs = isinstance(written, list) and all(isinstance(point, list) and len(point) == 2 for point in written)
    if not pairs or not written or not {type(number) for point in written for number in point} <= {int, float}:
        raise ValueError(f"points {written!r:.60} are no list of [x, y]")
    try:
        return np.array(written, np.float64)
    except OverflowError:
        raise ValueError("a coordinate is no finite number") from None


def _require(kind: str, points: Floats, *counts: int) -> None:
    if len(points) not in counts:
        raise ValueError(f"a {kind} of {plural(len(points), 'point')}: it has {' or '.join(map(str, counts))}")


def _outlined(spot: int, name: str, outline: Outline) -> Shape:
    return Shape(spot, name, box_of(outline), outline=outline)


def _mask(corners: Floats, text: Any, size: Size | None) -> Rle:
    """A picture in a frame of ``corners``, both of which are pixels in it."""
    if size is None:
        raise ValueError("a mask needs imageWidth and imageHeight")
    if size[0] * size[1] > MAX_PIXELS:
        raise ValueError(f"a mask in an image of {size[0]}x{size[1]} pixels")
    if not np.isfinite(corners).all():
        raise ValueError("a coordinate is no finite number")
    mask = _picture(text)
    frame = np.abs(corners[1] - corners[0]) + 1
    if (np.abs(frame - mask.shape[::-1]) > 1).any():
        shape = f"{mask.shape[1]}x{mask.shape[0]}"
        raise ValueError(f"a mask of {shape} pixels in a frame of {frame[0]:g}x{frame[1]:g}")
    left, top = corners.min(0).astype(np.int64)
    return placed(mask, int(left), int(top), size)


def _picture(text: Any) -> NDArray[np.bool_]:
    try:
        raw = base64.b64decode(text, validate=True)
        with Image.open(io.BytesIO(raw), formats=["PNG"]) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError("too large")
            return np.asarray(image.convert("L")) > 0
    except (*BROKEN, *BOMBS):
        raise ValueError("its mask is no PNG in base64") from None
