"""What a reader gives is looked at once, before anything relies on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
import pytest

from visrun.data.listing import Listing, Record, require_listing
from visrun.data.marks import Marks
from visrun.errors import DataError


def listing(*targets: Any) -> Listing:
    return Listing(splits={"all": [Record(Path("a.png"), target, "a.png") for target in targets]}, classes=("x", "y"))


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ([1, 2], "data=mine: its reader gives list, not a visrun.data.listing.Listing"),
        (None, "data=mine: its reader gives NoneType, not a visrun.data.listing.Listing"),
        (listing(0, 2), "data=mine: a.png: 2 is no index of its 2 classes, which begin at 0"),
        (listing(-1), "data=mine: a.png: -1 is no index"),
        (listing("x"), "data=mine: a.png: 'x' is no index"),
        (listing(0.0), "data=mine: a.png: 0.0 is no index"),
        (listing((0, 3)), "data=mine: a.png: 3 is no index"),
    ],
)
def test_what_is_no_listing_or_no_class_is_one_line(found: Any, told: str) -> None:
    with pytest.raises(DataError) as caught:
        require_listing(found, layout="mine", kind="label")
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize("found", [listing(), listing(0, 1, np.int64(1)), listing((0, 1), ())])
def test_a_sound_listing_is_given_back(found: Listing) -> None:
    assert require_listing(found, layout="mine", kind="label") is found


def test_other_targets_are_no_classes() -> None:
    found = listing((0.5, 7.0), (-1.0, 2.0))
    assert require_listing(found, layout="mine", kind="value") is found


APART, TOGETHER = normalize("NFD", "café"), normalize("NFC", "café")


def marks(*labels: int) -> Marks:
    n = len(labels)
    return Marks(
        labels=np.array(labels), boxes=np.zeros((n, 4)), ignored=np.zeros(n, bool), spots=np.arange(n), file="a.txt:"
    )


def test_classes_are_one_in_whichever_way_their_accents_are_stored() -> None:
    records = [Record(Path("a.png"), target, "a.png") for target in (3, np.int64(2), 1, 0, (0, 1, 3), ())]
    found = Listing(splits={"all": records}, classes=(APART, "b", "c", TOGETHER))
    made = require_listing(found, layout="mine", kind="label")
    assert made.classes == (TOGETHER, "b", "c")
    assert [record.target for record in made.splits["all"]] == [0, 2, 1, 0, (0, 1), ()]


def test_objects_of_such_classes_keep_what_is_none_of_them() -> None:
    found = Listing(
        splits={"val": [Record(Path("a.png"), marks(-1, 0, 2, 1, 3), "a.png")]}, classes=("b", APART, TOGETHER)
    )
    made = require_listing(found, layout="mine", kind="boxes")
    assert made.classes == ("b", TOGETHER)
    assert made.splits["val"][0].target.labels.tolist() == [-1, 0, 1, 1, 3]


def test_a_class_of_no_other_form_keeps_its_place() -> None:
    found = Listing(splits={"all": [Record(Path("a.png"), Path("m.png"), "a.png")]}, classes=("b", APART))
    made = require_listing(found, layout="mine", kind="mask")
    assert made.classes == ("b", TOGETHER) and made.splits == found.splits
