"""CreateML's json of labelled boxes, as Roboflow, LabelImg and Apple's tool write it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from visrun.data import files
from visrun.data.folder_names import LABELS_OF_SETS
from visrun.data.listing import Listing, Problem, Record
from visrun.data.marks import Marks
from visrun.data.readers import common, json_keys
from visrun.data.readers.finder import bare_splits, placed
from visrun.data.threads import mapped
from visrun.errors import DataError
from visrun.text import composed

SIDES = ("x", "y", "width", "height")  # of the box: its middle first


class Entry(NamedTuple):
    """What a json says of one image: the classes and the boxes of its objects."""

    where: str
    image: str
    names: list[str]
    boxes: list[list[float]]


def recognise(root: Path) -> bool:
    """Whether ``root`` is CreateML's json or holds some, at the top, in a folder of labels or the splits' folders."""
    return bool(_files(root)[0])


def read(root: Path) -> Listing:
    """CreateML: train/_annotations.createml.json, or one .json or one an image, here, in annotations/ or in labels/.

    Images are looked for beside the json, in the splits' folders, in images/, then anywhere below ``root``.

    Raises:
        DataError: For a json that is broken, or none; for training or validation images that no json lists (test images
            are left out).
    """
    found, others = _files(root)
    if not found:
        raise DataError(f"{root}: no CreateML json: expected train/_annotations.createml.json or one .json")
    base = files.home(root)
    parts = mapped(partial(_entries, base=base), [file for _, file in found], path=lambda file: file)
    first: dict[str, Path] = {}
    entries: dict[str, dict[str, Entry]] = {}
    problems: list[Problem] = []
    for (split, file), (several, wrong) in zip(found, parts, strict=True):
        first.setdefault(split, file)
        own = entries.setdefault(split, {})
        problems += wrong
        problems += [Problem(one.where, f"{one.image} stands twice") for one in several if one.image in own]
        own.update({one.image: one for one in several if one.image not in own})
    names = common.class_names(base)
    names = names or common.sorted_names({n for own in entries.values() for one in own.values() for n in one.names})
    splits: dict[str, list[Record]] = {}
    wanted = [(split, first[split], own) for split, own in entries.items()]
    for (split, own), places in zip(entries.items(), placed(wanted, base), strict=True):
        strange = {one.image: n for one in own.values() for n in one.names if n not in names}
        faulty = {image: common.no_class(name, names) for image, name in strange.items()} | places.doubts
        problems += [Problem(own[image].where, what) for image, what in faulty.items()]
        splits[split] = [
            Record(places.paths[image], _marks(one, names), one.where)
            for image, one in own.items()
            if image not in faulty
        ]
    warnings = common.left_over("jsons", others, base, lacking="a split in their name")
    used = {record.image for records in splits.values() for record in records}
    warnings += bare_splits(root, splits, used, mend="export their annotations")
    return Listing(splits=splits, classes=names, problems=tuple(problems), warnings=warnings)


def _files(root: Path) -> tuple[list[tuple[str, Path]], list[Path]]:
    jsons = partial(files.of_suffix, suffixes=files.JSON, deep=False)
    return common.label_files(root, LABELS_OF_SETS, jsons, _is_createml)


def _is_createml(file: Path) -> bool:
    if file.suffix.lower() not in files.JSON:
        return False
    top = json_keys.top(file, "annotations")
    return top.several and top.lists("annotations") and top.keys.get("image") == '"'


def _entries(file: Path, base: Path) -> tuple[list[Entry], list[Problem]]:
    """The images of a json, and what is wrong with others.

    Raises:
        DataError: It is broken.
    """
    shown = files.shown(file, base)
    found, problems = [], []
    for number, item in enumerate(json_keys.parsed(file, files.text(file)), start=1):
        where = f"{shown}: image {number}"
        try:
            found.append(_entry(where, item))
        except ValueError as error:
            problems.append(Problem(where, str(error)))
    return found, problems


def _entry(where: str, item: Any) -> Entry:
    """One image.

    Raises:
        ValueError: What is wrong with it.
    """
    image, objects = (item.get("image"), item.get("annotations")) if isinstance(item, dict) else (None, None)
    if not isinstance(image, str) or not image or not isinstance(objects, list):
        raise ValueError("no object of image and annotations")
    entry = Entry(where, image, [], [])
    for number, one in enumerate(objects, start=1):
        spot = f"annotation {number} of {image}"
        name = one.get("label") if isinstance(one, dict) else None
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"{spot}: no label")
        sides = one.get("coordinates")
        values: list[Any] = [sides.get(side) for side in SIDES] if isinstance(sides, dict) else []
        if not values or not {*map(type, values)} <= {int, float}:
            raise ValueError(f"{spot}: its coordinates are not the numbers {', '.join(SIDES)}")
        try:
            x, y, width, height = (float(value) for value in values)
        except OverflowError:
            raise ValueError(f"{spot}: a coordinate is no finite number") from None
        entry.names.append(composed(name.strip()))
        entry.boxes.append([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
    return entry


def _marks(entry: Entry, names: Sequence[str]) -> Marks:
    return Marks(
        labels=np.array([names.index(name) for name in entry.names], np.int64),
        boxes=np.array(entry.boxes, np.float64).reshape(-1, 4),
        ignored=np.zeros(len(entry.names), bool),
        spots=np.arange(1, len(entry.names) + 1),
        file=f"{entry.where}: annotation",
    )
