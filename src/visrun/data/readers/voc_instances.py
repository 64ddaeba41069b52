"""Pascal VOC's objects as pictures: SegmentationObject/ has their numbers, SegmentationClass/ says of which class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from visrun.data import images
from visrun.data.derive import object_labels, object_names
from visrun.data.listing import Listing, Problem, Record
from visrun.data.marks import Marks
from visrun.data.outlines import Numbers, Rle, pixels
from visrun.data.readers import instances
from visrun.data.threads import mapped
from visrun.errors import DataError

OBJECTS = "SegmentationObject"
CLASSES = "SegmentationClass"


def read(masks: Listing) -> Listing:
    """The objects of every image whose mask was found; each has the class of most of its pixels.

    Args:
        masks: With the path of the class mask as each record's target.
    """
    ids = masks.classes or masks.usual_classes
    entries = [(split, record) for split, records in masks.splits.items() for record in records]
    splits: dict[str, list[Record]] = {split: [] for split in masks.splits}
    problems = list(masks.problems)
    found = mapped(lambda entry: _marks(entry[1], ids), entries, path=lambda entry: objects_of(entry[1].target))
    for (split, record), marks in zip(entries, found, strict=True):
        if isinstance(marks, Problem):
            problems.append(marks)
        else:
            splits[split].append(replace(record, target=marks))
    return replace(masks, splits=splits, classes=object_names(ids), usual_classes=(), problems=tuple(problems))


def objects_of(mask: Path) -> Path:
    """The picture of numbers that belongs to a class mask."""
    parts = list(mask.parts)
    parts[max(i for i, part in enumerate(parts) if part == CLASSES)] = OBJECTS
    return Path(*parts)


def _marks(record: Record, names: Sequence[str]) -> Marks | Problem:
    file = objects_of(record.target)
    try:
        ids, classes = images.load_ids(file), images.load_mask(record.target)
    except DataError as error:
        return Problem(record.where, str(error).replace(str(file), f"{OBJECTS}/{file.name}"))
    if ids.shape != classes.shape:
        return Problem(record.where, f"{file.name}: objects and classes differ in size")
    return instances.marks_of(
        ids, f"{record.where}: object", lambda _, outlines: object_labels(_labels(outlines, classes), names)
    )


def _labels(outlines: Sequence[Rle], classes: images.Pixels) -> Numbers:
    """The id that most of each object's pixels have, those to ignore left out; -1 where all are."""
    flat = classes.T.ravel()
    counts = [np.bincount(flat[pixels(outline, classes.shape)], minlength=256)[:255] for outline in outlines]
    return np.array([int(count.argmax()) if count.any() else -1 for count in counts], np.int64)
