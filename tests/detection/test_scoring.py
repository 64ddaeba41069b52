"""Precision, recall and their averages, derived by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visrun.detection.scoring import COCO_POINTS, VOC_POINTS, curve, curves, verdicts, working_point

YES, NO = True, False


@pytest.mark.parametrize(
    ("right", "total", "coco", "voc"),
    [
        ([YES], 1, 1.0, 1.0),
        ([YES, NO, NO], 1, 1.0, 1.0),  # what comes after the last object was found costs nothing
        ([NO, YES], 1, 0.5, 0.5),
        ([YES], 2, 51 / 101, 6 / 11),  # recalls 0 to 0.5 are reached
        ([YES, NO, YES], 2, (51 + 50 * 2 / 3) / 101, (6 + 5 * 2 / 3) / 11),
        ([NO, NO, YES, YES], 2, 0.5, 0.5),  # the precision still to come counts: 1/2 throughout
        ([], 3, 0.0, 0.0),
        ([NO, NO], 3, 0.0, 0.0),
    ],
)
def test_average_precision_by_hand(right: list[bool], total: int, coco: float, voc: float) -> None:
    flags = np.array(right, bool)
    assert curve(flags, total).average == pytest.approx(coco)
    assert curve(flags, total, points=VOC_POINTS).average == pytest.approx(voc)


def loop_voc_ap(recall: np.ndarray, precision: np.ndarray) -> float:
    """As voc_ap of DOTA_devkit with ``use_07_metric``."""
    ap = 0.0
    for t in np.arange(0.0, 1.1, 0.1):
        p = 0 if np.sum(recall >= t) == 0 else np.max(precision[recall >= t])
        ap += p / 11.0
    return float(ap)


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 5))
@settings(max_examples=150, deadline=None)
def test_the_eleven_points_agree_with_the_devkits_loop(right: list[bool], missed: int) -> None:
    flags = np.array(right, bool)
    total = int(flags.sum()) + missed
    if not total:
        return
    recall, precision = np.cumsum(flags) / total, np.cumsum(flags) / np.arange(1, len(flags) + 1)
    found = curve(flags, total, points=VOC_POINTS)
    assert found.average == pytest.approx(loop_voc_ap(recall, precision), abs=1e-12)
    assert (np.diff(found.precision) <= 0).all() and (np.diff(found.recall) >= 0).all()


def test_ignored_objects_are_neither_right_nor_wrong() -> None:
    match, ignored = np.array([1, 0, -1, 1]), np.array([False, True])
    right, counted = verdicts(match, ignored)
    assert right.tolist() == [False, True, False, False]
    assert counted.tolist() == [False, True, True, False]


def test_classes_without_objects_have_no_curve() -> None:
    match = np.array([0, -1, 2, -1])
    found = curves(match, np.array([0, 1, 2, 0]), np.array([0, 0, 2]), np.array([False, False, True]), 4)
    assert list(found) == [0]
    assert found[0].recall.tolist() == [0.5, 0.5] and found[0].precision.tolist() == [1.0, 0.5]
    assert len(COCO_POINTS) == 101


def test_the_working_point_by_hand() -> None:
    scores, ignored = np.array([0.9, 0.8, 0.8, 0.7, 0.2]), np.zeros(3, bool)
    # 1 of 1, 1 of 2, 2 of 3, 3 of 4, 3 of 5 are right, of 3 objects: F1 2/4, -, 4/6, 6/7, 6/8
    point = working_point(np.array([0, -1, 1, 2, -1]), scores, ignored)
    assert point is not None and point.score == 0.7 and point.f1 == pytest.approx(6 / 7)
    # Equal scores cannot be told apart: 0.8 keeps both.
    point = working_point(np.array([-1, 0, -1]), np.array([0.9, 0.8, 0.8]), np.zeros(1, bool))
    assert point is not None and point.score == 0.8 and point.f1 == pytest.approx(2 / 4)
    assert working_point(np.array([-1, -1]), np.array([0.9, 0.8]), ignored) is None
    assert working_point(np.zeros(0, int), np.zeros(0), np.zeros(0, bool)) is None
