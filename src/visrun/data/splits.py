"""The splits that a dataset does not bring: validation images chosen by seed, the same share of every class.

An image's place depends on the seed and its own name only, so adding images later moves few of the others. Equal images
stay together: one that is learnt would tell nothing as one that is measured.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from visrun.data import check, files
from visrun.data.objects import Objects
from visrun.data.verdicts import Verdict

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
    defects_aside: bool = False,
) -> dict[str, list[Entry]]:
    """``splits`` with a ``train`` and a ``val``: where val is missing it is taken from train, or from the one folder.

    Args:
        splits: Keys among train, val, test, or ``all`` alone.
        root: The dataset's folder; names relative to it decide, so that a moved dataset splits alike.
        val_fraction: The share that goes to val, in (0, 1).
        seed: Another seed chooses other images.
        by_class: Whether targets are class indices or verdicts, whose shares are kept, or objects: then of images that
            show any and that show none.
        defects_aside: All defective images are held out, too.
    """
    done = {name: list(entries) for name, entries in splits.items()}
    if ALL in done:
        done["train"] = done.pop(ALL)
    if "val" not in done and done.get("train"):
        names = [files.shown(record.image, root) for record, _ in done["train"]]
        groups = [_group(record) if by_class else 0 for record, _ in done["train"]]
        alike = _alike(done["train"])
        chosen = set(held_out(names, groups, fraction=val_fraction, seed=seed, alike=alike))
        if defects_aside:
            chosen |= {i for i, (record, _) in enumerate(done["train"]) if _defective(record)}
        entries = done["train"]
        done["train"] = [entry for i, entry in enumerate(entries) if i not in chosen]
        done["val"] = [entry for i, entry in enumerate(entries) if i in chosen]
    return ordered(done)


def _defective(record: Record) -> bool:
    return isinstance(record.target, Verdict) and record.target.defective


def _group(record: Record) -> Hashable:
    target: Any = record.target
    if isinstance(target, Objects):
        return not target.ignored.all()
    group: Hashable = target.kind if isinstance(target, Verdict) else target
    return group


def ordered(splits: Mapping[str, list[Entry]]) -> dict[str, list[Entry]]:
    """``splits`` with train before val before test."""
    return {name: splits[name] for name in ("train", "val", "test") if name in splits}


def _alike(entries: Sequence[Entry]) -> list[int]:
    """For each entry a number that those of equal images share."""
    place = {id(record): i for i, (record, _) in enumerate(entries)}
    numbers = list(range(len(entries)))
    for same in check.alike({"train": entries}):
        for _, record in same:
            numbers[place[id(record)]] = place[id(same[0][1])]
    return numbers


def held_out(
    names: Sequence[str],
    groups: Sequence[Hashable],
    *,
    fraction: float,
    seed: int,
    alike: Sequence[int] | None = None,
) -> list[int]:
    """The indices held out: of each group the rounded ``fraction``, at least one and never all (a single one stays).

    Args:
        names: By which, and by the seed, images are chosen.
        groups: Of each image.
        fraction: In (0, 1).
        seed: Another one chooses other images.
        alike: Of each image a number that equal ones share: they are held out together, in the group of the first, as
            long as they exceed no share; a group that is one image many times is divided. None = all differ.
    """
    together: dict[int, list[int]] = defaultdict(list)
    for i, number in enumerate(range(len(names)) if alike is None else alike):
        together[number].append(i)
    members: dict[Hashable, list[list[int]]] = defaultdict(list)
    for same in together.values():
        members[groups[same[0]]].append(same)
    chosen: list[int] = []
    for sets in members.values():
        if len(sets) == 1:
            sets = [[i] for i in sets[0]]
        total = sum(map(len, sets))
        count = min(max(1, round(fraction * total)), total - 1)
        sets.sort(key=lambda same: min((_rank(names[i], seed), i) for i in same))
        held: list[int] = []
        for same in sets:
            held += same if len(held) + len(same) <= count else []
        if not held and len(sets) > 1:
            held = min(sets, key=len)
        chosen += held
    return sorted(chosen)


def _rank(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode("utf-8", "surrogateescape")).digest()
