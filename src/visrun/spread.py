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
ROUNDING = 3e-7  # of a value: what single precision, in which metrics are computed, adds to equal ones


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


def spread(
    values: Sequence[float],
    *,
    overlap: float = 0.0,
    scale: float = 0.0,
    within: tuple[float, float] = (-math.inf, math.inf),
) -> Spread:
    """The spread of finite values, at least one.

    The interval takes the values for independent draws from a normal distribution (Student 1908, Biometrika 6).

    Args:
        values: One of each run.
        overlap: Of runs that share what they learn from, such as the folds of cross-validation: how many images each
            is measured on for one that it learns from. It stands for the correlation between them, and the variance of
            the mean is 1/n + overlap, not 1/n, times that of the values (Nadeau and Bengio, "Inference for the
            Generalization Error", Machine Learning 52, 2003, section 3).
        within: The least and the greatest value that there can be: the interval is cut there. Near an end the values
            are not normal, and what is left of it is too short rather than too long.
        scale: Of differences: the largest number that they were taken of, whose rounding they have.
    """
    from scipy.special import stdtrit

    assert values, "of nothing there is no mean"
    n, mean = len(values), float(statistics.mean(values))  # of equal values their very own, without rounding
    if n == 1:
        return Spread(1, mean)
    std = statistics.stdev(values)
    if std < ROUNDING * max(scale, *map(abs, values)):
        std = 0.0
    half = float(stdtrit(n - 1, 0.5 + CONFIDENCE / 2)) * std * math.sqrt(1 / n + overlap)
    low, high = max(mean - half, within[0]), min(mean + half, within[1])
    return Spread(n, mean, std, min(low, mean), max(high, mean))
