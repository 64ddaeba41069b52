"""What a task learns from labelled objects: one set of outlines serves all tasks, a set of boxes four.

From an outline follow the box around it, the smallest rectangle around it, its pixels; from any objects the classes
that an image shows, and how many it shows of each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from visrun.data.objects import Objects, hulls_of
from visrun.data.outlines import Floats, Numbers, Outline, hull_points
from visrun.data.verdicts import CLASSES as VERDICTS
from visrun.data.verdicts import Verdict, is_good
from visrun.errors import DataError
from visrun.text import are, plural

BACKGROUND = "background"
COUNTED = ("count",)  # the only value of images whose objects are of one class
MOST_PAINTED = 254  # classes of painted masks: ids are bytes, 0 is the background and 255 "ignore"
TOGETHER = 1 << 13  # points of outlines whose rectangles are found at once


@dataclass(frozen=True, kw_only=True)
class Derived:
    """The targets of a task.

    Args:
        targets: One for each image; None where it has none and is to be left out.
        classes, named, multilabel: As ``classes``, ``targets``, ``multilabel`` of `visrun.data.listing.Listing`.
        notes: What people should know, a line each.
    """

    targets: list[Any]
    classes: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    multilabel: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Derivation:
    """How a kind of target is made, from which forms of labels, and whether it holds upright boxes."""

    make: Callable[[Sequence[Objects], tuple[str, ...]], Derived]
    forms: tuple[str, ...] = ("boxes", "quads", "outlines")
    boxed: bool = False


def object_names(classes: Sequence[str]) -> tuple[str, ...]:
    """The classes that objects may have: all but the one that is named as the background."""
    return tuple(name for i, name in enumerate(classes) if i != _background(classes))


def object_labels(ids: Numbers, classes: Sequence[str]) -> Numbers:
    """The places among `object_names` of ids that count ``classes``; the background's becomes -1."""
    place = _background(classes)
    return ids if place is None else np.where(ids == place, -1, ids - (ids > place))


def _background(classes: Sequence[str]) -> int | None:
    return next((i for i, name in enumerate(classes) if name.lower() == BACKGROUND), None)


def boxes(several: Sequence[Objects], classes: tuple[str, ...]) -> Derived:
    """Upright boxes, with the hulls by which they stay tight when pictures turn."""
    targets = [replace(objects, quads=None, outlines=None, hulls=hulls_of(objects)) for objects in several]
    return Derived(targets=targets, classes=classes)


def rotated_boxes(several: Sequence[Objects], classes: tuple[str, ...]) -> Derived:
    """Corners as labelled, or those of the smallest rectangle around each outline."""
    if any(objects.outlines for objects in several):
        every = rectangles([outline for objects in several for outline in objects.outlines or ()])
        parts = np.split(every, np.cumsum([len(objects) for objects in several])[:-1])
        several = [replace(o, quads=quads, outlines=None) for o, quads in zip(several, parts, strict=True)]
    return Derived(targets=[replace(o, quads=o.corners(), outlines=None) for o in several], classes=classes)


def instances(several: Sequence[Objects], classes: tuple[str, ...]) -> Derived:
    """Outlines."""
    return Derived(targets=list(several), classes=classes)


def mask(several: Sequence[Objects], classes: tuple[str, ...]) -> Derived:
    """Objects that :func:`visrun.data.images.mask_of` paints: id 0 is the background, class k has the id k + 1.

    A class that is named as the background is that one.

    Raises:
        DataError: More classes than a mask has ids.
    """
    if len(classes) > MOST_PAINTED:
        raise DataError(f"{plural(len(classes), 'class')}: a mask painted from outlines has ids for {MOST_PAINTED}")
    place = _background(classes)
    named = BACKGROUND if place is None else classes[place]
    targets = [o.relabelled(object_labels(o.labels, classes) + 1) for o in several]
    return Derived(targets=targets, classes=(named, *object_names(classes)))


def label(several: Sequence[Objects], classes: tuple[str, ...]) -> Derived:
    """The class that an image shows, where no image shows two; else all of them.

    With one class an image, images that show nothing have no label and are left out.
    """
    shown = [tuple(sorted(set(objects.labels.tolist()))) for objects in several]
    if any(len(found) > 1 for found in shown):
        return Derived(targets=list(shown), classes=classes, multilabel=True)
    blank = sum(not found for found in shown)
    notes = (
        (f"{plural(blank, 'image')} without objects {are(blank)} left out: their class is not known",) if blank else ()
    )
    return Derived(targets=[found[0] if found else None for found in shown], classes=classes, notes=notes)


def value(several: Sequence[Objects], classes: tuple[str, ...]) -> Derived:
    """How many objects of each class an image shows, those that are ignored not counted; one class: ``count``.

    The background, where a class beside others is named so, is not counted.
    """
    names = object_names(classes) if len(classes) > 1 else classes
    counted = [classes.index(name) for name in names] or [0]
    counts = [np.bincount(o.labels[~o.ignored], minlength=max(1, len(classes)))[counted] for o in several]
    targets = [tuple(float(n) for n in found) for found in counts]
    return Derived(targets=targets, named=names if len(names) > 1 else COUNTED)


def verdict(several: Sequence[Objects], classes: tuple[str, ...]) -> Derived:
    """Whether an image shows an object: each is a defect, but those of classes such as ``good``. Outlines mark it.

    The kind is the class that most of an image's objects have. An image all of whose objects are ignored is left out.
    """
    good = [i for i, name in enumerate(classes) if is_good(name)]
    targets = [_judged(objects.pick(~np.isin(objects.labels, good)), classes) for objects in several]
    unknown = sum(target is None for target in targets)
    notes = (f"{plural(unknown, 'image')} of ignored objects alone {are(unknown)} left out",) if unknown else ()
    return Derived(targets=targets, classes=VERDICTS, notes=notes)


def _judged(objects: Objects, classes: tuple[str, ...]) -> Verdict | None:
    if not len(objects):
        return Verdict(VERDICTS[0])
    counted = objects.labels[~objects.ignored]
    if not len(counted):
        return None
    outlined = objects.outlines is not None and all(outline is not None for outline in objects.outlines)
    marks = replace(objects.relabelled(np.ones_like(objects.labels)), quads=None) if outlined else None
    return Verdict(classes[int(np.bincount(counted).argmax())], outlined=marks)


# By kind of target; a task's kind stands in visrun.tables.TASKS.
DERIVE: dict[str, Derivation] = {
    "boxes": Derivation(boxes, boxed=True),
    "rotated_boxes": Derivation(rotated_boxes, ("quads", "outlines")),
    "instances": Derivation(instances, ("outlines",), boxed=True),
    "mask": Derivation(mask, ("outlines",)),
    "label": Derivation(label),
    "value": Derivation(value),
    "verdict": Derivation(verdict),
}


def rectangles(outlines: Sequence[Outline]) -> Floats:
    """(n, 4, 2) corners of the rectangle of least area around each outline; equal points where it has none."""
    points = [hull_points(outline) for outline in outlines]
    counts = np.array([len(several) for several in points], np.int64)
    found = np.zeros((len(points), 4, 2))
    order = np.argsort(counts, kind="stable")
    while len(order):
        together = max(1, TOGETHER // max(1, counts[order[-1]]))  # all are filled up to the longest of them
        chosen, order = order[-together:], order[:-together]
        found[chosen] = _smallest([points[i] for i in chosen])
    return found


def _smallest(points: Sequence[Floats]) -> Floats:
    import torch

    from visrun.boxes import le90_to_quads, points_to_le90

    longest = max(1, *map(len, points)) if points else 1
    padded, valid = np.zeros((len(points), longest, 2)), np.zeros((len(points), longest), bool)
    for row, several in enumerate(points):
        padded[row, : len(several)], valid[row, : len(several)] = several, True
    fitted = points_to_le90(torch.from_numpy(padded), torch.from_numpy(valid))
    return np.asarray(le90_to_quads(fitted)).reshape(-1, 4, 2)
