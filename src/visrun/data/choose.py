"""Which classes and records of a listing are used, and the warnings about them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from visrun.data import check, files
from visrun.data.check import Finding
from visrun.data.ids import ABSENT
from visrun.data.objects import Objects
from visrun.data.splits import Entry
from visrun.data.verdicts import Verdict
from visrun.errors import DataError
from visrun.near import did_you_mean
from visrun.tables import TARGETS
from visrun.text import are, plural, some

if TYPE_CHECKING:
    from visrun.data.listing import Listing, Record

_DECIMAL = re.compile(r"-?\d+(\.\d*)?")
Counts = dict[str, tuple[int, ...]]


def labels(listing: Listing, classes: Sequence[str] | None, *, training: bool) -> Listing:
    """``listing`` with labels that index ``classes``; images that have none of them are left out (None: as it is)."""
    if classes is None:
        return listing
    wanted = wanted_of(classes, listing.classes, training=training)
    index = {listing.classes.index(name): new for new, name in enumerate(wanted) if name in listing.classes}
    chosen = {
        name: [new for record in records if (new := _relabelled(record, index)) is not None]
        for name, records in listing.splits.items()
    }
    return replace(listing, splits=chosen, classes=wanted)


def _relabelled(record: Record, index: dict[int, int]) -> Record | None:
    if isinstance(record.target, tuple):
        kept = tuple(sorted(index[old] for old in record.target if old in index))
        return replace(record, target=kept) if kept or not record.target else None
    return replace(record, target=index[record.target]) if record.target in index else None


def objects(
    several: Sequence[Objects], known: tuple[str, ...], classes: Sequence[str] | None, *, training: bool
) -> tuple[list[Objects], tuple[str, ...]]:
    """The objects of the wanted classes with labels that index these, and their names (None: all as they are).

    Images keep their place, also those that show none of them.
    """
    if classes is None:
        return list(several), known
    wanted = wanted_of(classes, known, training=training)
    index = np.full(len(known), -1, np.int64)
    for new, name in enumerate(wanted):
        if name in known:
            index[known.index(name)] = new
    return [o.relabelled(index[o.labels]).pick(index[o.labels] >= 0) for o in several], wanted


def wanted_of(classes: Sequence[str], known: Sequence[str], *, training: bool) -> tuple[str, ...]:
    """The wanted ``classes``, of which a finished model's may be missing in part.

    Raises:
        DataError: One stands twice, none is named, or one to be learnt is not in the dataset.
    """
    wanted = tuple(map(str, classes))
    twice = [name for name, n in Counter(wanted).items() if n > 1 and training]  # a model's may be one by now
    if twice or not wanted:
        told = f"{twice[0]} stands twice: keep one" if twice else "names no class: leave it out for all"
        raise DataError(f"data.classes={list(wanted)}: {told}")
    missing = [name for name in wanted if name not in known]
    if missing and training:
        hint = did_you_mean(missing[0], known) or f"; classes here: {some(known, 20)}"
        raise DataError(f"data.classes: no class {missing[0]!r} in the dataset{hint}")
    if len(missing) == len(wanted):
        here = f"classes here: {some(known, 20)}" if known else "nothing here has a label"
        raise DataError(f"none of the model's classes ({some(wanted, 5)}) is in the dataset; {here}")
    return wanted


def left_out(known: Sequence[str], classes: Sequence[str] | None, *, training: bool) -> tuple[str, ...]:
    """A line on the dataset's classes that a finished model does not tell, or (): nobody chose to leave these out."""
    unknown = [] if training or classes is None else [name for name in known if name not in classes]
    return (f"left out, since the model does not know it: {some(unknown)}",) if unknown else ()


def counts_that_vary(listing: Listing, good: dict[str, list[Entry]]) -> tuple[Listing, dict[str, list[Entry]]]:
    """Counts of objects without those that are the same in all of train, such as of classes that nothing shows, and a
    warning of them; all where none varies."""
    rows = np.array([record.target for record, _ in good.get("train", [])], np.float64).reshape(
        -1, len(listing.targets)
    )
    fixed = {name: column[0] for name, column in zip(listing.targets, rows.T, strict=True) if len({*column}) == 1}
    if not fixed or len(fixed) == len(listing.targets):
        return listing, good
    kept = [i for i, name in enumerate(listing.targets) if name not in fixed]
    line = f"not counted, since it is the same in all training images: {some(f'{k} ({n:g})' for k, n in fixed.items())}"
    changed = replace(listing, targets=tuple(listing.targets[i] for i in kept), warnings=(*listing.warnings, line))
    return changed, {
        split: [(replace(record, target=tuple(record.target[i] for i in kept)), found) for record, found in entries]
        for split, entries in good.items()
    }


def drop_blank(good: dict[str, list[Entry]], ids: tuple[int, ...]) -> tuple[str, ...]:
    """Take images out of ``good`` whose masks have no pixel of any class, and a test split of such images alone, as
    challenges have it; a line that says so, or ()."""
    blank = 0
    for name, rows in list(good.items()):
        kept = [row for row in rows if _of_classes(row[1], ids).any()]
        blank += len(rows) - len(kept)
        good[name] = kept
        if rows and not kept and name == "test" and len(good) > 1:
            del good[name]
    return (f"{plural(blank, 'image')} left out: their masks hold no pixel of the classes",) if blank else ()


def _of_classes(finding: Finding, ids: tuple[int, ...]) -> np.ndarray:
    assert finding.pixels is not None
    return np.where(np.asarray(ids) == ABSENT, 0, finding.pixels[list(ids)])


def count(good: dict[str, list[Entry]], *, kind: str, num_classes: int, ids: tuple[int, ...]) -> Counts:
    """Images (labels), pixels (masks) or objects (those that are ignored not counted) of each class in each split.

    {} for values.
    """
    if kind == "value":
        return {}
    return {
        name: tuple(map(int, sum((_counted(row, num_classes, ids) for row in rows), np.zeros(num_classes, np.int64))))
        for name, rows in good.items()
    }


def _counted(entry: Entry, num_classes: int, ids: tuple[int, ...]) -> np.ndarray:
    record, finding = entry
    if ids:
        return _of_classes(finding, ids)
    if isinstance(record.target, Objects):
        return np.bincount(record.target.labels[~record.target.ignored], minlength=num_classes)
    if isinstance(record.target, Verdict):
        return np.bincount([record.target.defective], minlength=num_classes)
    found = record.target if isinstance(record.target, tuple) else (record.target,)
    return np.bincount(np.asarray(found, np.int64), minlength=num_classes)


def _alike(classes: Sequence[str]) -> list[str]:
    """Lines on classes that may be meant to be one."""
    ways: dict[str, list[Any]] = {
        "differ in upper and lower case only": [name.casefold() for name in classes],
        "are the same number": [float(name) if _DECIMAL.fullmatch(name) else name for name in classes],
    }
    lines = []
    for what, keys in ways.items():
        counts = Counter(keys)
        several = [name for name, key in zip(classes, keys, strict=True) if counts[key] > 1]
        lines += [f"classes that {what}: {some(several)}"] if several else []
    return lines


def _one_sided(counts: Counts) -> list[str]:
    """Lines on a test split in which nothing can be told apart."""
    missing = [what for what, n in zip(("good", "defective"), counts.get("test", (1, 1)), strict=True) if not n]
    return [f"no {what} image in test: how well it is told apart cannot be measured there" for what in missing]


def _inverted(good: dict[str, list[Entry]]) -> list[str]:
    """A line on verdicts' masks most of which mark more than half of their image."""
    masks = [finding.pixels for rows in good.values() for _, finding in rows if finding.pixels is not None]
    wide = sum(bool(pixels[0] < pixels[1:].sum()) for pixels in masks)
    if 2 * wide <= len(masks):
        return []
    return [
        f"{wide:,} of {len(masks):,} masks mark more than half of the image as defect: what is good must be black (0)"
    ]


def warnings(
    good: dict[str, list[Entry]],
    counts: Counts,
    listing: Listing,
    *,
    kind: str,
    root: Path,
    training: bool,
    most: int = 1,
) -> tuple[str, ...]:
    """Classes that may be meant to be one or are never seen in training (if there is to be one), images listed twice,
    labelled in two ways or standing in two splits; of the latter two ``most`` are named."""
    found = _alike(listing.classes)
    if TARGETS[kind].objects:
        found += [f"no object in {name}: nothing can be measured there" for name, n in counts.items() if not any(n)]
    if kind == "verdict":
        found += [*_one_sided(counts), *_inverted(good)]
    elif training and counts:
        what = "objects" if TARGETS[kind].objects else "images"
        shares = list(zip(listing.classes, counts["train"], counts["val"], strict=True))
        lacking = {
            "training": [name for name, learnt, _ in shares if not learnt],
            "validation": [name for name, learnt, measured in shares if learnt and not measured],
        }
        found += [f"no {split} {what} of: {some(names)}" for split, names in lacking.items() if names]
    for name, rows in good.items():
        repeated = [path for path, n in Counter(record.image for record, _ in rows).items() if n > 1]
        if repeated:
            first = files.shown(repeated[0], root)
            count = f"{plural(len(repeated), 'image')} {are(len(repeated))}"
            found.append(f"{count} listed more than once in {name}, such as {first}")
    groups = check.alike(good)
    found += check.doubtful(groups, listing.classes, kind=kind, root=root, most=most)
    if pairs := check.copies(groups):
        torn = sum(len({split for split, _ in same}) > 1 for same in groups)
        count = f"{torn:,} images stand" if torn > 1 else "one image stands"
        same = [
            f"{files.shown(left, root)} ({a}) = {files.shown(right, root)} ({b})" for a, b, left, right in pairs[:most]
        ]
        found.append(f"{count} in two splits, such as {', '.join(same)}: scores on them look better than they are")
    return tuple(found)
