"""The learning rate over a run as numbers, without torch: for previews, plots and ``explain``.

Closed forms of what :mod:`visrun.schedulers` does to an optimizer; a test holds the two together.

    >>> lr_curve({"scheduler": "step", "learning_rate": 1.0, "max_epochs": 4, "step_size": 2, "gamma": 0.1})
    [1.0, 1.0, 0.1, 0.1]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from visrun.build import Config, call, values_of
from visrun.errors import ConfigError
from visrun.numbers import is_finite

# The schema's ranges, for plain mappings: of what kind a number is, and which ones will do. A test holds them together.
NUMBERS: dict[str, tuple[type, Callable[[Any], bool], str]] = {
    "learning_rate": (Real, lambda value: value > 0, "a number > 0"),
    "weight_decay": (Real, lambda value: value >= 0, "a number >= 0"),
    "momentum": (Real, lambda value: 0 <= value < 1, "a number >= 0 and < 1"),
    "max_epochs": (Integral, lambda value: value >= 1, "an integer >= 1"),
    "warmup_epochs": (Integral, lambda value: value >= 0, "an integer >= 0"),
    "step_size": (Integral, lambda value: value >= 1, "an integer >= 1"),
    "gamma": (Real, lambda value: 0 < value <= 1, "a number > 0 and <= 1"),
    "poly_power": (Real, lambda value: value > 0, "a number > 0"),
}
NESTEROV_ALONE = "optimizer_options.nesterov=true: needs a momentum above 0, such as momentum=0.9"
WARMUP_START = 1e-3  # share of the schedule's value at which LinearWarmup begins: near 0, and never 0 for a whole epoch


def lr_curve(config: Config) -> list[float]:
    """The learning rate at the start of every epoch: ``max_epochs`` values from 0 to ``learning_rate``.

    Args:
        config: Hyperparameters, or any mapping with ``scheduler``, ``learning_rate`` and ``max_epochs``;
            ``warmup_epochs`` (0), ``step_size`` (10), ``gamma`` (0.1), ``milestones`` ([]) and ``poly_power`` (0.9) are
            read where present.

    Raises:
        ConfigError: The scheduler is unknown, a value is missing or out of its range, or milestones are no list of
            integers; or ``config`` is none of these.
    """
    values = values_of(config, "scheduler", "learning_rate", "max_epochs")
    check_numbers(values)
    return [lr_at(epoch, values) for epoch in range(values["max_epochs"])]


def lr_at(epoch: float, config: Config) -> float:
    """The learning rate after ``epoch`` epochs (0 to ``max_epochs``, fractions too), read as by :func:`lr_curve`."""
    values = values_of(config, "scheduler", "learning_rate")
    check_name(values["scheduler"])
    factor: float = call(FACTORS[values["scheduler"]], values, epoch)
    return float(values["learning_rate"]) * factor * warmup_factor(epoch, values.get("warmup_epochs", 0))


def check_name(scheduler: str) -> None:
    """Raise a ConfigError that names the known schedulers unless ``scheduler`` is one."""
    if not isinstance(scheduler, str) or scheduler not in FACTORS:
        raise ConfigError(f"scheduler={scheduler}: unknown; use one of {', '.join(FACTORS)}")


def check_numbers(values: Mapping[str, Any]) -> None:
    """Raise a ConfigError for numbers of a plain mapping that are none, such as texts, or out of their range."""
    found: dict[str, tuple[Any, ...]] = {name: (values[name], *NUMBERS[name]) for name in NUMBERS if name in values}
    problems = [
        f"{name}={value!r}: must be {allowed}"
        for name, (value, kind, will_do, allowed) in found.items()
        if not isinstance(value, kind) or isinstance(value, bool) or not (is_finite(value) and will_do(value))
    ]
    if problems:
        raise ConfigError(problems)


def whole_epochs(milestones: Collection[int]) -> Collection[int]:
    """The milestones, unless they are no list of epochs: a text such as ``"2,3"`` would never come true.

    Raises:
        ConfigError: They are none.
    """
    if isinstance(milestones, Collection) and all(isinstance(epoch, Integral) and epoch >= 1 for epoch in milestones):
        return milestones
    raise ConfigError(f"milestones={milestones!r}: must be a list of integers >= 1, such as [30, 40]")


def warmup_factor(epoch: float, warmup_epochs: int) -> float:
    """What LinearWarmup multiplies the schedule's value by: WARMUP_START at epoch 0, 1 from ``warmup_epochs`` on."""
    if epoch >= warmup_epochs:
        return 1.0
    return WARMUP_START + (1.0 - WARMUP_START) * epoch / warmup_epochs


def cosine(epoch: float, *, max_epochs: int) -> float:
    """Half a cosine from 1 to 0 (Loshchilov & Hutter 2017, arXiv 1608.03983, without restarts)."""
    return (1.0 + math.cos(math.pi * epoch / max_epochs)) / 2.0


def step(epoch: float, *, step_size: int = 10, gamma: float = 0.1) -> float:
    """``gamma`` once more after every ``step_size`` epochs."""
    return gamma ** (epoch // step_size)


def multistep(epoch: float, *, milestones: Sequence[int] = (), gamma: float = 0.1) -> float:
    """``gamma`` once more from every milestone on."""
    return gamma ** sum(epoch >= milestone for milestone in whole_epochs(milestones))


def poly(epoch: float, *, max_epochs: int, poly_power: float = 0.9) -> float:
    """A power of the share of the run that is left (the "poly" policy of arXiv 1606.00915)."""
    return (1.0 - min(epoch / max_epochs, 1.0)) ** poly_power


def none(epoch: float) -> float:  # noqa: ARG001
    """1 all along."""
    return 1.0


# Those of visrun.tables.SCHEDULERS, which a test compares by value.
FACTORS: dict[str, Callable[..., float]] = {
    "cosine": cosine,
    "step": step,
    "multistep": multistep,
    "poly": poly,
    "none": none,
}
