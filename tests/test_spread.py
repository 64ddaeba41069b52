"""Mean, standard deviation and interval against values worked out by hand and from the table."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visrun.spread import Spread, spread


def test_three_values_by_hand() -> None:
    # mean 2, deviations -1, 0, 1: s = 1; t(0.975, 2) = 4.3027, so the half width is 4.3027 / sqrt(3) = 2.4841
    found = spread([1.0, 2.0, 3.0])
    assert (found.n, found.mean, found.std) == (3, 2.0, 1.0)
    assert (found.low, found.high) == (pytest.approx(-0.48414, abs=1e-5), pytest.approx(4.48414, abs=1e-5))


def test_two_values_by_hand() -> None:
    # s = sqrt(2), so the half width is t(0.975, 1) = 12.7062
    found = spread([0.0, 2.0])
    assert found.std == pytest.approx(math.sqrt(2))
    assert (found.low, found.high) == (pytest.approx(1 - 12.70620), pytest.approx(1 + 12.70620))


def test_runs_that_share_images_have_a_wider_interval() -> None:
    # five folds: 1/5 + 1/4 of the variance instead of 1/5; t(0.975, 4) = 2.77645, s = sqrt(2.5)
    found = spread([1.0, 2.0, 3.0, 4.0, 5.0], overlap=0.25)
    assert (found.mean, found.std) == (3.0, pytest.approx(math.sqrt(2.5)))
    assert found.high == pytest.approx(3 + 2.77645 * math.sqrt(2.5 * 0.45), abs=1e-5)


def test_one_value_has_a_mean_and_nothing_else() -> None:
    assert spread([0.25]) == Spread(1, 0.25, None, None, None)


def test_the_noise_of_single_precision_is_no_spread() -> None:
    found = spread([0.4166666865, 0.4166666567])
    assert found.std == 0 and found.low == found.high == found.mean
    assert spread([0.41667, 0.41666]).std > 0


def test_differences_have_the_rounding_of_what_they_were_taken_of() -> None:
    noisy = [0.0037, 0.0037 + 3e-8]
    assert spread(noisy).std > 0 and spread(noisy, scale=0.94).std == 0
    assert spread([1.0, 2.0, 3.0], scale=3.0) == spread([1.0, 2.0, 3.0])


@pytest.mark.parametrize("value", [0.1, 0.0, -3.3, 1e300])
def test_equal_values_have_no_spread(value: float) -> None:
    assert spread([value] * 7) == Spread(7, value, 0.0, value, value)


# The table in every textbook (Abramowitz & Stegun 1964, table 26.10).
@pytest.mark.parametrize(
    ("freedom", "value"),
    [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (10, 2.228), (30, 2.042), (120, 1.980)],
)
def test_the_interval_is_the_tables_quantile_of_standard_errors(freedom: int, value: float) -> None:
    found = spread([float(number) for number in range(freedom + 1)])
    assert found.std is not None and found.high is not None
    assert round((found.high - found.mean) / (found.std / math.sqrt(found.n)), 3) == value


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_the_interval_lies_round_the_mean(values: list[float]) -> None:
    found = spread(values)
    assert found.std is not None and found.low is not None and found.high is not None
    assert min(values) <= found.mean <= max(values)
    assert found.low <= found.mean <= found.high
    assert found.std <= (max(values) - min(values)) * math.sqrt(found.n / (2 * (found.n - 1))) * (1 + 1e-9)
    assert spread(values[::-1]) == found


def test_the_interval_ends_where_values_do() -> None:
    free, cut = spread([0.9, 1.0]), spread([0.9, 1.0], within=(0.0, 1.0))  # 0.95 +- 12.7 * 0.05
    assert free.high is not None and free.high > 1.5 and free.low is not None and free.low < 0.4
    assert (cut.mean, cut.std, cut.low, cut.high) == (free.mean, free.std, free.low, 1.0)
    assert spread([0.0, 0.1], within=(0.0, 1.0)).low == 0.0
    assert spread([1.5, 1.6], within=(0.0, 1.0)).high == spread([1.5, 1.6]).mean  # of a wrong range: never beside it
