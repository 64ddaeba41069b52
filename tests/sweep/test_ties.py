"""Equal metrics told apart by losses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visrun.sweep.ties import FINER, graded, plain

losses = st.floats(allow_nan=False)
metrics = st.floats(-1e6, 1e6, width=32)


def test_by_hand() -> None:
    assert graded(0.5, 0.0, maximize=True) == 0.5 - 0.25e-9
    assert graded(0.5, 1.0, maximize=True) == pytest.approx(0.5 - 0.375e-9, abs=1e-16)
    assert graded(8.0, 0.0, maximize=False) == 8.0 + 4e-9
    assert graded(0.0, 0.0, maximize=True) == -0.5e-12


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_stays(value: float) -> None:
    assert graded(value, 1.0, maximize=True) == pytest.approx(value, nan_ok=True)


@pytest.mark.parametrize("maximize", [True, False])
def test_no_loss_is_the_worst(maximize: bool) -> None:
    worst = graded(0.75, math.nan, maximize=maximize)
    assert worst == graded(0.75, math.inf, maximize=maximize)
    better = graded(0.75, 1e6, maximize=maximize)
    assert better > worst if maximize else better < worst


@given(metrics, metrics, losses, losses, st.booleans())
def test_the_loss_never_outweighs_the_metric(one: float, two: float, a: float, b: float, maximize: bool) -> None:
    better, worse = (max(one, two), min(one, two)) if maximize else (min(one, two), max(one, two))
    first, second = graded(better, a, maximize=maximize), graded(worse, b, maximize=maximize)
    if better == worse or abs(better - worse) < 2e-12:
        return
    assert first > second if maximize else first < second


@given(st.floats(0.0, 100.0, width=32), st.floats(-100, 100), st.floats(-100, 100), st.booleans())
def test_of_equal_metrics_the_lower_loss_is_better(value: float, a: float, b: float, maximize: bool) -> None:
    if abs(a - b) < 1e-2:
        return
    low, high = graded(value, min(a, b), maximize=maximize), graded(value, max(a, b), maximize=maximize)
    assert low > high if maximize else low < high


@given(st.integers(1, 5000), st.data(), losses, st.booleans())
def test_the_plain_value_is_the_metric(count: int, data: Any, loss: float, maximize: bool) -> None:
    value = float(np.float32(data.draw(st.integers(0, count)) / count))
    shown = plain(graded(value, loss, maximize=maximize))
    assert shown == pytest.approx(value, rel=5e-7, abs=1e-11)
    if value in (0.0, 0.5, 1.0):
        assert shown == value


@given(st.integers(0, 1000), losses, st.booleans())
def test_single_precision_leaves_no_digits(thousandths: int, loss: float, maximize: bool) -> None:
    value = float(np.float32(thousandths / 1000))
    assert plain(graded(value, loss, maximize=maximize)) == thousandths / 1000


@pytest.mark.parametrize("value", [304_123_456.0, 1.0, 0.0, -2e12, math.inf])
def test_whole_numbers_stay(value: float) -> None:
    assert plain(value) == value


def test_the_step_is_below_single_precision() -> None:
    assert np.finfo(np.float32).eps / 50 > FINER
