"""The splits that a dataset does not bring: validation images chosen by seed, the same share of every class.

An image's place depends on the seed and its own name only, so adding images later moves few of the others.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from visrun.data import files
from visrun.data.objects import Objects
from visrun.data.verdicts import Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from visrun.data.check import Finding
    from visrun.data.listing import Record

ALL = "all"  # the split of a layout that has none
Entry = tuple["Record", "Finding"]


def complete(
    splits: Mapping[str, Sequence[Entry]], *, root: Path, val_fraction: float, seed: int, by_class: bool
) -> dict[str, list[Entry]]:
    """``splits`` with a ``train`` and a ``val``: where val is missing it is taken from train, or from the one folder.

    Args:
        splits: Keys among train, val, test, or ``all`` alone.
        root: The dataset's folder; names relative to it decide, so that a moved dataset splits alike.
        val_fraction: The share that goes to val, in (0, 1).
        seed: Another seed chooses other images.
        by_class: Whether targets are class indices or verdicts, whose shares are kept, or objects: then of images that
            show any and that show none.
    """
    done = {name: list(entries) for name, entries in splits.items()}
    if ALL in done:
        done["train"] = done.pop(ALL)
    if "val" not in done and done.get("train"):
        names = [files.shown(record.image, root) for record, _ in done["train"]]
        groups = [_group(record) if by_class else 0 for record, _ in done["train"]]
        chosen = set(held_out(names, groups, fraction=val_fraction, seed=seed))
        entries = done["train"]
        done["train"] = [entry for i, entry in enumerate(entries) if i not in chosen]
        done["val"] = [entry for i, entry in enumerate(entries) if i in chosen]
    return ordered(done)


def _group(record: Record) -> Hashable:
    target: Any = record.target
    if isinstance(target, Objects):
        return not target.ignored.all()
    group: Hashable = target.kind if isinstance(target, Verdict) else target
    return group


def ordered(splits: Mapping[str, list[Entry]]) -> dict[str, list[Entry]]:
    """``splits`` with train before val before test."""
    return {name: splits[name] for name in ("train", "val", "test") if name in splits}


def held_out(names: Sequence[str], groups: Sequence[Hashable], *, fraction: float, seed: int) -> list[int]:
    """The indices held out: of each group the rounded ``fraction``, at least one and never all (a single one stays)."""
    members: dict[Hashable, list[int]] = defaultdict(list)
    for i, group in enumerate(groups):
        members[group].append(i)
    chosen: list[int] = []
    for indices in members.values():
        count = min(max(1, round(fraction * len(indices))), len(indices) - 1)
        chosen += sorted(indices, key=lambda i: (_rank(names[i], seed), i))[:count]
    return sorted(chosen)


def _rank(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode("utf-8", "surrogateescape")).digest()
