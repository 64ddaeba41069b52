"""What a reader finds under a dataset's folder: records of images, before any image is opened."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from visrun.data.marks import Marks
from visrun.text import composed


@dataclass(frozen=True, slots=True)
class Record:
    """One image and what is to be learnt of it.

    Args:
        image: The image file.
        target: By kind. ``label``: a class index, or several as a tuple; ``value``: one float per target; ``mask``: the
            path of the mask, or the objects it is painted from; ``verdict``: :class:`visrun.data.verdicts.Verdict`;
            ``boxes``, ``rotated_boxes``, ``instances``:
            :class:`visrun.data.objects.Objects`. From a reader of objects: :class:`visrun.data.marks.Marks`.
        where: Where it was found, for messages: ``train.csv:12``, or the image's path inside the dataset.
        member: The patient, clip or place that a column of its table names, "" where the cell is blank; None = no such
            column.
    """

    image: Path
    target: Any
    where: str
    member: str | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one record (``where`` as in it), in one line."""

    where: str
    what: str

    def __str__(self) -> str:
        return self.what if self.what.startswith(f"{self.where}:") else f"{self.where}: {self.what}"


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What a reader found, before any image is opened.

    Args:
        splits: Records under ``train``, ``val``, ``test``, or under ``all`` where the layout knows no splits.
        classes: Class names by index; () for values, and for masks whose ids nobody named.
        ids: Of masks' classes, where they are others than 0, 1, ...; what has another id is ignored.
        usual_classes: The names that unnamed ids of this layout have, if these suffice for all ids found.
        targets: Names of the values.
        multilabel: Whether an image can have several labels.
        problems: Rows and files that are no records.
        warnings: What people should know.
        group: What the records' members are, such as sequences, where those of one are held out together although the
            user names no group; None = each may be held out alone.
    """

    splits: dict[str, list[Record]]
    classes: tuple[str, ...] = ()
    ids: tuple[int, ...] = ()
    usual_classes: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    multilabel: bool = False
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    group: str | None = None


def with_composed(found: Listing) -> Listing:
    """``found`` with class names :func:`composed`, as they are compared; of those that are then the same one class is
    made."""
    names = [*map(composed, found.classes)]
    if names == [*found.classes]:
        return found
    place = {name: i for i, name in enumerate(dict.fromkeys(names))}
    made = replace(found, classes=tuple(place))
    if len(place) == len(names):
        return made
    index = np.array([place[name] for name in names])
    splits = {split: [_relabelled(record, index) for record in several] for split, several in found.splits.items()}
    return replace(made, splits=splits)


def _relabelled(record: Record, index: np.ndarray) -> Record:
    target = record.target
    if isinstance(target, Marks):
        known = (target.labels >= 0) & (target.labels < len(index))
        labels = np.where(known, index[np.where(known, target.labels, 0)], target.labels)
        return replace(record, target=replace(target, labels=labels))
    if isinstance(target, tuple):
        return replace(record, target=tuple(sorted({int(index[label]) for label in target})))
    return replace(record, target=int(index[target])) if isinstance(target, Integral) else record
