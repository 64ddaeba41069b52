"""Which detection finds which object: candidate pairs and two rules, without a loop over detections.

Detections come best first, so that of two the one with the smaller number goes first. Legend: N detections, M objects,
K pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Overlap = Callable[[Ints, Ints], Floats]  # numbers of detections (K,) and of objects (K,) -> how much they overlap

BLOCK = 1 << 20  # pairs looked at at a time
SLACK = 1e-9  # an overlap that misses a threshold by less reaches it: boxes that share exactly half


class Pairs(NamedTuple):
    """Detections and objects, by number, and their overlap; (K,) each."""

    found: Ints
    truth: Ints
    overlap: Floats

    def pick(self, rows: Bools | Ints) -> Pairs:
        """Some of them."""
        return Pairs(self.found[rows], self.truth[rows], self.overlap[rows])


def candidates(found: Ints, truth: Ints, overlap: Overlap, *, least: float) -> Pairs:
    """The pairs of one group that overlap at least so much.

    Args:
        found: (N,) group of each detection, such as its image and class.
        truth: (M,) group of each object.
        least: Smallest overlap, above 0.
    """
    parts = [Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    for i, j in _same_group(found, truth):
        share = overlap(i, j)
        parts.append(Pairs(i, j, share).pick(share >= least - SLACK))
    return Pairs(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _same_group(found: Ints, truth: Ints) -> Iterator[tuple[Ints, Ints]]:
    """All pairs within a group, about BLOCK at a time, by detection."""
    order = np.argsort(truth, kind="stable")
    begin, end = (np.searchsorted(truth[order], found, side) for side in ("left", "right"))
    counts = end - begin
    block = np.cumsum(counts) // BLOCK
    for rows in np.split(np.arange(len(found)), np.flatnonzero(np.diff(block)) + 1):
        count = counts[rows]
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        yield np.repeat(rows, count), order[np.repeat(begin[rows], count) + within]


def greedy(pairs: Pairs, ignored: Bools, count: int) -> Ints:
    """COCO's rule: each detection, best first, takes of the free objects the one that it overlaps most.

    An ignored object is taken only by what finds no other, and by any number of them. Equal overlaps: the later object.

    Args:
        pairs: Those that overlap enough.
        ignored: (M,).
        count: N.

    Returns:
        (N,) the object of each detection, -1 = none.
    """
    # Everyone asks for the best object that may still be free, an object keeps the best who asks: the one stable
    # assignment, which going through the detections one by one finds as well (Gale & Shapley 1962).
    wish = np.lexsort((-pairs.truth, -pairs.overlap, ignored[pairs.truth], pairs.found))
    found, truth = pairs.found[wish], pairs.truth[wish]
    while True:
        first = _firsts(found)
        keeper = np.full(len(ignored), count)
        np.minimum.at(keeper, truth[first], found[first])
        open_ = ignored[truth] | (found <= keeper[truth])
        if open_.all():
            return _assigned(found[first], truth[first], count)
        found, truth = found[open_], truth[open_]


def first_choice(pairs: Pairs, ignored: Bools, count: int) -> Ints:
    """Pascal VOC's rule: only the object that a detection overlaps most counts, and its best detection takes it.

    So a second detection of an object finds none, even where another object overlaps it. Equal overlaps: the earlier
    object. Arguments and result as in :func:`greedy`.
    """
    wish = np.lexsort((pairs.truth, -pairs.overlap, pairs.found))
    found, truth = pairs.found[wish], pairs.truth[wish]
    first = _firsts(found)
    found, truth = found[first], truth[first]
    keeper = np.full(len(ignored), count)
    np.minimum.at(keeper, truth, found)
    taken = ignored[truth] | (found == keeper[truth])
    return _assigned(found[taken], truth[taken], count)


def _firsts(values: Ints) -> Bools:
    """Where each run of equal values begins."""
    return np.diff(values, prepend=-1) != 0


def _assigned(found: Ints, truth: Ints, count: int) -> Ints:
    result = np.full(count, -1)
    result[found] = truth
    return result
