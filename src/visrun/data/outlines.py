"""Outlines of objects: polygons or runs of pixels, and what follows from them. Imports no torch, since helper processes
draw masks with it.

Pixels are numbered as COCO's runs count them, column by column: x * h + y. Polygons are filled as COCO's own tools do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]
Polygon = Floats  # (V, 2) corners in order
Window = tuple[int, int, int, int]  # left, top, right, bottom: a part of a file, in its pixels
TOGETHER = 1 << 20  # counts of runs that are looked at at once


@dataclass(frozen=True, eq=False)
class Rle:
    """A mask as runs, COCO's uncompressed form: column by column, ``counts`` of 0, 1, 0, ... over (h, w) = ``size``."""

    counts: tuple[int, ...] | NDArray[np.int32]  # the latter takes a tenth of the memory
    size: tuple[int, int]


Outline = tuple[Polygon, ...] | Rle


def counts_of(text: str | bytes) -> Numbers:
    """COCO's compressed runs as counts: five bits a character, differences to the run before the last.

    Raises:
        ValueError: Characters that such a text does not have, or a last number that is cut.
    """
    raw = np.frombuffer(text.encode() if isinstance(text, str) else text, np.uint8).astype(np.int64) - 48
    if not len(raw):
        return np.zeros(0, np.int64)
    if raw.min() < 0 or raw.max() > 63 or raw[-1] & 32:
        raise ValueError("not COCO's compressed runs")
    last = (raw & 32) == 0
    number = np.cumsum(last) - last
    begin = np.concatenate([[0], np.flatnonzero(last)[:-1] + 1])
    place = np.arange(len(raw)) - begin[number]
    if place.max() > 11:
        raise ValueError("not COCO's compressed runs")
    values = np.bincount(number, weights=((raw & 31) << (5 * place)).astype(np.float64)).astype(np.int64)
    ends = np.flatnonzero(last)
    values -= np.where(raw[ends] & 16, np.int64(1) << (5 * (place[ends] + 1)), 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def rle_between(starts: Numbers, ends: Numbers, size: tuple[int, int]) -> Rle:
    """The mask of (h, w) = ``size`` whose pixels are those from each start to before its end, ascending."""
    edges = np.stack([starts, ends], 1).ravel()
    return Rle(np.diff(np.concatenate([[0], edges, [size[0] * size[1]]])).astype(np.int32), size)


def rle_over(runs: NDArray[np.int32], size: tuple[int, int]) -> Rle:
    """The mask of (h, w) = ``size`` with these runs (R, 2), first pixel and length, ascending and within it."""
    ends = np.cumsum(runs, 1, dtype=np.int64)
    return rle_between(ends[:, 0], ends[:, 1], size)


def rle_of(numbers: Numbers, size: tuple[int, int]) -> Rle:
    """The mask of (h, w) = ``size`` with the pixels of these ascending numbers."""
    breaks = np.flatnonzero(np.diff(numbers) != 1)
    first, last = np.append(0, breaks + 1)[: len(numbers)], np.append(breaks, -1)[: len(numbers)]
    return rle_between(numbers[first], numbers[last] + 1, size)


def runs(starts: Numbers, lengths: Numbers) -> Numbers:
    """The numbers from each start on, as many as its length says, one run after the other."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))


def pixels(outline: Outline, size: tuple[int, int], *, window: Window | None = None) -> Numbers:
    """Numbers of an outline's pixels in a mask of ``size``, each once.

    Args:
        size: (h, w) of the mask wanted.
        window: The part of the file that the mask shows, scaled to ``size``; None = ``size`` pixels from the top left.
    """
    left, top, right, bottom = window or (0, 0, size[1], size[0])
    if isinstance(outline, Rle):
        found = _ones(np.asarray(outline.counts, np.int64))
        if outline.size == size and not (left or top) and (bottom, right) == size:
            return found
        return np.flatnonzero(_scaled(_page(found, outline.size)[top:bottom, left:right], size).T)
    from faster_coco_eval import mask as coco

    scale = np.array([size[1] / (right - left), size[0] / (bottom - top)])
    shifted = [((part - (left, top)) * scale).ravel().tolist() for part in outline]
    parts = [_ones(counts_of(part["counts"])) for part in coco.frPyObjects(shifted, *size)]
    return parts[0] if len(parts) == 1 else np.unique(np.concatenate(parts))


def drawn(outline: Outline, size: tuple[int, int], *, window: Window | None = None) -> NDArray[np.bool_]:
    """(h, w): the pixels of an outline; arguments as for `pixels`."""
    return _page(pixels(outline, size, window=window), size)


def _page(numbers: Numbers, size: tuple[int, int]) -> NDArray[np.bool_]:
    mask = np.zeros(size[0] * size[1], bool)
    mask[numbers] = True
    return mask.reshape(size[1], size[0]).T


def box_of(outline: Outline) -> Floats:
    """(4,) left, top, right, bottom of the box around an outline; zeros for a mask without a pixel."""
    if isinstance(outline, Rle):
        points = hull_points(outline)
        return np.concatenate([points.min(0), points.max(0)]) if len(points) else np.zeros(4)
    points = np.concatenate(outline)
    return np.concatenate([points.min(0), points.max(0)])


def hull_points(outline: Outline) -> Floats:
    """(P, 2) points with the convex hull of the outline: its corners, or those of the pixels that end each column."""
    if not isinstance(outline, Rle):
        return np.concatenate(outline)
    high, counts = outline.size[0], np.asarray(outline.counts, np.int64)
    ends, lengths = np.cumsum(counts)[1::2], counts[1::2]
    first, last = (ends - lengths)[lengths > 0], ends[lengths > 0] - 1
    reach = last // high - first // high + 1  # columns, since a run may go on in the next
    columns, after = runs(first // high, reach), np.cumsum(reach)
    tops, bottoms = np.zeros(len(columns), np.int64), np.full(len(columns), high)
    tops[after - reach], bottoms[after - 1] = first % high, last % high + 1
    begin = np.flatnonzero(np.diff(columns, prepend=-1))
    end = np.append(begin[1:], len(columns))[: len(begin)] - 1
    left, top, bottom = columns[begin], tops[begin], bottoms[end]
    corners = [(left, top), (left + 1, top), (left, bottom), (left + 1, bottom)]
    return np.concatenate([np.stack(pair, 1) for pair in corners]).astype(np.float64)


def boxes_of(outlines: Sequence[Outline]) -> Floats:
    """(n, 4) `box_of` each."""
    found = np.zeros((len(outlines), 4))
    rows = [row for row, outline in enumerate(outlines) if isinstance(outline, Rle)]
    for part in _parts([len(outlines[row].counts) for row in rows]):  # type: ignore[union-attr]
        found[rows[part]] = _boxes_of_runs([outlines[row] for row in rows[part]])  # type: ignore[misc]
    for row, outline in enumerate(outlines):
        if not isinstance(outline, Rle):
            found[row] = box_of(outline)
    return found


def _parts(lengths: Sequence[int]) -> Iterator[slice]:
    """The places of so many runs as are looked at together."""
    parts = np.cumsum([0, *lengths]) // TOGETHER
    ends = [*np.flatnonzero(np.diff(parts)).tolist(), len(lengths)]
    yield from (slice(begin, end) for begin, end in pairwise([0, *ends]) if end > begin)


def _boxes_of_runs(several: Sequence[Rle]) -> Floats:
    """(n, 4) the box around each mask's pixels, all at once; zeros without a pixel."""
    counts = np.concatenate([np.asarray(one.counts, np.int64) for one in several])
    lengths = np.array([len(one.counts) for one in several])
    before, owner = np.cumsum(lengths) - lengths, np.repeat(np.arange(len(several)), lengths)
    ends = np.cumsum(counts)
    ends -= np.concatenate([[0], ends])[before][owner]
    chosen = ((np.arange(len(counts)) - before[owner]) % 2 == 1) & (counts > 0)
    owner, last, first = owner[chosen], ends[chosen] - 1, ends[chosen] - counts[chosen]
    high = np.array([one.size[0] for one in several])[owner]
    one_column = first // high == last // high  # else the run goes on at the top of the next
    sides = (first // high, np.where(one_column, first % high, 0), last // high + 1)
    begin = np.flatnonzero(np.diff(owner, prepend=-1))
    found = np.zeros((len(several), 4))
    if len(begin):
        low = [np.minimum.reduceat(side, begin) for side in sides[:2]]
        bottom = np.where(one_column, last % high + 1, high)
        found[owner[begin]] = np.stack([*low, *(np.maximum.reduceat(side, begin) for side in (sides[2], bottom))], 1)
    return found


def widths(outlines: Sequence[Outline | None]) -> Floats:
    """(n,) how far the widest part of each reaches across its length: twice the deviation of its corners there.

    Of runs 0 without a pixel, else infinity, as where there is no outline.
    """
    found = np.full(len(outlines), np.inf)
    parts: list[Polygon] = []
    owners: list[int] = []
    for row, outline in enumerate(outlines):
        if isinstance(outline, Rle):
            found[row] = np.inf if any(outline.counts[1::2]) else 0.0
        elif outline:
            found[row] = 0.0
            parts += outline
            owners += [row] * len(outline)
    if parts:
        np.maximum.at(found, owners, _across(parts))
    return found


def _across(parts: Sequence[Polygon]) -> Floats:
    """(P,) twice the root of the smaller eigenvalue of the covariance of each polygon's corners.

    Infinity where one of these is not finite.
    """
    counts = np.array([len(part) for part in parts])
    starts, points = np.cumsum(counts) - counts, np.concatenate(parts)
    with np.errstate(over="ignore", invalid="ignore"):  # coordinates that are not finite
        points = points - np.repeat(np.add.reduceat(points, starts) / counts[:, None], counts, 0)
        squares = np.stack([points[:, 0] ** 2, points[:, 1] ** 2, points[:, 0] * points[:, 1]], 1)
        xx, yy, xy = (np.add.reduceat(squares, starts) / counts[:, None]).T
        smaller = (xx + yy) / 2 - np.hypot((xx - yy) / 2, xy)
        found = 2 * np.sqrt(np.maximum(smaller, 0.0))
    return np.where(np.isnan(found), np.inf, found)


def _ones(counts: Numbers) -> Numbers:
    ends = np.cumsum(counts)
    return runs(ends[:-1:2], counts[1::2])


def _scaled(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    rows, columns = (((np.arange(n) + 0.5) * m / n).astype(int) for n, m in zip(size, mask.shape, strict=True))
    return mask[rows][:, columns]
