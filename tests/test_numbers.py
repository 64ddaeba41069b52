"""What counts as a number in JSON, and how one is written for people."""

from __future__ import annotations

import math

import pytest

from visrun.numbers import evenly, far_apart, is_finite, number, number_in, number_or_none, numbers_of, single


@pytest.mark.parametrize("content", [None, 3, "x", [1.0], {}])
def test_what_is_no_object_has_no_numbers(content: object) -> None:
    assert numbers_of(content) == {}


def test_only_finite_numbers_count() -> None:
    content = {"a": 1, "b": 0.5, "c": True, "d": "2", "e": None, "f": math.nan, "g": -math.inf, "h": 10**400}
    assert numbers_of(content) == {"a": 1.0, "b": 0.5}


@pytest.mark.parametrize("text", ["1_0", "0.1_9", "_1", "x", ""])
def test_a_text_that_is_no_number(text: str) -> None:
    assert number_in(" 1e1 ") == 10.0
    with pytest.raises(ValueError, match=r"^could not convert string to float: "):
        number_in(text)
    assert number_or_none(text) is None and number_or_none("inf") == math.inf


@pytest.mark.parametrize("value", [math.nan, math.inf, 10**400, -(10**400)], ids=["nan", "inf", "large", "small"])
def test_what_no_float_holds_is_not_finite(value: float) -> None:
    assert not is_finite(value) and is_finite(1) and is_finite(0.5)


@pytest.mark.parametrize(
    ("values", "far"), [([], False), ([2.0, 0.04], False), ([2.0, 0.039], True), ([2.0, 0.0], False), ([5.0], False)]
)
def test_values_far_apart_are_positive_and_of_several_magnitudes(values: list[float], far: bool) -> None:
    assert far_apart(values) == far


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0.0000"),
        (0.65556, "0.6556"),
        (-0.5, "-0.5000"),
        (12.3, "12.3000"),
        (1e-5, "1e-05"),
        (12345.6, "1.235e+04"),
    ],
)
def test_numbers(value: float, shown: str) -> None:
    assert number(value) == shown


@pytest.mark.parametrize(
    ("value", "told"), [(1 / 3, 0.3333333), (-14817678.0, -14817680.0), (0.0, 0.0), (5e-324, 5e-324)]
)
def test_seven_digits_are_left(value: float, told: float) -> None:
    assert single(value) == told


@pytest.mark.parametrize(
    ("count", "of", "found"),
    [(3, 7, [0, 3, 6]), (4, 2, [0, 1]), (1, 5, [0]), (12, 1, [0]), (3, 0, []), (0, 4, [])],
)
def test_an_even_choice_keeps_both_ends(count: int, of: int, found: list[int]) -> None:
    assert evenly(count, of=of) == found


@pytest.mark.parametrize("of", range(1, 60))
def test_an_even_choice_has_as_many_as_asked_for_and_none_twice(of: int) -> None:
    for count in range(1, of + 3):
        assert len(set(evenly(count, of=of))) == min(count, of)
