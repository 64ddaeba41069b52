"""What the page shows of predictions: plain values, so that nothing but making them needs a training library."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """One run's picture of one image: a ``data:`` address, its size in pixels, and the prediction in words."""

    address: str
    width: int
    height: int
    words: str


@dataclass(frozen=True)
class Sample:
    """One image: its path in the dataset, the truth in words ("" where only a picture can show it), a cell for each
    run (None = it could not predict).
    """

    name: str
    truth: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class Gallery:
    """The same images as every run sees them, or in ``reasons`` why some or all of it is missing."""

    split: str = ""
    samples: tuple[Sample, ...] = ()
    reasons: tuple[str, ...] = ()
