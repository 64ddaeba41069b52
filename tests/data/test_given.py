"""What a plugin's reader gives is looked at once, before anything relies on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from visrun.data.given import require_listing
from visrun.data.listing import Listing, Record
from visrun.data.marks import Marks, no_marks
from visrun.data.verdicts import Verdict
from visrun.errors import DataError

IMAGE = Path("a.png")


def listing(*targets: Any, **more: Any) -> Listing:
    return Listing(splits={"all": [Record(IMAGE, target, "a.png") for target in targets]}, classes=("x", "y"), **more)


def splits(**given: Any) -> Listing:
    return Listing(splits=given, classes=("x", "y"))


MARKS = Marks(
    labels=np.zeros(2, np.int64), boxes=np.zeros((2, 4)), ignored=np.zeros(2, bool), spots=np.arange(2), file=""
)
RECORD = Record(IMAGE, 0, "a.png")
KNOWN = "they are train, val and test, or all alone"


@pytest.mark.parametrize(
    ("found", "kind", "told"),
    [
        ([1, 2], "label", "its reader gives list, not a visrun.data.listing.Listing"),
        (None, "label", "its reader gives NoneType, not a visrun.data.listing.Listing"),
        (splits(train=[], valid=[]), "label", f"its reader gives the splits train, valid: {KNOWN} (did you mean val?)"),
        (splits(all=[], val=[]), "label", f"its reader gives the splits all, val: {KNOWN}"),
        (splits(train=iter([])), "label", "its reader gives list_iterator for train, not a list of records"),
        (splits(train=[RECORD, 3]), "label", "record 1 of train is int, not a visrun.data.listing.Record"),
        (splits(val=[replace(RECORD, image="a.png")]), "label", "a.png: its image is str, not a Path"),
        (listing(0, 2), "label", "a.png: 2 is no index of its 2 classes, which begin at 0"),
        (listing(-1), "label", "a.png: -1 is no index"),
        (listing("x"), "label", "a.png: 'x' is no index"),
        (listing(0.0), "label", "a.png: 0.0 is no index"),
        (listing((0, 3)), "label", "a.png: 3 is no index"),
        (listing([0]), "label", "a.png: its target is list ([0]), not the index of a class, or a tuple of such"),
        (listing(None), "label", "a.png: its target is NoneType (None), not the index of a class"),
        (listing(0.5, targets=("v",)), "value", "a.png: its target is float (0.5), not a tuple of numbers, one for"),
        (listing(("1",), targets=("v",)), "value", "a.png: its target is tuple (('1',)), not a tuple of numbers"),
        (listing((0.5, 1.0), targets=("v",)), "value", "a.png: 2 values, and targets names 1: give each a name"),
        (listing((0.5,)), "value", "a.png: 1 value, and targets names 0: give each a name"),
        (listing((0.5, np.nan), targets=("v", "w")), "value", "a.png: target w: nan is no finite number"),
        (listing("m.png"), "mask", "a.png: its target is str (m.png), not the Path of a mask"),
        (listing("good"), "verdict", "a.png: its target is str (good), not a visrun.data.verdicts.Verdict"),
        (listing({"boxes": []}), "boxes", "a.png: its target is dict ({'boxes': []}), not a visrun.data.marks.Marks"),
        (
            listing(replace(MARKS, boxes=np.zeros((2, 2)))),
            "boxes",
            "a.png: its Marks have an array (2, 2) as boxes, not",
        ),
        (
            listing(replace(MARKS, boxes=[[0] * 4] * 2)),
            "label",
            "a.png: its Marks have list as boxes, not an array (2, 4)",
        ),
        (listing(replace(MARKS, ignored=np.zeros(3, bool))), "boxes", "a.png: its Marks have an array (3,) as ignored"),
        (listing(replace(MARKS, quads=np.zeros((2, 8)))), "rotated_boxes", "a.png: its Marks have an array (2, 8) as"),
        (listing(replace(MARKS, outlines=(None,))), "instances", "a.png: its Marks have 1 outline for 2 labels"),
    ],
)
def test_a_slip_of_a_reader_is_one_line(found: Any, kind: str, told: str) -> None:
    with pytest.raises(DataError) as caught:
        require_listing(found, layout="mine", kind=kind)
    assert str(caught.value).startswith(f"data=mine: {told}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (listing(), "label"),
        (listing(0, 1, np.int64(1)), "label"),
        (listing((0, 1), ()), "label"),
        (listing((0.5, 7.0), (-1, np.float32(2)), targets=("v", "w")), "value"),
        (listing(Path("m.png")), "mask"),
        (listing(Verdict("good")), "verdict"),
        (listing(MARKS, no_marks("a.txt"), no_marks("a.txt", form="quads"), no_marks("", form="outlines")), "boxes"),
        (listing(MARKS), "label"),  # from which the labels follow
        (splits(train=(RECORD,), val=[], test=[RECORD]), "label"),
    ],
)
def test_a_sound_listing_is_given_back(found: Listing, kind: str) -> None:
    assert require_listing(found, layout="mine", kind=kind) is found
