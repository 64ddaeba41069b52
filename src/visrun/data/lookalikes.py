"""Images of one split that nearly show the same picture as one of another: saved again in another size, format or
quality, or taken twice.

Equal files are found without decoding (`visrun.data.check.alike`); these need every image's pixels. Each image is held
against all of the other split by the correlation of grey thumbnails, and the pair that agrees best by colour ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from visrun.data import files, images
from visrun.data.threads import mapped

if TYPE_CHECKING:
    from visrun.data.splits import Entry

SIDE = 16  # pixels of the grey thumbnails
CORRELATED = 0.98  # of grey thumbnails from which a pair is looked at closely
FINE = 64  # pixels of the colour thumbnails
NEAR = 8.0  # grey levels, root mean square, by which these may differ: a JPEG of quality 30 does by 3 to 6
MOST_PAIRS = 2_000_000_000  # beyond which fewer images are held against the other split: some ten seconds
NAMED = 20  # pairs in a line
BLOCK = 20_000_000  # correlations in memory at once

Pair = tuple[str, str, Path, Path]  # (split, other split, image, image)
Picture = tuple[Path, int, bytes]  # the file, its length, the grey thumbnail


def thumbnail(path: Path) -> images.Pixels:
    """The image as grey, (16, 16) uint8.

    Raises:
        DataError: As `visrun.data.images.load_rgb`.
    """
    return images.load_rgb(path, size=(SIDE, SIDE)).mean(2).round().astype(np.uint8)


def across(splits: Mapping[str, Sequence[Entry]]) -> list[Pair]:
    """Of each later split's images those that nearly show one of an earlier split, each with the one most like it.

    Args:
        splits: Entries whose findings hold thumbnails; files of equal length are left to `visrun.data.check.copies`.

    Raises:
        DataError: A file that cannot be read any more.
    """
    return [*_across(tuple((split, tuple(map(_picture, entries))) for split, entries in splits.items()))]


def _picture(entry: Entry) -> Picture:
    record, finding = entry
    assert finding.thumbnail is not None, "its pixels were not looked at"
    return record.image, finding.length[0], finding.thumbnail.tobytes()


@lru_cache(maxsize=2)
def _across(splits: tuple[tuple[str, tuple[Picture, ...]], ...]) -> list[Pair]:
    """`across`, remembered, since several tasks that a folder serves have the same pictures."""
    found = [
        (a, b, one[0], other[0])
        for (a, left), (b, right) in combinations(splits, 2)
        for one, other in _candidates(left, right[:: 1 + len(left) * len(right) // MOST_PAIRS])
        if one[1] != other[1]
    ]
    looked = mapped(lambda pair: nearly_equal(*pair[2:]), found, path=lambda pair: pair[2])
    return [pair for pair, same in zip(found, looked, strict=True) if same]


def nearly_equal(one: Path, other: Path) -> bool:
    """Whether two files nearly show the same picture, by the root mean square of what their thumbnails differ in.

    Raises:
        DataError: As `visrun.data.images.load_rgb`.
    """
    a, b = (images.load_rgb(path, size=(FINE, FINE)).astype(np.float32) for path in (one, other))
    return float(np.sqrt(np.square(a - b).mean())) <= NEAR


def warning(splits: Mapping[str, Sequence[Entry]], root: Path) -> list[str]:
    """A line on images that `across` finds, or []; NAMED of them are named."""
    pairs = across(splits)
    if not pairs:
        return []
    named = (f"{files.shown(y, root)} ({b}) that of {files.shown(x, root)} ({a})" for a, b, x, y in pairs[:NAMED])
    count = f"{len(pairs):,} images nearly show" if len(pairs) > 1 else "one image nearly shows"
    told = f"{count} the picture of another split, such as {', '.join(named)}"
    return [f"{told}: scores on them look better than they are"]


def _candidates(left: Sequence[Picture], right: Sequence[Picture]) -> list[tuple[Picture, Picture]]:
    """Each of ``right`` after the one of ``left`` that correlates most with it, where that is enough."""
    if not left or not right:
        return []
    known, asked, found = _rows(left), _rows(right), []
    size = max(1, BLOCK // len(known))
    for start in range(0, len(asked), size):
        correlations = asked[start : start + size] @ known.T
        best = correlations.argmax(1)
        near = np.flatnonzero(correlations[np.arange(len(best)), best] >= CORRELATED)
        found += [(left[best[i]], right[start + i]) for i in near.tolist()]
    return found


def _rows(pictures: Sequence[Picture]) -> npt.NDArray[np.float32]:
    """(N, 256), each of mean 0 and length 1; of a flat image all 0."""
    rows = np.frombuffer(b"".join(grey for *_, grey in pictures), np.uint8).astype(np.float32)
    rows = rows.reshape(len(pictures), -1)
    rows -= rows.mean(1, keepdims=True)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1.0)
    return rows
