"""Trials whose metrics are equal, told apart by their losses, as the epochs of one run are.

Early in a run a metric may say nothing yet (no object is found, the mAP of every trial is 0), and on few images it has
few values. So the value that a trial reports after an epoch carries the validation loss in digits that the metric does
not use, and so does the one that it ends with: pruners, samplers and the choice of the best trial rank by both. What
people see is the metric alone.
"""

from __future__ import annotations

import math

from visrun.numbers import single

FINER = 1e-9  # of the value; a metric in single precision has steps of 6e-8
LEAST = 1e-12  # of values around 0


def graded(value: float, loss: float, *, maximize: bool) -> float:
    """``value``, worse by up to a billionth of it: the more, the higher ``loss`` is.

    Args:
        value: The monitored metric; one that is not finite stays as it is.
        loss: The validation loss. NaN, infinity and no loss at all are the worst.
        maximize: Whether a higher value is better.
    """
    if not math.isfinite(value):
        return value
    share = 1.0 if math.isnan(loss) else 0.5 + math.atan(loss) / math.pi  # 0 to 1, also for losses below 0
    worse = share * max(FINER * abs(value), LEAST)
    return value - worse if maximize else value + worse


def plain(value: float) -> float:
    """A graded value without the digits of the loss, to the 7 that single precision holds; 0 where nothing is left.

    Whole numbers, as a count of parameters, carry none and stay.
    """
    return 0.0 if abs(value) <= LEAST else value if value.is_integer() else single(value)
