"""What is said of a dataset beside its counts."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pytest

from visrun.data.describe import crowded, describe, sides_of, uneven, unmarked, vanishing, wild
from visrun.data.geometry import working_size
from visrun.data.listing import Record
from visrun.data.look import Look
from visrun.data.objects import LABEL
from visrun.data.records import Dataset
from visrun.data.tiles import windows
from visrun.data.verdicts import Verdict
from visrun.errors import DataError

from .test_boxing import moved, objects


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


BOTH = "2 of 4 images in train and 1 of 1 image in val show"


@pytest.mark.parametrize(
    ("kind", "tile", "told"),
    [
        ("instances", None, [f"{BOTH} more than 100 .* found", "2 of 4 images in train show more than 255 .* learnt"]),
        ("instances", 800, [f"{BOTH} more than 100 .* found"]),
        ("boxes", None, [f"{BOTH} more than 100 .* found"]),
        ("boxes", 400, []),
        ("rotated_boxes", None, ["1 of 4 images in train and 1 of 1 image in val show more than 500 .* found"]),
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


@pytest.mark.parametrize("kind", ["boxes", "instances"])
def test_more_objects_than_can_be_found_are_told_where_only_other_splits_than_train_show_them(kind: str) -> None:
    full = dataset(kind)
    rows = full.splits["train"]
    (line,) = crowded(replace(full, splits={"train": rows[3:], "val": rows[2:], "test": rows}), lambda s: [(0, 0, *s)])
    assert line.startswith("2 of 4 images in test show more than 100 objects at once, and no more of each are found")


def small(kind: str, *sides: tuple[float, float], **how: Any) -> Dataset:
    """A training image of 192 x 128 with an object of each width and height."""
    marks = objects(*[(6.0 * i, 5, 6.0 * i + w, 5 + h) for i, (w, h) in enumerate(sides)], quads=True, **how)
    row = Record(Path("a.png"), marks, "")
    return replace(dataset(kind), splits={"train": (row,), "val": (row,)}, sizes={row.image: (192, 128)})


def seen(size: tuple[int, int], tile: int | None = None) -> Look:
    return Look(image_size=size, fit="zoom", mean=(0.5,) * 3, std=(0.5,) * 3, tile=tile)


@pytest.mark.parametrize("kind", ["boxes", "rotated_boxes"])
@pytest.mark.parametrize("size", [(64, 96), (32, 96), (96, 48), (600, 900)])
def test_objects_that_batches_do_not_show_are_counted(kind: str, size: tuple[int, int]) -> None:
    sides = [(0.4 * i + 0.3, 12.1 - 0.4 * i) for i in range(29)]
    known = small(kind, *sides)
    kept = working_size((128, 192), size, "zoom")
    target, *_ = moved(
        [known.splits["train"][0].target],
        [kept],
        kind=kind,
        windows=[(0, 0, 192, 128)],
        wholes=[(128, 192)],
        image_size=size,
    )
    gone = int((target[0, :, LABEL] < 0).sum())
    told = [f"{gone} of 29 objects in train are under 1 pixel in training images of {size[1]} x {size[0]} "]
    assert [line.split("and are not learnt")[0] for line in vanishing(known, seen(size))] == told * (gone > 0)
    assert (gone > 0) == (size != (600, 900))


def test_objects_of_which_few_are_found_are_told_where_their_images_were_shrunk() -> None:
    known = small("boxes", (14, 14), (15, 15), (90, 90))
    told = "half of the objects in train are under 7.5 pixels in training images of 96 x 64, of which few are found"
    assert [line.split(": take")[0] for line in vanishing(known, seen((64, 96)))] == [told]
    assert vanishing(known, seen((128, 192))) == []
    assert vanishing(small("boxes", (7, 7), (7, 7)), seen((128, 192))) == []  # as large as the files have them


def test_a_training_split_of_which_no_object_is_learnt_is_refused() -> None:
    known = small("boxes", (1.5, 9), (9, 1.9), (9, 9), ignored=[False, False, True])
    with pytest.raises(DataError, match=r"^\.: 2 of 2 objects in train are under 1 pixel .* larger data\.image_size"):
        vanishing(known, seen((64, 96)))
    assert vanishing(known, seen((64, 96), tile=48)) == vanishing(replace(known, kind="label"), seen((64, 96))) == []
    (line,) = vanishing(small("boxes", (1.5, 9), (9, 9)), seen((64, 96)))
    assert line.startswith("1 of 2 objects") and line.endswith("smaller data.tile=N")


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


def test_labelled_defects_without_a_mask_are_told() -> None:
    verdicts = [Verdict("good"), Verdict("bent"), Verdict("bent", (Path("b.png"),)), Verdict("cut")]
    rows = tuple(Record(Path(f"{i}.png"), verdict, "") for i, verdict in enumerate(verdicts))
    (line,) = unmarked(replace(dataset("boxes"), splits={"train": rows, "val": rows}), "unet")
    assert line.startswith("2 of 3 labelled defects in train have no mask: model=unet learns from pixels")
    for others in (rows[:1], (rows[0], rows[2]), ()):
        assert unmarked(replace(dataset("boxes"), splits={"train": others, "val": rows}), "unet") == []
    assert unmarked(dataset("boxes"), "unet") == [] == unmarked(valued(x=[0.0, 1.0]), "unet")


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
