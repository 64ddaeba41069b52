"""Thresholds of several labels and of one class of an image: by hand, and what holds for any probabilities."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from torch import Tensor

from visrun.classification_metric import ClassificationMetric, called, reached


def seen(metric: ClassificationMetric, probabilities: Any, target: Any) -> ClassificationMetric:
    p, y = torch.as_tensor(probabilities), torch.as_tensor(target)
    metric.update({"probabilities": p}, SimpleNamespace(target=y, valid=torch.ones(len(y), dtype=torch.bool)))
    return metric


# a is rare: its best threshold parts 0.3 from 0.1; b is found from 0.6 on; c is always there, d never
P = [[0.3, 0.6, 0.9, 0.1], [0.1, 0.4, 0.8, 0.2], [0.1, 0.9, 0.9, 0.1], [0.05, 0.2, 0.4, 0.1]]
Y = [[1, 1, 1, 0], [0, 0, 1, 0], [0, 1, 1, 0], [0, 0, 1, 0]]


def test_the_best_threshold_of_each_label_by_hand() -> None:
    found = seen(ClassificationMetric("abcd", multilabel=True), P, Y).compute()
    thresholds = {key: value for key, value in found.items() if key.startswith("threshold/")}
    assert thresholds == pytest.approx({"threshold/a": 0.2, "threshold/b": 0.5})  # c and d lack one of both kinds
    assert found["f1_max"] == pytest.approx(1.0)  # of a, b and c, which are shown
    assert found["f1/a"] == 0.0 and found["f1"] == pytest.approx((0 + 1 + 6 / 7) / 3)
    assert not [key for key in found if "tuned" in key]


def test_thresholds_that_were_chosen_count_beside_one_half() -> None:
    metric = ClassificationMetric("abcd", multilabel=True, chosen=lambda: (0.08, 0.5, 0.5, 0.5))
    found = seen(metric, P, Y).compute()
    assert found["f1/a"] == 0.0  # at 0.5
    assert (found["precision_tuned/a"], found["recall_tuned/a"]) == (pytest.approx(1 / 3), 1.0)
    assert found["f1_tuned"] == pytest.approx((1 / 2 + 1 + 6 / 7) / 3)
    assert [found[f"threshold/{name}"] for name in "abcd"] == [0.08, 0.5, 0.5, 0.5]
    assert [row["labels"] for row in metric.by_image()][1:3] == [["a", "c"], ["a", "b", "c"]]


def test_thresholds_that_are_asked_for_count_in_place_of_all_others() -> None:
    metric = ClassificationMetric("abcd", multilabel=True, chosen=lambda: (0.08,) * 4, asked=(0.2,) * 4)
    found = seen(metric, P, Y).compute()
    assert found["recall/a"] == found["precision/a"] == 1.0
    assert found["accuracy"] == pytest.approx(13 / 16)  # wrong: b of the second and the fourth, d of the second
    assert not [key for key in found if "tuned" in key] and found["threshold/d"] == 0.2
    assert metric.by_image()[3]["labels"] == ["b", "c"]


def test_a_probability_that_is_no_number_has_no_threshold() -> None:
    found = seen(ClassificationMetric("ab", multilabel=True), [[float("nan"), 0.5], [0.5, 0.1]], [[1, 1], [0, 0]])
    assert found._graded() == {}


@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_no_thresholds_are_better_than_the_best_of_the_split(seed: int, k: int, n: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    p, y = torch.randint(9, (n, k), generator=generator) / 8, torch.randint(2, (n, k), generator=generator)
    names = [f"c{i}" for i in range(k)]
    best = seen(ClassificationMetric(names, multilabel=True), p, y).compute()
    chosen = [best.get(f"threshold/{name}", 0.5) for name in names]
    found = seen(ClassificationMetric(names, multilabel=True, chosen=lambda: chosen), p, y).compute()
    for i, name in enumerate(names):
        if 0 < y[:, i].sum() < n:
            each = [sk.f1_score(y[:, i], p[:, i] >= at, zero_division=0) for at in p[:, i].unique()]
            assert found[f"f1_tuned/{name}"] == pytest.approx(max(each))
    if y.any():
        assert best["f1_max"] >= max(found["f1"], found["f1_tuned"]) - 1e-6


def test_an_image_is_called_a_class_from_its_threshold_on_and_else_the_likeliest_other() -> None:
    p = torch.tensor([[0.2, 0.5, 0.3], [0.3, 0.1, 0.6], [0.1, 0.8, 0.1]])
    assert called(p).tolist() == [1, 2, 1]
    assert called(p, (0, 0.25)).tolist() == [1, 0, 1]
    assert called(p, (1, 0.8)).tolist() == [2, 2, 1]  # float32's 0.8 is a little above 0.8
    assert called(p, (1, 1.0)).tolist() == [2, 2, 0]
    assert called(torch.ones(2, 1), (0, 1.0)).tolist() == [0, 0]


def test_of_two_classes_all_is_measured_at_the_threshold() -> None:
    p: Tensor = torch.tensor([[0.9, 0.1], [0.7, 0.3], [0.6, 0.4], [0.2, 0.8]])
    y = torch.tensor([0, 1, 0, 1])
    found = seen(metric := ClassificationMetric("ab", preferred=(1, 0.25)), p, y).compute()
    said = (p[:, 1] >= 0.25).long()
    assert metric.confusion().tolist() == sk.confusion_matrix(y, said).tolist() == [[1, 1], [0, 2]]
    assert (found["accuracy"], found["threshold/b"]) == (0.75, 0.25)
    assert (found["precision/b"], found["recall/b"], found["f1/b"]) == (pytest.approx(2 / 3), 1.0, pytest.approx(0.8))
    assert [row["label"] for row in metric.by_image()] == ["a", "b", "b", "b"]
    assert found["auroc"] == seen(ClassificationMetric("ab"), p, y).compute()["auroc"]


def test_a_threshold_that_lies_on_a_probability_is_reached() -> None:
    p = torch.tensor([[0.1, 0.3]])
    assert reached(p, p[0].tolist()).all()
    assert not reached(p, [0.11, 0.31]).any()
