"""Soft warnings of the form: values that a command takes, and that a person has probably not meant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from visrun.hyperparameters import Hyperparameters
from visrun.text import plural
from visrun.web.catalog import POWERS

FAR = 20.0  # times a default above or below which a learning rate is unusual


def advice(values: Hyperparameters, defaults: Mapping[str, Any]) -> dict[str, str]:
    """Key -> one line.

    Args:
        values: The run's.
        defaults: What its fields would hold untouched, the learning rate that of its optimizer.
    """
    found = {
        key: f"{key}={size}: powers of 2 are recommended, such as {_powers_around(size)}"
        for key in POWERS
        if (size := getattr(values, key)) & (size - 1)
    }
    if values.warmup_epochs * 2 >= values.max_epochs and values.warmup_epochs:
        found["warmup_epochs"] = f"warmup_epochs={values.warmup_epochs}: half of the run's {values.max_epochs} or more"
    if values.early_stopping_patience >= values.max_epochs:
        patience = f"early_stopping_patience={values.early_stopping_patience}"
        found["early_stopping_patience"] = (
            f"{patience}: a run of {plural(values.max_epochs, 'epoch')} never stops early"
        )
    rate, usual = values.learning_rate, float(defaults["learning_rate"])
    if not usual / FAR <= rate <= usual * FAR:
        side = "above" if rate > usual else "below"
        found["learning_rate"] = f"learning_rate={rate:g}: far {side} what suits {values.optimizer}, about {usual:g}"
    return found


def _powers_around(size: int) -> str:
    below = 1 << (size.bit_length() - 1)
    return f"{below} or {2 * below}" if below < 128 else str(below)
