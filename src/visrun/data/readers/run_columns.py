"""The columns of a table with one row an object as runs of pixels, and what its runs say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visrun.data.opening import MAX_PIXELS
from visrun.data.readers import box_columns, table_text

# Without marks between words; other challenges' rle_mask counts along rows, or down columns.
RUNS = ("encodedpixels", "encodedpixel")
RENAME = "if its runs count pixels from 1, down the columns, call the image's column ImageId, theirs EncodedPixels"
TOGETHER = ("imagelabel", "imageidclassid", "imageclass", "imageidlabel")  # a.jpg_Fish: image and class in one cell


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The places of a table's columns: of the image, perhaps ``joined`` with the class behind the last ``_``, the runs,
    the class, the image's width and height, and the split, where there are these."""

    image: int
    runs: int
    joined: bool
    name: int | None
    size: tuple[int, ...]
    split: int | None

    def image_of(self, row: Sequence[str]) -> str:
        """The name of a row's image."""
        return row[self.image].rpartition("_")[0] if self.joined else row[self.image]

    def class_of(self, row: Sequence[str]) -> str:
        """The name of a row's class."""
        if self.joined:
            return row[self.image].rpartition("_")[2]
        return box_columns.ONLY if self.name is None else row[self.name]


def columns_of(names: Sequence[str]) -> Columns | None:
    """The columns of a table with these names; None where it holds no runs."""
    place = {key: i for i, key in reversed([*enumerate(re.sub(r"[^a-z0-9]", "", name.lower()) for name in names)])}
    joined = next((place[key] for key in TOGETHER if key in place), None)
    image = next((place[key] for key in box_columns.IMAGE if key in place), joined)
    runs = next((place[key] for key in RUNS if key in place), None)
    if runs is None or image is None:
        return None
    return Columns(
        image=image,
        runs=runs,
        joined=image == joined,
        name=next((place[key] for key in (*box_columns.CLASS, *box_columns.ALSO) if key in place), None),
        size=next((tuple(map(place.get, two)) for two in box_columns.SIZE if place.keys() >= {*two}), ()),  # type: ignore[arg-type]
        split=place.get("split"),
    )


def holds_runs(file: Path) -> bool:
    """Whether a table is one of runs."""
    first = table_text.first_line(file)
    return RUNS[0][:7] in first.lower() and columns_of(table_text.names_in(first)) is not None


def runs_in(cell: str) -> NDArray[np.int32]:
    """(R, 2) first pixel, counted from 0, and length of each run, ascending.

    Raises:
        ValueError: What is written are no such runs.
    """
    try:
        numbers = np.array([*map(int, cell.split())], np.int64)
    except (ValueError, OverflowError):
        raise ValueError(f"runs that are no whole numbers parted by spaces: {cell[:60]!r}") from None
    if len(numbers) % 2:
        raise ValueError(f"runs of {len(numbers)} numbers: each is a first pixel and a length")
    pairs = numbers.reshape(-1, 2)
    pairs[:, 0] -= 1
    ends = np.cumsum(pairs, 1).ravel()
    after = ends[1:] - ends[:-1]  # nearly always this says all, and several looks at each row's numbers take long
    if len(pairs) and ends[0] >= 0 and ends[-1] <= MAX_PIXELS and after.min() >= 0 and after[::2].min() > 0:
        return pairs.astype(np.int32)
    return _mended(pairs, cell)


def _mended(pairs: NDArray[np.int64], cell: str) -> NDArray[np.int32]:
    """Runs (R, 2) as `runs_in` gives them, in order and without empty ones; raises as it does."""
    pairs = pairs[pairs[:, 1] != 0]
    if len(pairs) and (pairs.min() < 0 or pairs.max() > MAX_PIXELS):
        raise ValueError(f"runs with a number out of range: pixels count from 1: {cell[:60]!r}")
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    if (pairs[:-1].sum(1) > pairs[1:, 0]).any():
        raise ValueError("runs that overlap: each begins at a pixel of the image, not so far behind the one before it")
    return pairs.astype(np.int32)
