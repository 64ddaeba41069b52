"""A dataset brought into the form of what a finished model tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from visrun.data.agree import agreeing
from visrun.data.listing import Record
from visrun.data.records import Dataset
from visrun.errors import DataError


def dataset(kind: str, truths: list[Any], **more: Any) -> Dataset:
    records = tuple(Record(Path(f"{i}.png"), target, f"{i}.png") for i, target in enumerate(truths))
    facts = {"classes": (), "targets": (), "sizes": {}} | more
    return Dataset(root=Path("set"), layout="table", kind=kind, splits={"test": records}, **facts)


def told(found: Dataset) -> list[Any]:
    return [record.target for record in found.splits["test"]]


def test_values_stand_in_the_models_order_and_others_go() -> None:
    found = agreeing(
        dataset("value", [(1.0, 2.0, 3.0)], targets=("depth", "height", "width")), targets=["width", "height"]
    )
    assert (found.targets, told(found)) == (("width", "height"), [(3.0, 2.0)])


def test_a_missing_value_is_named_with_those_there_are() -> None:
    with pytest.raises(
        DataError, match=r"set: the model tells height, and the values here are width: add or rename one, or say"
    ):
        agreeing(dataset("value", [(1.0,)], targets=("width",)), targets=["width", "height"])


def test_values_that_were_chosen_stand_for_the_models_by_their_place() -> None:
    values = dataset("value", [(1.0, 2.0)], targets=("b", "a"))
    found = agreeing(values, targets=["x", "a"], by_place=True)
    assert (found.targets, told(found)) == (("x", "a"), [(1.0, 2.0)])
    with pytest.raises(DataError, match="the model tells x"):
        agreeing(values, targets=["x"], by_place=True)


def test_single_labels_are_sets_of_one_for_a_model_of_several() -> None:
    found = agreeing(dataset("label", [1, 0], classes=("a", "b")), multilabel=True)
    assert (found.multilabel, told(found)) == (True, [(1,), (0,)])


def test_sets_of_one_are_single_labels_for_a_model_of_one() -> None:
    several = dataset("label", [(1,), (0,)], classes=("a", "b"), multilabel=True)
    found = agreeing(several, multilabel=False)
    assert (found.multilabel, told(found)) == (False, [1, 0])


@pytest.mark.parametrize("labels", [(0, 1), ()])
def test_a_model_of_one_label_is_not_measured_where_an_image_has_another_number(labels: tuple[int, ...]) -> None:
    several = dataset("label", [(1,), labels], classes=("a", "b"), multilabel=True)
    with pytest.raises(DataError, match=rf"^1.png: the model tells one label .* has {len(labels)}: keep one$"):
        agreeing(several, multilabel=False)


def test_all_else_stays_as_it_is() -> None:
    for same in (dataset("label", [1], classes=("a", "b")), dataset("mask", [Path("m.png")], classes=("a",))):
        assert agreeing(same, multilabel=False) is same
        assert agreeing(same) is same
