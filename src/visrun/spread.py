"""How far a few runs of one configuration lie apart: mean, standard deviation, 95 % interval of the mean.

>>> spread([0.9, 0.92, 0.94]).mean, spread([0.9]).std
(0.92, None)
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Spread:
    """What values of one metric come to.

    Args:
        n: How many there are.
        mean: Their mean.
        std: The sample's standard deviation (n - 1 below the root); None for a single value.
        low: The lower end of the mean's 95 % interval by Student's t with n - 1 degrees of freedom; None for one value.
        high: The upper end.
    """

    n: int
    mean: float
    std: float | None = None
    low: float | None = None
    high: float | None = None


def spread(values: Sequence[float]) -> Spread:
    """The spread of finite values, at least one.

    The interval takes the values for independent draws from a normal distribution (Student 1908, Biometrika 6).
    """
    assert values, "of nothing there is no mean"
    n, mean = len(values), float(statistics.mean(values))  # of equal values their very own, without rounding
    if n == 1:
        return Spread(1, mean)
    std = statistics.stdev(values)
    half = student_t(0.5 + CONFIDENCE / 2, n - 1) * std / math.sqrt(n)
    return Spread(n, mean, std, mean - half, mean + half)


def student_t(probability: float, freedom: int) -> float:
    """The quantile of Student's t distribution, by bisection; right to about 13 digits.

    Args:
        probability: In (0.5, 1).
        freedom: Degrees of freedom, an integer >= 1.
    """
    low, high = 0.0, 1.0
    while student_cdf(high, freedom) < probability:
        low, high = high, 2 * high
    for _ in range(100):
        middle = (low + high) / 2
        if student_cdf(middle, freedom) < probability:
            low = middle
        else:
            high = middle
    return high


def student_cdf(t: float, freedom: int) -> float:
    """P(T <= t) for t >= 0 and whole degrees of freedom: finite series (Abramowitz & Stegun 1964, 26.7.3, 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term, total = (cosine if odd else 1.0), 0.0
    for k in range(odd + 2, freedom + 1, 2):  # cos + 2/3 cos^3 + ..., or 1 + 1/2 cos^2 + ...
        total += term
        term *= (k - 1) / k * cosine**2
    between = 2 / math.pi * (angle + sine * total) if odd else sine * total
    return 0.5 + between / 2
