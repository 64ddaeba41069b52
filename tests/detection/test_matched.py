"""Confusion matrix and curves of detections, by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from visrun.detection.metrics import BoxMetric, MaskMetric, RotatedMetric

CLASSES = ["cat", "dog"]
A, B, C, D = [0, 0, 20, 20], [30, 0, 50, 20], [60, 0, 80, 20], [0, 30, 20, 50]


def confusion(kit: SimpleNamespace, truth: list, found: list) -> list[list[int]]:
    truths = [kit.objects(*[list(column) for column in zip(*truth, strict=True)] or [[], []])]
    answers = [kit.answer(*[list(column) for column in zip(*found, strict=True)] or [[], [], []])]
    return kit.feed(BoxMetric(CLASSES), truths, answers).confusion().tolist()


def test_objects_are_found_confused_missed_or_ignored(kit: SimpleNamespace) -> None:
    truth = [(A, 0, 0), (B, 1, 0), (C, 0, 0), (D, 1, 1)]
    found = [(A, 0.9, 0), (B, 0.9, 0), ([60, 60, 80, 80], 0.9, 1), (D, 0.9, 1)]
    # A is found, B is taken for a cat, C is missed, one dog is nothing, D is ignored.
    assert confusion(kit, truth, found) == [[1, 0, 1], [1, 0, 0], [0, 1, 0]]


def test_the_right_class_goes_before_a_better_score(kit: SimpleNamespace) -> None:
    assert confusion(kit, [(A, 0, 0)], [(A, 0.9, 1), (A, 0.8, 0)]) == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]


def test_only_detections_from_the_best_score_on_count(kit: SimpleNamespace) -> None:
    # F1 over both classes is best at 0.6; what lies below is no detection, and D is missed.
    truth = [(A, 0, 0), (B, 0, 0), (C, 0, 0), (D, 0, 0)]
    found = [(A, 0.9, 0), (B, 0.8, 0), (C, 0.6, 0), *[([60, 60, 80 + i, 80], 0.5, 0) for i in range(9)], (D, 0.4, 0)]
    assert confusion(kit, truth, found) == [[3, 0, 1], [0, 0, 0], [0, 0, 0]]


def test_where_nothing_is_right_detections_from_a_quarter_on_count(kit: SimpleNamespace) -> None:
    assert confusion(kit, [], [(A, 0.3, 1), (B, 0.2, 1)]) == [[0, 0, 0], [0, 0, 0], [0, 1, 0]]
    assert confusion(kit, [(A, 0, 0)], []) == [[0, 0, 1], [0, 0, 0], [0, 0, 0]]


def test_of_each_image_what_was_missed_and_what_is_false(kit: SimpleNamespace) -> None:
    truth = [(A, 0, 0), (B, 1, 0), (C, 0, 0), (D, 1, 1)]
    found = [(A, 0.9, 0), (B, 0.9, 0), ([60, 60, 80, 80], 0.9, 1), (D, 0.9, 1)]
    nothing = [(A, 0.9, 0), (B, 0.1, 0), (C, 0.1, 1)]
    images = [(truth, found), ([], []), (truth[:1], found[:1]), ([], nothing)]
    truths = [kit.objects(*[list(column) for column in zip(*one, strict=True)] or [[], []]) for one, _ in images]
    answers = [kit.answer(*[list(column) for column in zip(*one, strict=True)] or [[], [], []]) for _, one in images]
    # The best F1 lies at 0.9. A dog that is taken for a cat is missed and a false cat.
    assert kit.feed(BoxMetric(CLASSES), truths, answers).by_image() == [
        {"error": 4, "missed": 2, "false": 2},
        {"error": 0, "missed": 0, "false": 0},
        {"error": 0, "missed": 0, "false": 0},
        {"error": 1, "missed": 0, "false": 1},
    ]
    assert BoxMetric(CLASSES).by_image() == []


def test_every_object_that_counts_is_in_its_row(kit: SimpleNamespace) -> None:
    random = np.random.default_rng(0)
    truths, answers = [], []
    for _ in range(8):
        low = random.uniform(0, 60, (6, 2))
        boxes = np.concatenate([low, low + random.uniform(8, 30, (6, 2))], 1)
        truths.append(kit.objects(boxes, random.integers(0, 2, 6), random.random(6) < 0.2))
        answers.append(kit.answer(boxes + random.normal(0, 2, (6, 4)), random.random(6), random.integers(0, 2, 6)))
    counts = kit.feed(BoxMetric(CLASSES), truths, answers).confusion()
    for k in range(2):
        assert counts[k].sum() == sum(int(((one.labels == k) & ~one.ignored).sum()) for one in truths)
    assert counts[2, 2] == 0 and (counts[:2, :2] > 0).all()


def turned(box: list[float]) -> list[float]:
    return [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1], 0.0]


def drawn(box: list[float]) -> torch.Tensor:
    mask = torch.zeros(25, 25, dtype=torch.uint8)
    left, top, right, bottom = (int(v) // 4 for v in box)
    mask[top:bottom, left:right] = 255
    return mask


def outline(box: list[float]) -> tuple[np.ndarray]:
    left, top, right, bottom = box
    return (np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float),)


@pytest.mark.parametrize(
    "metric", [BoxMetric(CLASSES), MaskMetric(CLASSES), RotatedMetric(CLASSES), RotatedMetric(CLASSES, dota=True)]
)
def test_all_metrics_show_the_same(kit: SimpleNamespace, metric: Any) -> None:
    boxes, said = [A, [32, 0, 52, 20], [60, 60, 80, 80]], [0, 1, 1]
    scores, columns = [0.9, 0.8, 0.3], 5 if isinstance(metric, RotatedMetric) else 4
    forms = [turned(box) if columns == 5 else box for box in boxes]
    one = kit.answer(forms, scores, said, torch.stack([drawn(box) for box in boxes]), columns=columns)
    truth = kit.objects([A, [32, 0, 52, 20], D], [0, 1, 1], outlines=[outline(box) for box in (A, [32, 0, 52, 20], D)])
    kit.feed(metric, [truth], [one])
    assert metric.confusion().tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 0]]
    curves, point = metric.curves()
    assert point is not None and point.score == pytest.approx(0.8) and point.f1 == pytest.approx(2 * 2 / 5)
    assert list(curves) == CLASSES
    assert curves["cat"].recall.tolist() == [1.0] and curves["cat"].average == 1.0
    assert curves["dog"].recall.tolist() == [0.5, 0.5] and curves["dog"].precision.tolist() == [1.0, 0.5]
    values = metric.compute()
    averages = [curve.average for curve in curves.values()]
    assert values["map50"] == pytest.approx(sum(averages) / 2)
