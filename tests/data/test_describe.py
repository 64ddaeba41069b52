"""What is said of a dataset beside its counts."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist

import pytest

from visrun.data.describe import crowded, describe, sides_of, uneven, wild
from visrun.data.records import Dataset, Record
from visrun.data.tiles import windows

from .test_boxing import objects


def dataset(kind: str) -> Dataset:
    """Rows of 600, 300, 101 and 2 objects, of the third one ignored, and in val one of 600."""
    rows = [
        Record(
            Path(f"{n}.png"),
            objects(
                *[(4.0 * i, 0, 4.0 * i + 2, 8) for i in range(n)],
                outlines=True,
                ignored=[n == 101 and not i for i in range(n)],
            ),
            "",
        )
        for n in (600, 300, 101, 2)
    ]
    sizes = {row.image: (2400, 8) for row in rows}
    splits = {"train": tuple(rows), "val": (rows[0],)}
    return Dataset(root=Path(), layout="x", kind=kind, splits=splits, classes=("a",), targets=(), sizes=sizes)


@pytest.mark.parametrize(
    ("kind", "tile", "told"),
    [
        ("instances", None, ["2 of 4 .* more than 100 .* found", "2 of 4 .* more than 255 .* learnt"]),
        ("instances", 800, ["2 of 4 .* more than 100 .* found"]),
        ("boxes", None, ["2 of 4 .* more than 100 .* found"]),
        ("boxes", 400, []),
        ("rotated_boxes", None, ["1 of 4 .* more than 500 .* found"]),
        ("label", None, []),
    ],
)
def test_more_objects_than_can_be_found_or_masks_have_numbers_for_are_told(
    kind: str, tile: int | None, told: list[str]
) -> None:
    lines = crowded(dataset(kind), lambda size: windows(size, tile=tile, overlap=0) if tile else [(0, 0, *size)])
    assert len(lines) == len(told)
    for line, expected in zip(lines, told, strict=True):
        assert re.match(f"{expected}: cut them with data.tile=N", line), line


def test_sides_are_those_of_what_is_to_be_found() -> None:
    marks = objects((0, 0, 2, 8), (0, 0, 4, 16), (0, 0, 40, 160), ignored=[False, False, True])
    none = objects((0, 0, 9, 9), ignored=[True])
    assert sides_of([marks, none]).tolist() == [4, 8]
    assert sides_of([none]).size == sides_of([]).size == 0


def test_of_many_targets_the_first_are_named() -> None:
    row = Record(Path("a.png"), tuple(map(float, range(30))), "")
    names = tuple(f"t{i}" for i in range(30))
    splits = {"train": (row,)}
    whole = Dataset(root=Path(), layout="csv", kind="value", splits=splits, classes=(), targets=names, sizes={})
    told = describe(whole)
    assert f"target {', '.join(names[:20])} and 10 more" in told and "t25" not in told


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ((50, 5, 0), "train has 10 times as many images of a as of b: "),
        ((5, 40, 990), "train has 198 times as many images of c as of a: "),
        ((49, 5, 7), None),
        ((0, 30, 0), None),
        ((), None),
    ],
)
def test_classes_of_very_different_numbers_are_told(counts: tuple[int, ...], told: str | None) -> None:
    labels = replace(dataset("label"), classes=("a", "b", "c"), counts={"train": counts, "val": (90, 1, 1)})
    lines = uneven(labels)
    assert [line[: len(told or "")] for line in lines] == ([told] if told else [])
    assert uneven(replace(labels, multilabel=True)) == uneven(replace(labels, kind="verdict")) == []


def valued(**columns: list[float]) -> Dataset:
    rows = tuple(Record(Path("a.png"), row, "") for row in zip(*columns.values(), strict=True))
    return replace(dataset("value"), classes=(), targets=tuple(columns), splits={"train": rows})


STEPS = [float(i) for i in range(1, 50)]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([*STEPS, 2500.0], "1 of 50 values of x in train, such as 2500, lie far from all others"),
        ([*STEPS, -999.0], "1 of 50 values of x in train, such as -999, "),
        ([*STEPS, 2500.0, 3000.0], "2 of 51 values of x"),
        ([*STEPS, 300.0], None),
        ([math.exp(NormalDist().inv_cdf(i / 1000)) for i in range(1, 1000)], None),  # log-normal
        ([-math.log(i / 10000) for i in range(1, 10000)], None),  # exponential
        ([0.0] * 90 + [*STEPS], None),
        ([0.0] * 970 + [*STEPS], None),
    ],
)
def test_values_far_beyond_all_others_are_told_and_skewed_ones_are_not(values: list[float], told: str | None) -> None:
    lines = wild(valued(x=values, y=STEPS[:1] * len(values)))
    assert [line[: len(told or "")] for line in lines] == ([told] if told else [])
    assert all(line.endswith("mend them, or take loss=huber") for line in lines)
    assert wild(replace(valued(x=values), kind="label")) == []
