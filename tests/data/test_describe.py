"""What is said of a dataset beside its counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from visrun.data.describe import crowded
from visrun.data.records import Dataset, Record
from visrun.data.tiles import windows

from .test_boxing import objects


def dataset(kind: str) -> Dataset:
    """Rows of 300, 255 and 2 objects, and in val one of 300."""
    rows = [
        Record(Path(f"{n}.png"), objects(*[(4.0 * i, 0, 4.0 * i + 2, 8) for i in range(n)], outlines=True), "")
        for n in (300, 255, 2)
    ]
    sizes = {row.image: (1200, 8) for row in rows}
    splits = {"train": tuple(rows), "val": (rows[0],)}
    return Dataset(root=Path(), layout="x", kind=kind, splits=splits, classes=("a",), targets=(), sizes=sizes)


@pytest.mark.parametrize(("kind", "tile", "told"), [("instances", None, 1), ("instances", 600, 0), ("boxes", None, 0)])
def test_more_objects_than_masks_have_numbers_for_are_told(kind: str, tile: int | None, told: int) -> None:
    lines = crowded(dataset(kind), lambda size: windows(size, tile=tile, overlap=0) if tile else [(0, 0, *size)])
    assert len(lines) == told
    for line in lines:
        assert line.startswith("1 of 3 images in train show more than 255 objects at once") and "data.tile=N" in line
