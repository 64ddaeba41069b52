"""Class names as they are compared."""

from __future__ import annotations

from pathlib import Path
from unicodedata import normalize

import numpy as np

from visrun.data.listing import Listing, Record, with_composed
from visrun.data.marks import Marks

APART, TOGETHER = normalize("NFD", "café"), normalize("NFC", "café")


def marks(*labels: int) -> Marks:
    n = len(labels)
    return Marks(
        labels=np.array(labels), boxes=np.zeros((n, 4)), ignored=np.zeros(n, bool), spots=np.arange(n), file="a.txt:"
    )


def test_classes_are_one_in_whichever_way_their_accents_are_stored() -> None:
    records = [Record(Path("a.png"), target, "a.png") for target in (3, np.int64(2), 1, 0, (0, 1, 3), ())]
    found = Listing(splits={"all": records}, classes=(APART, "b", "c", TOGETHER))
    made = with_composed(found)
    assert made.classes == (TOGETHER, "b", "c")
    assert [record.target for record in made.splits["all"]] == [0, 2, 1, 0, (0, 1), ()]


def test_objects_of_such_classes_keep_what_is_none_of_them() -> None:
    found = Listing(
        splits={"val": [Record(Path("a.png"), marks(-1, 0, 2, 1, 3), "a.png")]}, classes=("b", APART, TOGETHER)
    )
    made = with_composed(found)
    assert made.classes == ("b", TOGETHER)
    assert made.splits["val"][0].target.labels.tolist() == [-1, 0, 1, 1, 3]


def test_a_class_of_no_other_form_keeps_its_place() -> None:
    found = Listing(splits={"all": [Record(Path("a.png"), Path("m.png"), "a.png")]}, classes=("b", APART))
    made = with_composed(found)
    assert made.classes == ("b", TOGETHER) and made.splits == found.splits
