"""Even shares: which images are held out, and into which folds they are dealt, with as much of every class in each."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Sequence
from itertools import chain
from typing import Any


def held_out(
    names: Sequence[str],
    groups: Sequence[Hashable],
    *,
    fraction: float,
    seed: int,
    alike: Sequence[int] | None = None,
    divide: bool = True,
) -> list[int]:
    """The indices held out: of each group the rounded ``fraction``, at least one and never all (a single one stays).

    Args:
        names: By which, and by the seed, images are chosen.
        groups: Of each image.
        fraction: In (0, 1).
        seed: Another one chooses other images.
        alike: Of each image a number that equal ones share: they are held out together, in the group of the first, as
            long as they exceed no share. None = all differ.
        divide: Whether a group that is one image many times, and nothing else is that image, is divided.
    """
    members: dict[Hashable, list[list[int]]] = defaultdict(list)
    for same in _together(names, alike):
        members[groups[same[0]]].append(same)
    chosen: list[int] = []
    for group, sets in members.items():
        if len(sets) == 1 and divide and all(groups[i] == group for i in sets[0]):
            sets = [[i] for i in sets[0]]
        total = sum(map(len, sets))
        count = _share(fraction, total)
        sets.sort(key=lambda same: _first(same, names, seed))
        held: list[int] = []
        for same in sets:
            held += same if len(held) + len(same) <= count else []
        if not held and len(sets) > 1:
            held = min(sets, key=len)
        chosen += held
    return sorted(chosen)


def held_out_of_several(
    names: Sequence[str],
    groups: Sequence[Any],
    *,
    fraction: float,
    seed: int,
    alike: Sequence[int] | None = None,
    divide: bool = True,
) -> list[int]:
    """The indices held out where ``groups`` are the labels of each image, several or none.

    Iterative stratification: the images of the label that is rarest among those left are shared out first (Sechidis,
    Tsoumakas and Vlahavas, "On the Stratification of Multi-Label Data", ECML PKDD 2011). Each label has its rounded
    ``fraction``, at least one image, where the other labels of its images allow it, and never all; no label counts as
    one. Arguments as `held_out` takes them.
    """
    sets = sorted(_together(names, alike), key=lambda same: _first(same, names, seed))
    tags, total = _tally(sets, groups)
    room = Counter({label: _share(fraction, n) for label, n in total.items()})
    spare = Counter({label: n - 1 for label, n in total.items()})  # what may go before training has none
    members: dict[Hashable, list[int]] = defaultdict(list)
    for number, own in enumerate(tags):
        for label in own:
            members[label].append(number)
    left, chosen = set(range(len(sets))), list[int]()
    while left:
        rarest = min((label for label in total if total[label]), key=lambda label: (total[label], str(label)))
        several = [number for number in members[rarest] if number in left]
        for limit in (room, spare):  # first those that take from no other label more than its share
            for number in several:
                fits = all(n <= limit[label] for label, n in tags[number].items())
                if number in left and room[rarest] > 0 and fits:
                    chosen += sets[number]
                    left.discard(number)
                    room.subtract(tags[number])
                    spare.subtract(tags[number])
        left.difference_update(several)
        for number in several:
            total.subtract(tags[number])
    return sorted(chosen) or held_out(names, [0] * len(names), fraction=fraction, seed=seed, alike=alike, divide=divide)


def given_back(chosen: Sequence[int], classes: Sequence[Collection[int]], *, alike: Sequence[int]) -> list[int]:
    """Of the indices ``chosen`` to be held out those that stay so: no class is held out whole, which none could learn.

    The smallest set of equal images that shows such a class goes back; one set is held out in any case.

    Args:
        classes: Of each image.
        alike: As `held_out` takes it.
    """
    held: dict[int, list[int]] = defaultdict(list)  # by set
    for i in chosen:
        held[alike[i]].append(i)
    kept, out = Counter[int](), set(chosen)
    showing: dict[int, dict[int, None]] = defaultdict(dict)  # by class the sets that are held out, in order
    for i, own in enumerate(classes):
        if i not in out:
            kept.update(own)
            continue
        for label in own:
            showing[label][alike[i]] = None
    for label in sorted(showing):
        if kept[label] or len(held) == 1:
            continue
        smallest = min((number for number in showing[label] if number in held), key=lambda number: len(held[number]))
        for i in held.pop(smallest):
            kept.update(classes[i])
    return sorted(i for own in held.values() for i in own)


def dealt(
    names: Sequence[str],
    groups: Sequence[Any],
    *,
    count: int,
    seed: int,
    alike: Sequence[int] | None = None,
) -> list[int]:
    """The fold of each image, from 0 to ``count`` - 1: as even a share of every group in each as can be.

    The largest sets of images that stay together are dealt first, of equally large ones those of the rarest group, one
    group after another, each to the fold that has least of its groups, then to the smallest. So no fold is empty where
    there are ``count`` sets, and of images that all differ and have one group each no fold has two more than another.

    Args:
        names: By which, and by the seed, images of one group are ordered.
        groups: Of each image: one, or a tuple of several labels or of none.
        count: How many folds.
        seed: Another one gives other folds.
        alike: As `held_out` takes it.
    """
    sets = _together(names, alike)
    tags, total = _tally(sets, groups)
    rarest = [min((total[label], str(label)) for label in own) for own in tags]
    ranks = [_first(same, names, seed) for same in sets]
    order = sorted(range(len(sets)), key=lambda n: (-len(sets[n]), rarest[n], ranks[n]))
    loads: list[Counter[Hashable]] = [Counter() for _ in range(count)]
    sizes, folds = [0] * count, [0] * len(names)
    for n in order:
        shares = {label: times / total[label] for label, times in tags[n].items()}
        fold = min(range(count), key=lambda f: (sum(loads[f][label] * w for label, w in shares.items()), sizes[f], f))
        loads[fold].update(tags[n])
        sizes[fold] += len(sets[n])
        for i in sets[n]:
            folds[i] = fold
    return folds


def _tally(sets: Sequence[Sequence[int]], groups: Sequence[Any]) -> tuple[list[Counter[Hashable]], Counter[Hashable]]:
    """How often each label occurs in each set of images, and in all."""
    tags = [Counter(label for i in same for label in _labels(groups[i])) for same in sets]
    return tags, Counter(chain.from_iterable(own.elements() for own in tags))


def _labels(group: Hashable) -> tuple[Hashable, ...]:
    """The labels of an image whose group is one of them, or several, or none, which counts as one."""
    return (group or (None,)) if isinstance(group, tuple) else (group,)


def _together(names: Sequence[str], alike: Sequence[int] | None) -> list[list[int]]:
    """Indices of equal images, all sets of one or more."""
    together: dict[int, list[int]] = defaultdict(list)
    for i, number in enumerate(range(len(names)) if alike is None else alike):
        together[number].append(i)
    return list(together.values())


def _share(fraction: float, total: int) -> int:
    """How many of a group are held out: at least one and never all."""
    return min(max(1, round(fraction * total)), total - 1)


def _first(same: Sequence[int], names: Sequence[str], seed: int) -> tuple[bytes, int]:
    """The place of a set of images among others."""
    return min((_rank(names[i], seed), i) for i in same)


def _rank(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode("utf-8", "surrogateescape")).digest()
