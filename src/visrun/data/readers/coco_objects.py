"""The annotations of a COCO json: boxes, polygons of several parts, runs of pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from visrun.data import files
from visrun.data.listing import Problem
from visrun.data.opening import MAX_PIXELS
from visrun.data.outlines import Outline, Rle, counts_of
from visrun.text import are, plural

NOT_WRITTEN = (np.nan,) * 4
FEW = 0.05  # of all objects: so many may well be crowds, of which COCO itself has 1 %


@dataclass
class Column:
    """All annotations, one entry each in every list: number of the image, class index, left, top, right, bottom, ..."""

    images: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    boxes: list[tuple[float, ...]] = field(default_factory=list)
    outlines: list[Outline | None] = field(default_factory=list)
    ignored: list[bool] = field(default_factory=list)
    ids: list[Any] = field(default_factory=list)


def crowds(sources: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]) -> tuple[bool, list[str]]:
    """Whether crowds are ignored, and a line on them if they are many: CVAT writes each mask of one object as a crowd.

    Where all objects are such, none can be meant to be ignored.

    Args:
        sources: What stands before an annotation's id in messages, and the annotations of a json.
    """
    found = [
        (where, place, entry)
        for where, entries in sources
        for place, entry in enumerate(entries)
        if (flag := entry.get("iscrowd")) and files.flag(str(flag))
    ]
    count = sum(len(entries) for _, entries in sources)
    if len(found) <= FEW * count:
        return True, []
    if len(found) == count and all(isinstance(entry.get("segmentation"), dict) for *_, entry in found):
        return False, [f"all {count:,} objects are crowds (iscrowd=1) in runs, as CVAT's masks are: all are taken"]
    where, place, entry = found[0]
    told = f"{len(found):,} of {count:,} objects are crowds (iscrowd=1) and ignored"
    mend = "CVAT writes masks so: write 0 where it is one object, or export CVAT for images 1.1"
    return True, [f"{told}, such as {where} {_named(entry, place)}; {mend}"]


def turned(sources: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]) -> list[str]:
    """A line on boxes that CVAT has turned: its COCO keeps the upright box and writes the angle beside it.

    Args:
        sources: As `crowds` takes them.
    """
    found = [
        (where, place, entry)
        for where, entries in sources
        for place, entry in enumerate(entries)
        if not entry.get("segmentation") and _angle(entry)
    ]
    if not found:
        return []
    where, place, entry = found[0]
    told = f"{plural(len(found), 'box')} {are(len(found))} turned (attributes.rotation) and taken as if they were not"
    return [f"{told}, such as {where} {_named(entry, place)}; export CVAT for images 1.1, which has their corners"]


def _angle(annotation: Mapping[str, Any]) -> float:
    """Degrees by which CVAT has turned a box; 0 where nothing is said."""
    beside = annotation.get("attributes")
    angle = beside.get("rotation") if isinstance(beside, Mapping) else None
    return angle if isinstance(angle, int | float) else 0


def _named(annotation: Mapping[str, Any], place: int) -> Any:
    return annotation.get("id") if is_id(annotation.get("id")) else f"number {place + 1}"


def parse(
    annotations: Sequence[Mapping[str, Any]],
    number: Mapping[Any, int],
    index: Mapping[Any, int],
    where: str,
    *,
    crowded: bool = True,
) -> tuple[Column, dict[int, list[Problem]]]:
    """The annotations that can be read, and what is wrong with the others by number of their image (-1: of none).

    Args:
        annotations: As in the json.
        number: Id of an image -> its number.
        index: Id of a category -> class index.
        where: What stands before an annotation's id in messages.
        crowded: Whether crowds are ignored, rather than objects like others.
    """
    column = Column()
    wrong: dict[int, list[Problem]] = {}
    for place, annotation in enumerate(annotations):
        id_ = _named(annotation, place)
        image = number.get(_key(annotation.get("image_id")), -1)
        try:
            label = _label(annotation, index)
            box, outline = _box(annotation.get("bbox")), _outline(annotation.get("segmentation"))
            ignored = any([_flag(annotation, "iscrowd") and crowded, _flag(annotation, "ignore")])
            if box is None and outline is None:
                raise ValueError("neither bbox nor segmentation")
            if image < 0:
                known = ", ".join(map(repr, islice(number, 2))) + (", ..." if len(number) > 2 else "")
                raise ValueError(f"its image_id {annotation.get('image_id')!r} is none of the images ({known})")
        except (ValueError, OverflowError) as error:
            wrong.setdefault(image, []).append(Problem(f"{where} {id_}", str(error)))
            continue
        column.images.append(image)
        column.labels.append(label)
        column.boxes.append(box or NOT_WRITTEN)
        column.outlines.append(outline)
        column.ignored.append(ignored)
        column.ids.append(id_)
    return column, wrong


def _flag(annotation: Mapping[str, Any], key: str) -> bool:
    """Whether a flag is set, which some tools write as text; a missing one is not."""
    value = annotation.get(key)
    found = False if value in (None, "") else files.flag(str(value))
    if found is None:
        raise ValueError(f"{key} {str(value)[:60]!r} is neither 0 nor 1")
    return found


def is_id(value: Any) -> bool:
    """Whether something can be the id of an image or a category."""
    return type(value) in (int, float, str)


def _key(id_: Any) -> Any:
    return id_ if is_id(id_) else None


def _label(annotation: Mapping[str, Any], index: Mapping[Any, int]) -> int:
    found = index.get(_key(annotation.get("category_id")))
    if found is None:
        known = ", ".join(map(str, list(index)[:5])) + (", ..." if len(index) > 5 else "")
        raise ValueError(f"its category_id {annotation.get('category_id')!r} is none of the categories ({known})")
    return found


def _box(written: Any) -> tuple[float, ...] | None:
    """Left, top, right, bottom of COCO's left, top, width, height."""
    if written is None or written == []:
        return None
    if not _numbers(written) or len(written) != 4:
        raise ValueError(f"bbox {str(written)[:60]} is not [left, top, width, height]")
    left, top, width, height = map(float, written)
    return left, top, left + width, top + height


def _numbers(written: Any) -> bool:
    return isinstance(written, list) and set(map(type, written)) <= {int, float}


def _outline(written: Any) -> Outline | None:
    if not written:
        return None
    if isinstance(written, dict):
        return _runs(written)
    parts = [written] if _numbers(written) else written
    if not isinstance(parts, list) or not all(map(_numbers, parts)):
        raise ValueError("segmentation is neither polygons nor runs (counts and size)")
    odd = next((part for part in parts if len(part) % 2), None)
    if odd is not None:
        raise ValueError(f"a polygon of {len(odd)} numbers: x and y come in pairs")
    return tuple(np.array(part, np.float64).reshape(-1, 2) for part in parts if part) or None


def _runs(written: Mapping[str, Any]) -> Rle:
    counts, size = written.get("counts"), written.get("size")
    if not _numbers(size) or len(size or []) != 2 or not isinstance(counts, str | list):
        raise ValueError("runs without counts or without a size of [height, width]")
    if isinstance(counts, list) and not all(type(count) is int and count >= 0 for count in counts):
        raise ValueError("runs with a count that is no whole number from 0 on")
    height, width = (int(side) for side in size or [])
    if not 0 < height * width <= MAX_PIXELS:
        raise ValueError(f"runs over {height} x {width} pixels")
    runs = counts if isinstance(counts, list) else [int(count) for count in counts_of(counts)]
    if sum(runs) != height * width or min(runs, default=0) < 0:
        raise ValueError(f"runs over {sum(runs)} pixels, but {height} x {width} are {height * width}")
    return Rle(tuple(runs), (height, width))
