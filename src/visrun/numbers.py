"""Numbers out of JSON and labels that anybody may have written, and as text that people read."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TypeGuard

SPAN = 50.0  # ratio of the largest to the smallest
MISSING = "-"  # stands where there is no number


def is_int(value: object) -> TypeGuard[int]:
    """Whether a value is an integer, which a truth value is not here."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a number, which a truth value is not here."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def number_in(text: str) -> float:
    """The number that a cell or attribute of labels is.

    Raises:
        ValueError: It is none, which 1_0 is not either: only Python's own programs write 10 so.
    """
    if "_" in text:
        raise ValueError(f"could not convert string to float: {text!r}")
    return float(text)


def number_or_none(text: str) -> float | None:
    """The number that a cell is, which may not be finite; None where `number_in` refuses it."""
    try:
        return number_in(text)
    except ValueError:
        return None


def is_finite(value: float) -> bool:
    """Whether a number is finite, also as a float, which an integer above all of these is not."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def numbers_of(content: object) -> dict[str, float]:
    """The finite numbers of a JSON object; {} of what is none."""
    items = content.items() if isinstance(content, dict) else ()
    return {key: float(value) for key, value in items if is_number(value) and is_finite(value)}


def far_apart(values: Collection[float]) -> bool:
    """Whether values are positive and so far apart that a logarithmic axis shows them better."""
    return min(values, default=0.0) > 0 and max(values) / min(values) > SPAN


def single(value: float) -> float:
    """A number to the seven digits that float32 has."""
    return float(f"{value:.7g}")


def number(value: float) -> str:
    """A metric: four decimals, or four digits where these would say nothing."""
    return f"{value:.4f}" if value == 0 or 0.001 <= abs(value) < 1000 else f"{value:.4g}"


def evenly(count: int, *, of: int) -> list[int]:
    """``count`` positions from the first to the last ``of`` some, or all of fewer."""
    if of <= count:
        return list(range(of))
    return [round(i * (of - 1) / max(count - 1, 1)) for i in range(count)]
