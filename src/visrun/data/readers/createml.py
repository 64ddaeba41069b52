"""CreateML's json of labelled boxes, as Roboflow, LabelImg and Apple's tool write it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from visrun.data import files
from visrun.data.folder_names import LABELS_OF_SETS
from visrun.data.listing import Listing, Problem
from visrun.data.readers import common, json_keys
from visrun.data.readers.boxed import Picture, Pictures, class_names, listed
from visrun.data.readers.finder import bare_splits
from visrun.data.threads import mapped
from visrun.errors import DataError
from visrun.text import composed

SIDES = ("x", "y", "width", "height")  # of the box: its middle first


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
    pictures: Pictures = {}
    of_split: dict[str, Path] = {}
    problems: list[Problem] = []
    for (split, file), (entries, wrong) in zip(found, parts, strict=True):
        of_split.setdefault(split, file)
        own = pictures.setdefault(split, {})
        problems += wrong
        for image, made in entries:
            if own.setdefault(image, made) is not made:
                problems.append(Problem(made.where, f"{image} stands twice"))
    names = common.class_names(base) or class_names(pictures)
    splits, wrong, used = listed(pictures, of_split, names, base)
    warnings = common.left_over("json", others, base, lacking="a split in their name")
    warnings += bare_splits(root, splits, used, mend="export their annotations")
    return Listing(splits=splits, classes=names, problems=(*problems, *wrong), warnings=warnings)


def _files(root: Path) -> tuple[list[tuple[str, Path]], list[Path]]:
    jsons = partial(files.of_suffix, suffixes=files.JSON, deep=False)
    return common.label_files(root, LABELS_OF_SETS, jsons, _is_createml)


def _is_createml(file: Path) -> bool:
    if file.suffix.lower() not in files.JSON:
        return False
    top = json_keys.top(file, "annotations")
    return top.several and top.lists("annotations") and top.keys.get("image") == '"'


def _entries(file: Path, base: Path) -> tuple[list[tuple[str, Picture]], list[Problem]]:
    """The images of a json with their names, and what is wrong with others.

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


def _entry(where: str, item: Any) -> tuple[str, Picture]:
    """One image and its name.

    Raises:
        ValueError: What is wrong with it.
    """
    image, objects = (item.get("image"), item.get("annotations")) if isinstance(item, dict) else (None, None)
    if not isinstance(image, str) or not image or not isinstance(objects, list):
        raise ValueError("no object of image and annotations")
    made = Picture(where, f"{where}: annotation")
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
        made.spots.append(number)
        made.names.append(composed(name.strip()))
        made.boxes.append((x - width / 2, y - height / 2, x + width / 2, y + height / 2))
    return image, made
