"""Numbers of scores against truth, by hand and beside scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve, roc_auc_score

from visrun.anomaly.curves import Pixels, area, counts, sampled

TRUTH = np.array([True, False, True, False])
SCORES = np.array([0.9, 0.8, 0.7, 0.1])


def test_by_hand():
    found = counts(SCORES, TRUTH)
    assert found.auroc() == 0.75  # of the four pairs one is the wrong way round
    assert found.average_precision() == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    f1, threshold = found.best_f1()
    assert f1 == pytest.approx(0.8)  # from 0.7 on: two hits, one false
    assert threshold == pytest.approx(0.4)  # between 0.7 and 0.1
    assert found.best_f1(place=0.25)[1] == pytest.approx(0.25)
    assert found.f1_at(threshold) == pytest.approx(0.8)
    assert found.f1_at(2.0) == 0.0


def test_equal_scores_tell_nothing():
    found = counts(np.ones(4), TRUTH)
    assert found.auroc() == 0.5
    assert found.average_precision() == 0.5
    assert found.best_f1() == (pytest.approx(2 / 3), 1.0)


@pytest.mark.parametrize("truth", [[], [True], [False]])
def test_of_one_kind_alone_there_is_no_auroc(truth):
    found = counts(np.zeros(len(truth)), np.array(truth, bool))
    assert np.isnan(found.auroc())
    assert np.isnan(found.average_precision()) == (True not in truth)
    assert np.isnan(found.best_f1()[0]) == (True not in truth)
    assert np.isnan(found.f1_at(0.0)) == (True not in truth)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_agreement_with_scikit_learn(rows):
    scores, truth = (np.array(column) for column in zip(*rows, strict=True))
    if truth.all() or not truth.any():
        return
    found = counts(scores, truth)
    assert found.auroc() == pytest.approx(roc_auc_score(truth, scores))
    assert found.average_precision() == pytest.approx(average_precision_score(truth, scores))
    precision, recall, _ = precision_recall_curve(truth, scores)
    f1, threshold = found.best_f1()
    assert f1 == pytest.approx((2 * precision * recall / np.maximum(precision + recall, 1e-12)).max())
    for at in (threshold, *scores, -1.0, 2.5, 9.0):
        assert found.f1_at(at) == pytest.approx(f1_score(truth, scores >= at))
    assert found.f1_at(threshold) == pytest.approx(f1)


def test_area_up_to_a_limit():
    x, y = np.array([0.2, 1.0]), np.array([1.0, 1.0])
    assert area(x, y) == pytest.approx(0.2 * 0.5 + 0.8)
    assert area(x, y, limit=0.1) == pytest.approx(0.25)  # from 0 to 0.5 over 0.1
    assert area(np.array([0.0, 1.0]), np.array([1.0, 1.0]), limit=0.3) == 1.0


def pixels_of(heat, truth):
    found = Pixels(sampled([heat]), sampled([heat[truth == 1]]))
    found.add(heat, truth)
    return found


def test_f1_of_pixels_is_exact_at_the_threshold_that_is_asked_for():
    """Which comes from other maps, and lies between the few of many values that are counted."""
    rng = np.random.default_rng(0)
    truth = np.zeros((300, 300), int)
    truth[10:13, 10:13] = 1
    heat = rng.normal(size=truth.shape) + 3.0 * truth
    for threshold in (2.0, 3.0, 3.7, 9.0):
        found = Pixels(sampled([heat]), sampled([heat[truth == 1]]), asked=[threshold])
        found.add(heat, truth)
        assert found.counts().f1_at(threshold) == pytest.approx(f1_score(truth.ravel() == 1, heat.ravel() >= threshold))


def test_each_region_counts_alike_in_aupro():
    truth = np.zeros((4, 8), int)
    truth[0, 0], truth[2:4, 4:8] = 1, 1  # regions of 1 and 8 pixels
    heat = np.where(truth == 1, 0.0, 0.5)
    heat[2:4, 4:8] = 1.0
    found = pixels_of(heat, truth)
    assert found.regions == 2
    assert found.aupro() == pytest.approx(0.5)  # the large one is found at once, the small one never before all else
    assert found.counts().auroc() == pytest.approx(8 / 9)


def test_touching_corners_make_one_region_and_ignored_pixels_none():
    truth = np.array([[1, 0, 255], [0, 1, 1]])
    found = pixels_of(np.array([[3.0, 0, 9], [0, 3, 3]]), truth)
    assert found.regions == 1
    assert found.aupro() == 1.0 and found.counts().auroc() == 1.0
    assert found.counts().negatives == 2


@pytest.mark.parametrize("fill", [0, 1, 255])
def test_where_one_kind_of_pixel_is_missing_there_is_no_aupro(fill):
    assert np.isnan(pixels_of(np.ones((2, 2)), np.full((2, 2), fill)).aupro())


def test_many_values_are_counted_at_few_thresholds():
    rng = np.random.default_rng(0)
    truth = (rng.random((400, 300)) < 0.1).astype(int)
    heat = rng.normal(size=truth.shape) + truth
    found = pixels_of(heat, truth)
    assert len(found.thresholds) <= 4000
    assert found.counts().auroc() == pytest.approx(roc_auc_score(truth.ravel(), heat.ravel()), abs=1e-4)


@pytest.mark.parametrize("share", [1e-2, 1e-4])
def test_the_threshold_of_few_defective_pixels_parts_them_from_the_good_ones(share):
    rng = np.random.default_rng(0)
    truth = (rng.random((1000, 1000)) < share).astype(int)
    heat = np.where(truth == 1, rng.uniform(0.8, 1.0, truth.shape), rng.uniform(0.0, 0.5, truth.shape))
    f1, threshold = pixels_of(heat, truth).counts().best_f1()
    assert f1 == 1.0 and 0.5 < threshold < 0.8


def test_a_sample_holds_the_extremes():
    maps = [np.arange(1_000_000.0).reshape(1000, 1000), np.array([[-5.0]])]
    found = sampled(maps)
    assert found.min() == -5 and found.max() == 999_999
    assert len(found) < 500_010


@pytest.mark.parametrize("place", [0.25, 0.5])
def test_a_threshold_between_neighbours_in_single_precision_parts_them(place: float) -> None:
    low = np.float32(0.7)
    high = np.nextafter(low, np.float32(1))
    _, threshold = counts(np.array([low, high]), np.array([False, True])).best_f1(place=place)
    assert [score >= np.float32(threshold) for score in (low, high)] == [False, True]


@pytest.mark.parametrize("scores", [[0.09163549542427063, 0.2], [0.8791173696517944, 0.95], [0.12345678, 0.3]])
def test_a_threshold_read_with_six_digits_and_typed_again_finds_the_same(scores: list[float]) -> None:
    found = counts(np.array(scores, np.float32), np.array([True, True]))
    _, threshold = found.best_f1()
    assert found.f1_at(float(f"{threshold:.6g}")) == found.f1_at(threshold) == 1


def test_what_each_threshold_gives() -> None:
    found = counts(np.array([0.9, 0.5, 0.5, 0.1]), np.array([True, True, False, False])).points()
    assert [row["threshold"] for row in found] == [0.9, 0.5, 0.1]
    assert [row["recall"] for row in found] == [0.5, 1.0, 1.0]
    assert [row["false_positive_rate"] for row in found] == [0.0, 0.5, 1.0]
    assert [row["precision"] for row in found] == pytest.approx([1.0, 2 / 3, 0.5])
    assert [row["f1"] for row in found] == pytest.approx([2 / 3, 0.8, 2 / 3])
    (alone,) = counts(np.array([0.5]), np.array([False])).points()
    assert alone == {"threshold": 0.5, "precision": 0.0, "false_positive_rate": 1.0, "f1": 0.0}
    assert counts(np.zeros(0), np.zeros(0, bool)).points() == []
    many = counts(np.linspace(0, 1, 10_000), np.arange(10_000) % 3 == 0).points()
    assert len(many) == 500 and (many[0]["threshold"], many[-1]["threshold"]) == (1.0, 0.0)
