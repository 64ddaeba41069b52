"""The splits that a dataset does not bring: validation images chosen by seed, the same share of every class.

An image's place depends on the seed and its own name only, so adding images later moves few of the others. Equal images
stay together, and so do those of one patient, clip or place where a pattern tells these: an image that is learnt, or
one like it, would tell nothing as one that is measured.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from visrun.data import check, files
from visrun.data.objects import Objects
from visrun.data.stratify import dealt, given_back, held_out, held_out_of_several
from visrun.data.verdicts import Verdict, is_defective
from visrun.errors import DataError
from visrun.text import does, plural

if TYPE_CHECKING:
    from pathlib import Path

    from visrun.data.check import Finding
    from visrun.data.listing import Record

ALL = "all"  # the split of a layout that has none
Entry = tuple["Record", "Finding"]


def complete(
    splits: Mapping[str, Sequence[Entry]],
    *,
    root: Path,
    val_fraction: float,
    seed: int,
    by_class: bool,
    group: str | None = None,
    defects_aside: bool = False,
) -> dict[str, list[Entry]]:
    """``splits`` with a ``train`` and a ``val``: where val is missing it is taken from train, or from the one folder.

    Args:
        splits: Keys among train, val, test, or ``all`` alone.
        root: The dataset's folder; names relative to it decide, so that a moved dataset splits alike.
        val_fraction: The share that goes to val, in (0, 1).
        seed: Another seed chooses other images.
        by_class: Whether targets are class indices, one or several an image, or verdicts, whose shares are kept, or
            objects: then of images that show any and that show none. No class is in val alone.
        group: See `members`.
        defects_aside: All defective images are held out, too.

    Raises:
        DataError: ``group`` names nothing of any image.
    """
    _require_found(splits, root=root, group=group)
    done = {name: list(entries) for name, entries in splits.items()}
    if ALL in done:
        done["train"] = done.pop(ALL)
    if "val" not in done and done.get("train"):
        chosen = _chosen(done["train"], root=root, fraction=val_fraction, seed=seed, by_class=by_class, group=group)
        if defects_aside:
            chosen |= {i for i, (record, _) in enumerate(done["train"]) if is_defective(record.target)}
        done |= _cut(done["train"], chosen)
    return ordered(done)


def folded(
    splits: Mapping[str, Sequence[Entry]],
    *,
    root: Path,
    fold: str,
    seed: int,
    by_class: bool,
    group: str | None = None,
    typed: bool = True,
    defects_aside: bool = False,
) -> dict[str, list[Entry]]:
    """``splits`` with a ``val`` that is one fold of cross-validation, and the other folds as ``train``.

    What is parted is all that is train, val or in no split. Where the images that are learnt from are to be good ones
    alone, because ``defects_aside`` says so or the dataset's own train has no others, all defective ones are val.

    Args:
        fold: ``2/5`` is the second of five folds.
        typed: See `torn`.

    The other arguments are those of `complete`.

    Raises:
        DataError: ``group`` names nothing of any image, or there are fewer different images or groups than folds.
    """
    _require_found(splits, root=root, group=group)
    number, count = map(int, fold.split("/"))
    learnt = [*splits.get(ALL, ()), *splits.get("train", ())]
    entries = [*learnt, *splits.get("val", ())]
    aside = defects_aside or not any(is_defective(record.target) for record, _ in learnt)
    parted = [i for i, (record, _) in enumerate(entries) if not (aside and is_defective(record.target))]
    names, groups = _named([entries[i] for i in parted], root=root, by_class=by_class)
    alike = _owners([entries[i] for i in parted], root=root, group=group)
    if parted and len(set(alike)) < count:
        few = len(set(alike))
        what = plural(few, "different image") if group is None else _groups(few, group, typed=typed)
        raise DataError(f"data.fold={fold}: {'there is' if few == 1 else 'there are'} only {what}; take fewer folds")
    numbers = dealt(names, groups, count=count, seed=seed, alike=alike)
    learnt_from = {i for i, own in zip(parted, numbers, strict=True) if own != number - 1}
    done = {name: list(own) for name, own in splits.items() if name == "test"}
    return ordered(done | _cut(entries, set(range(len(entries))) - learnt_from))


def thinned(
    splits: Mapping[str, list[Entry]], *, root: Path, fraction: float, seed: int, by_class: bool
) -> dict[str, list[Entry]]:
    """``splits`` with ``fraction`` of train, above 0: the same of every group, and less of it lies within more of it.

    An image with several labels counts among those of the rarest: sharing out every label would choose others for each
    ``fraction``. The other arguments are those of `complete`.
    """
    entries = splits.get("train", [])
    if fraction >= 1 or not entries:
        return dict(splits)
    names, groups = _named(entries, root=root, by_class=by_class)
    several = isinstance(groups[0], tuple)
    left_out = set(held_out(names, _rarest(groups) if several else groups, fraction=1 - fraction, seed=seed))
    return {**splits, "train": [entry for i, entry in enumerate(entries) if i not in left_out]}


def members(entries: Sequence[Entry], *, root: Path, group: str) -> list[str | None]:
    """What names the patient, clip or place of each image: its cell where ``group`` is a column of its table; else of
    what the regular expression ``group`` finds in its path the parts in parentheses, or all of it where there are none.
    None where that is nothing."""
    if any(record.member is not None for record, _ in entries):
        return [record.member or None for record, _ in entries]
    found = [re.search(group, files.shown(record.image, root)) for record, _ in entries]
    return [None if one is None else " ".join(part or "" for part in one.groups()) or one[0] for one in found]


def torn(splits: Mapping[str, Sequence[Entry]], *, root: Path, group: str | None, typed: bool = True) -> list[str]:
    """Warnings of groups that stand in two splits, and of images that are in none.

    ``typed`` says whether ``group`` is the user's; else the reader's, of whose records it names the members.
    """
    if group is None:
        return []
    named = {split: members(entries, root=root, group=group) for split, entries in splits.items()}
    owners: dict[str, list[str]] = defaultdict(list)
    for split, names in named.items():
        for name in dict.fromkeys(names):
            if name is not None:
                owners[name].append(split)
    alone, total = sum(names.count(None) for names in named.values()), sum(map(len, named.values()))
    several = [f"{name} ({' and '.join(own)})" for name, own in owners.items() if len(own) > 1]
    lines = []
    if alone:
        where = f"{alone:,} of {plural(total, 'image')}"
        lines.append(f"data.group={group}: not found in {where}, each of which stands alone")
    if several:
        count = f"{_groups(len(several), group, typed=typed)} {does(len(several), 'stand')}"
        lines.append(f"{count} in two splits, such as {several[0]}: scores on them look better than they are")
    return lines


def _groups(count: int, group: str, *, typed: bool) -> str:
    return f"{plural(count, 'group')} of data.group={group}" if typed else plural(count, group)


def _require_found(splits: Mapping[str, Sequence[Entry]], *, root: Path, group: str | None) -> None:
    if group is None:
        return
    entries = [entry for own in splits.values() for entry in own]
    if entries and all(name is None for name in members(entries, root=root, group=group)):
        first = entries[0][0]
        nowhere = f"no column of a table, and found in no image's path, such as {files.shown(first.image, root)}"
        raise DataError(f"data.group={group}: {nowhere if first.member is None else 'no cell of the column is filled'}")


def _cut(entries: Sequence[Entry], held: set[int]) -> dict[str, list[Entry]]:
    """Those at the indices ``held`` as val, the others as train."""
    return {
        "train": [entry for i, entry in enumerate(entries) if i not in held],
        "val": [entry for i, entry in enumerate(entries) if i in held],
    }


def _chosen(
    entries: Sequence[Entry], *, root: Path, fraction: float, seed: int, by_class: bool, group: str | None
) -> set[int]:
    """The indices of the share that is held out."""
    names, groups = _named(entries, root=root, by_class=by_class)
    hold = held_out_of_several if isinstance(groups[0], tuple) else held_out
    alike = _owners(entries, root=root, group=group)
    chosen = hold(names, groups, fraction=fraction, seed=seed, alike=alike, divide=group is None)
    return set(given_back(chosen, [_classes(record) for record, _ in entries] if by_class else (), alike=alike))


def _owners(entries: Sequence[Entry], *, root: Path, group: str | None) -> list[int]:
    """For each entry a number that those of equal images, and those of one patient, clip or place, share."""
    alike = _alike(entries)
    if group is None:
        return alike
    first: dict[str, int] = {}
    names = enumerate(members(entries, root=root, group=group))
    return [alike[i] if name is None else first.setdefault(name, i) for i, name in names]


def _named(entries: Sequence[Entry], *, root: Path, by_class: bool) -> tuple[list[str], list[Any]]:
    """The name and the group of each."""
    names = [files.shown(record.image, root) for record, _ in entries]
    return names, [_group(record) if by_class else 0 for record, _ in entries]


def _rarest(labels: Sequence[Sequence[int]]) -> list[int | None]:
    """Of each image's labels the one that fewest images have; None of none."""
    counts = Counter(label for own in labels for label in own)
    return [min(own, key=lambda label: (counts[label], label), default=None) for own in labels]


def _group(record: Record) -> Hashable:
    target: Any = record.target
    if isinstance(target, Objects):
        return not target.ignored.all()
    group: Hashable = target.kind if isinstance(target, Verdict) else target
    return group


def _classes(record: Record) -> set[int]:
    """What an image shows that can be learnt; nothing of a verdict, whose defects may all be held out."""
    target: Any = record.target
    if isinstance(target, Objects):
        return set(target.labels[~target.ignored].tolist())
    if isinstance(target, Verdict):
        return set()
    return set(target) if isinstance(target, tuple) else {target}


def ordered(splits: Mapping[str, list[Entry]]) -> dict[str, list[Entry]]:
    """``splits`` with train before val before test."""
    return {name: splits[name] for name in files.SPLITS if name in splits}


def _alike(entries: Sequence[Entry]) -> list[int]:
    """For each entry a number that those of equal images share."""
    place = {id(record): i for i, (record, _) in enumerate(entries)}
    numbers = list(range(len(entries)))
    for same in check.alike({"train": entries}):
        for _, record in same:
            numbers[place[id(record)]] = place[id(same[0][1])]
    return numbers
