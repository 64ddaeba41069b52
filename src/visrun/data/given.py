"""What a plugin's reader gives, looked at before anything relies on it: a slip is one line that names the record."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

from visrun.data import files
from visrun.data.listing import Listing, Record
from visrun.data.marks import Marks
from visrun.data.splits import ALL
from visrun.data.verdicts import Verdict
from visrun.errors import DataError
from visrun.near import did_you_mean
from visrun.text import plural, some

SPLITS = (*files.SPLITS, ALL)
# Kind of target -> what a record's is, for messages; objects, from which others are derived, are Marks for every kind.
TARGETS = {
    "label": "the index of a class, or a tuple of such",
    "value": "a tuple of numbers, one for each name in targets",
    "mask": "the Path of a mask",
    "verdict": "a visrun.data.verdicts.Verdict",
}
OBJECTS = "a visrun.data.marks.Marks"


def require_listing(found: Any, *, layout: str, kind: str) -> Listing:
    """``found`` as a Listing of sound records.

    Args:
        found: What the reader gave.
        layout: Its name, for messages.
        kind: Of target, that it was asked for.

    Raises:
        DataError: It is no Listing, or has a split of an unknown name, what is no record, or a target of another kind.
    """
    if not isinstance(found, Listing):
        raise DataError(f"data={layout}: its reader gives {_type(found)}, not a visrun.data.listing.Listing")
    if fault := _fault(found, kind):
        raise DataError(f"data={layout}: {fault}")
    return found


def _fault(found: Listing, kind: str) -> str:
    unknown = [name for name in found.splits if name not in SPLITS]
    if unknown or (ALL in found.splits and len(found.splits) > 1):
        hint = did_you_mean(str(unknown[0]), SPLITS) if unknown else ""
        given = some(map(str, found.splits))
        return f"its reader gives the splits {given}: they are train, val and test, or all alone{hint}"
    for split, records in found.splits.items():
        if not isinstance(records, Sequence):
            return f"its reader gives {_type(records)} for {split}, not a list of records"
        for number, record in enumerate(records):
            if not isinstance(record, Record):
                return f"record {number} of {split} is {_type(record)}, not a visrun.data.listing.Record"
            if not isinstance(record.image, Path):
                return f"{record.where}: its image is {_type(record.image)}, not a Path"
            if fault := _fault_of(record.target, found, kind):
                return f"{record.where}: {fault}"
    return ""


def _fault_of(target: Any, found: Listing, kind: str) -> str:
    """What is wrong with a record's target; "" where nothing is."""
    if isinstance(target, Marks):
        return _fault_of_marks(target)
    if kind == "label":
        return _fault_of_labels(target, len(found.classes))
    if kind == "value":
        return _fault_of_values(target, found.targets)
    sound = isinstance(target, {"mask": Path, "verdict": Verdict}.get(kind, Marks))
    return "" if sound else _not(target, TARGETS.get(kind, OBJECTS))


def _not(target: Any, wanted: str) -> str:
    return f"its target is {_type(target)} ({str(target)[:60]}), not {wanted}"


def _fault_of_labels(target: Any, classes: int) -> str:
    for index in target if isinstance(target, tuple) else (target,):
        if not isinstance(index, Real | str):
            return _not(target, TARGETS["label"])
        if not isinstance(index, Integral) or not 0 <= int(index) < classes:
            return f"{index!r} is no index of its {classes} classes, which begin at 0"
    return ""


def _fault_of_values(target: Any, names: Sequence[str]) -> str:
    if not isinstance(target, tuple) or not all(isinstance(value, Real) for value in target):
        return _not(target, TARGETS["value"])
    if len(target) != len(names):
        return f"{plural(len(target), 'value')}, and targets names {len(names)}: give each a name"
    wrong = next((i for i, value in enumerate(target) if not math.isfinite(value)), None)
    return "" if wrong is None else f"target {names[wrong]}: {target[wrong]} is no finite number"


def _fault_of_marks(marks: Marks) -> str:
    n = len(marks.labels)
    shapes = {"labels": (n,), "boxes": (n, 4), "ignored": (n,), "spots": (n,), "quads": (n, 4, 2)}
    for name, shape in shapes.items():
        given = getattr(marks, name)
        if given is None and name == "quads":
            continue
        if not isinstance(given, np.ndarray) or given.shape != shape:
            what = f"an array {given.shape}" if isinstance(given, np.ndarray) else _type(given)
            return f"its Marks have {what} as {name}, not an array {shape}"
    if marks.outlines is not None and len(marks.outlines) != n:
        return f"its Marks have {plural(len(marks.outlines), 'outline')} for {plural(n, 'label')}"
    return ""


def _type(value: Any) -> str:
    return type(value).__name__
