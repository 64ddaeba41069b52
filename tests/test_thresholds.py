"""Thresholds as they are typed, and the one that reaches a recall."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from visrun.anomaly.curves import counts
from visrun.errors import UserError
from visrun.tables import model_entry
from visrun.tasks.anomaly_detection import AnomalyDetection
from visrun.tasks.classification import Classification
from visrun.tasks.regression import Regression
from visrun.thresholds import asked_for, at_recall, least_recall, require_graded, select, told


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("0.5", 0.5),
        (np.float32(0.25), 0.25),
        ("-3e1", -30.0),
        ("cat:0.8", {"cat": 0.8}),
        ("cat:0.8,dog:.3", {"cat": 0.8, "dog": 0.3}),
        ("red, small:0.8,a:b:1", {"red, small": 0.8, "a:b": 1.0}),
        ("5:0.25", {"5": 0.25}),
        ({"cat": 1}, {"cat": 1.0}),
    ],
    ids=str,
)
def test_a_threshold_is_a_number_or_one_of_each_class(typed: Any, read: Any) -> None:
    assert asked_for(typed) == read


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("a:0.5,b:0.1", {"a:0.5,b": 0.1}),
        ("dog:0.2,a:0.5,b:0.1", {"dog": 0.2, "a:0.5,b": 0.1}),
        ("a:0.5,b:0.1,dog:0.2", {"a:0.5,b": 0.1, "dog": 0.2}),
    ],
)
def test_a_class_may_be_called_as_if_it_were_two_with_a_number(typed: str, read: dict[str, float]) -> None:
    assert asked_for(typed, classes=("a:0.5,b", "dog")) == read
    assert asked_for("a:0.5,b:0.1", classes=("a:0.5,b", "a", "b")) == {"a": 0.5, "b": 0.1}


def test_accents_are_the_same_however_they_are_typed() -> None:
    apart, whole = "O\u0308l", "\u00d6l"
    assert asked_for(f"{apart}:0.5") == asked_for({apart: 0.5}) == {whole: 0.5}


@pytest.mark.parametrize("typed", ["cat:", ":0.5", "cat:high", "cat:0.5,", "cat:0.5,dog", "cat:nan", "cat:inf"])
def test_one_that_is_none_is_a_line(typed: str) -> None:
    with pytest.raises(UserError, match=rf"^threshold={typed}: must be a number, or CLASS:NUMBER[^\n]*$"):
        asked_for(typed)


@pytest.mark.parametrize("given", [{}, "cat:0.8,cat:0.3"], ids=str)
def test_no_class_and_one_that_is_named_twice_are_a_line(given: Any) -> None:
    with pytest.raises(UserError, match=r"^threshold=.*: names (no class|cat twice); [^\n]+$"):
        asked_for(given)


def test_a_class_without_a_number_is_a_line() -> None:
    with pytest.raises(UserError, match=r"^threshold=\{'cat': None\}: must be a number"):
        asked_for({"cat": None})  # type: ignore[dict-item]


def test_what_a_task_does_not_take_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"^threshold=defect:0\.5: task=x has no thresholds .*; give one number for all$"
    ):
        select(AnomalyDetection(), {"defect": 0.5}, name="x")
    with pytest.raises(UserError, match=r"^recall=0\.5: the metrics of task=x depend on no threshold; leave it out$"):
        require_graded(Regression(targets=["m"], mean=[0.0], std=[1.0]), "recall=0.5", name="x")
    require_graded(Classification(classes=["a", "b"]), "recall=0.5", name="x")


@pytest.mark.parametrize("typed", ["0", "1.01", "-1", "nan", "all", ""])
def test_a_recall_is_a_share(typed: str) -> None:
    with pytest.raises(UserError, match=rf"^recall={typed}: must be a number > 0 and <= 1"):
        least_recall(typed)
    assert least_recall("1") == 1.0


def metric_of(scores: list[float], truth: list[int], name: str = "") -> Any:
    return SimpleNamespace(counts=lambda: {name: counts(np.array(scores), np.array(truth) > 0)})


@pytest.mark.parametrize(
    ("recall", "threshold", "false"),
    [(0.5, 0.85, 0), (0.51, 0.2, 0.5), (1.0, 0.2, 0.5), (0.01, 0.85, 0)],
)
def test_the_highest_threshold_that_reaches_a_recall(recall: float, threshold: float, false: float) -> None:
    (row,) = at_recall(metric_of([0.9, 0.8, 0.3, 0.1], [1, 0, 1, 0]), recall, split="val")
    assert row["threshold"] == threshold  # midway between the scores that it parts
    assert row["false_positive_rate"] == false and row["recall"] >= recall


def test_rounding_loses_no_image() -> None:
    scores = [0.98765461, 0.98765460, 0.5]
    for share in (1 / 3, 2 / 3):
        metric = metric_of(scores, [1, 1, 1])
        (row,) = at_recall(metric, share, split="val")
        assert sum(score >= row["threshold"] for score in scores) == round(3 * share)
        points = metric.counts()[""].points()
        assert [sum(score >= point["threshold"] for score in scores) for point in points] == [1, 2, 3]


def test_it_is_told_as_it_is_typed() -> None:
    (row,) = at_recall(metric_of([0.75, 0.25], [1, 0], "a b"), 1.0, split="val")
    assert row["class"] == "a b"
    line = "threshold=a b:0.5  recall 1  false positive rate 0  precision 1  f1 1"
    assert told(row) == line
    assert asked_for(line.split("  ")[0].removeprefix("threshold=")) == {"a b": 0.5}


def test_where_nothing_is_to_be_found_no_threshold_finds_it() -> None:
    with pytest.raises(
        UserError, match=r"^recall=0\.5: val has no image of what is to be found; name one that has, as split="
    ):
        at_recall(metric_of([0.5], [0]), 0.5, split="val")


@pytest.mark.parametrize(
    ("model", "limited"),
    [("unet", True), ("small_unet", True), ("unet_timm_x", True), ("patchcore", False), ("small_resnet", False)],
)
def test_scores_end_where_those_of_the_model_do(model: str, limited: bool) -> None:
    task, highest = AnomalyDetection(), model_entry(model).highest_score
    select(task, 1.0, name="x", highest=highest)
    if limited:
        with pytest.raises(UserError, match=r"^threshold=30: must be a number from 0 to 1"):
            select(task, 30.0, name="x", highest=highest)
    else:
        select(task, 30.0, name="x", highest=highest)
    assert task.threshold == (1.0 if limited else 30.0)


def test_a_task_that_knows_its_scores_is_not_told_them() -> None:
    task = Classification(classes=["a", "b"], multilabel=True)
    select(task, 0.25, name="x", highest=math.inf)
    assert task.reported_from() == (0.25, 0.25)
