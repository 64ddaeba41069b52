"""Whether the images of a dataset are enough to learn from."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from visrun.data.splits import Entry
from visrun.errors import DataError
from visrun.tables import TARGETS, finding
from visrun.text import are, plural

if TYPE_CHECKING:
    from visrun.data.choose import Counts
    from visrun.data.listing import Listing

LEARNT = ("train", "val")  # the splits that training reads
COARSEST = 0.01  # of a target's standard deviation, the step in which float32 may tell its values apart


def require(
    good: dict[str, list[Entry]],
    counts: Counts,
    listing: Listing,
    *,
    kind: str,
    root: Path,
    training: bool,
    layout: str,
    skipped: Sequence[str] = (),
) -> None:
    """Refuse what cannot be trained on, and say how much had been left out as unusable (``skipped``, a line each).

    ``layout`` is the reader, whose labels of images may be what their objects are.

    Raises:
        DataError: For an empty split and, where classes are told apart, for a training split that holds fewer than two;
            where objects are to be found, for one or a validation split that shows none; where defects are, for either
            without good images; for a target that does not vary in training.
    """
    try:
        _require(good, counts, listing, kind=kind, root=root, training=training, layout=layout)
    except DataError as error:
        if not skipped:
            raise
        told = f"{error}; {plural(len(skipped), 'unusable entry')} {are(len(skipped))} left out, such as {skipped[0]}"
        raise DataError(told, offenders=skipped) from None


def _require(
    good: dict[str, list[Entry]],
    counts: Counts,
    listing: Listing,
    *,
    kind: str,
    root: Path,
    training: bool,
    layout: str,
) -> None:
    _require_images(good, listing, LEARNT if training else (), kind, root)
    if training and kind == "value":
        _require_spread(good["train"], listing.targets, root)
    if not training or not counts or listing.multilabel:
        return
    if TARGETS[kind].objects:
        _require_objects(good, counts, root)
    if kind == "verdict":
        _require_good_ones(counts, root)
    _require_classes(counts["train"], listing.classes, kind, root, finding(layout) if kind == "label" else "")


def _require_images(
    good: dict[str, list[Entry]], listing: Listing, needed: Sequence[str], kind: str, root: Path
) -> None:
    empty = [name for name in (*needed, *good) if not good.get(name)]
    if kind == "mask" and empty and (listing.splits.get(empty[0]) or not any(good.values())):
        whose = f"of {empty[0]} " if empty[0] in listing.splits else ""
        raise DataError(f"{root}: no mask {whose}holds a pixel of the classes: check data.classes and the masks' ids")
    if empty or not good:
        what = f"the {empty[0]} split is empty" if empty else "no images"
        told = f"{root}: {what} (images: {', '.join(f'{k} {len(v)}' for k, v in good.items())})"
        raise DataError(told + (_mend(empty[0], listing) if empty else ""))


def _require_objects(good: dict[str, list[Entry]], counts: Counts, root: Path) -> None:
    for name, what in (("train", "learn from"), ("val", "tell a better epoch by")):
        if not any(counts[name]):
            ignored = sum(len(record.target) for record, _ in good[name])
            told = f"{plural(len(good[name]), 'image')}" + (f", {plural(ignored, 'ignored object')}" if ignored else "")
            raise DataError(f"{root}: no object to {what} in {name} ({told}): label some there")


def _require_good_ones(counts: Counts, root: Path) -> None:
    for name in LEARNT:
        if not counts[name][0]:
            raise DataError(f"{root}: no good image in {name}: add some, what is normal is learnt from them")


def _require_classes(counted: Sequence[int], classes: Sequence[str], kind: str, root: Path, finds: str) -> None:
    """Refuse a training split that shows too few classes to tell apart; ``finds`` is the task that finds objects."""
    present = [name for name, n in zip(classes, counted, strict=True) if n]
    if len(present) >= TARGETS[kind].least_classes:
        return
    mend = "an id of 255 means ignore, write the foreground as 1" if kind == "mask" else "add images of another"
    other = f", or find the objects: task={finds}" if finds else ""
    raise DataError(f"{root}: a single class, {present[0]}, in train: at least two are needed: {mend}{other}")


def _mend(empty: str, listing: Listing) -> str:
    """What to do about an empty split."""
    if empty in listing.splits and empty != "train":
        return f": put images there, or remove {empty}"
    few = ": too few images to hold any out: add some, two of a class at least, or give a val split"
    return few if empty == "val" else ""


def _require_spread(rows: Sequence[Entry], targets: Sequence[str], root: Path) -> None:
    """Refuse targets that do not vary, or by less than float32 tells apart, in which networks learn."""
    values = np.array([record.target for record, _ in rows], np.float64)
    for name, column in zip(targets, values.T, strict=True):
        low, high = column.min(), column.max()
        if low == high:
            told = f"every training image has the value {low:g}; there is nothing to learn"
            vary = [other for other, spread in zip(targets, np.ptp(values, 0), strict=True) if spread]
            others = shlex.quote(f"data.targets=[{','.join(vary)}]")
            rest = f", leave it out: {others}" if vary else ": add images with other values"
            raise DataError(f"{root}: target {name}: {told}{rest}")
        if np.spacing(np.abs(column).max().astype(np.float32)) > COARSEST * column.std():
            told = f"{low:.12g} to {high:.12g} are more than float32 can tell apart"
            raise DataError(f"{root}: target {name}: {told}; subtract an offset in the table")
