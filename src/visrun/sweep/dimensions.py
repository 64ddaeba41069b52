"""Swept words (``optimizer=adam,sgd``, ``learning_rate=interval(1e-4,1e-1)``) as Optuna's distributions.

Ranges and intervals become what the official Optuna sweeper makes of them; choices are written by
:func:`visrun.config.spelling.encode`, so that every one of them can be told apart and read back. An interval of a
setting that takes whole numbers only is one of whole numbers. A shuffle is the same in every process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import ceil
from random import Random
from typing import Any, overload

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, FloatRange, Override, RangeSweep
from hydra.errors import HydraException
from hydra_plugins.hydra_optuna_sweeper._impl import create_params_from_overrides
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from visrun.config.fields import show
from visrun.config.spelling import encode, takes_integers
from visrun.errors import ConfigError
from visrun.tracking.names import parameter_text


@dataclass(frozen=True)
class Dimension:
    """One parameter of a study.

    Args:
        key: What stands left of ``=`` in its words: its name, with the plus of ``+recipe``.
        distribution: Where its values come from.
        values: All of them in Hydra's order, or None where they are continuous.
        notice: A line about what its word asks for and does not get, or "".
    """

    key: str
    distribution: BaseDistribution
    values: Sequence[Any] | None
    notice: str = ""

    @property
    def first(self) -> Any:
        """Its first value, or its lower end."""
        return self.values[0] if self.values else getattr(self.distribution, "low", None)

    def narrowed(self, values: Sequence[Any]) -> Dimension:
        """The same with these choices only."""
        return replace(self, distribution=CategoricalDistribution(tuple(values)), values=tuple(values))


class Steps(Sequence[float]):
    """``start``, ``start + step``, ... as decimal numbers and without holding them: the values of a float range."""

    def __init__(self, start: Decimal, step: Decimal, size: int) -> None:
        self.start, self.step, self.size = start, step, size

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, index: int) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> list[float]: ...
    def __getitem__(self, index: int | slice) -> float | list[float]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self.size))]
        return float(self.start + range(self.size)[index] * self.step)


def readable(distribution: BaseDistribution) -> str:
    """A parameter's range in words: ``1e-05 to 0.1, log``; ``16 to 256, step 16``; ``adam, sgd``."""
    choices = getattr(distribution, "choices", None)
    if choices is not None:
        return ", ".join(parameter_text(choice) for choice in choices)
    facts: Any = distribution
    step = facts.step if facts.step is not None and not (isinstance(facts.low, int) and facts.step == 1) else None
    words = [f"{facts.low} to {facts.high}", "log" if facts.log else "", f"step {step}" if step else ""]
    return ", ".join(word for word in words if word)


def read_words(words: Sequence[str], *, options: ConfigLoader | None) -> tuple[list[str], dict[str, Dimension]]:
    """The words that do not vary, as they stand, and the others' dimensions by name; of two for a key the later stands.

    Raises:
        ConfigError: With every word that cannot be read or has no value.
    """
    fixed: dict[str, str] = {}
    dimensions: dict[str, Dimension] = {}
    problems: list[str] = []
    for word in words:
        try:
            override = _parsed(word, options)
            key = override.get_key_element()
            name = key.lstrip("+")
            fixed.pop(name, None)
            dimensions.pop(name, None)
            if override.is_sweep_override():
                dimensions[name] = Dimension(key, *_distribution(name, override), _notice(name, override))
            else:
                fixed[name] = word
        except (HydraException, ValueError, OverflowError) as error:
            lines = error.problems if isinstance(error, ConfigError) else [f"{show(word)}: {_one_line(error)}"]
            problems.extend(lines)
    if problems:
        raise ConfigError(problems)
    return list(fixed.values()), dimensions


def _parsed(word: str, options: ConfigLoader | None) -> Override:
    override: Override = OverridesParser.create(config_loader=options).parse_overrides([word])[0]
    return override


def _one_line(error: Exception) -> str:
    text = next(iter(str(error.__cause__ or error).splitlines()), "").rstrip(".")
    plain = not text or text.startswith("Error when parsing")  # which repeats the word
    return "not readable as a sweep" if plain else f"not readable as a sweep: {text}"


def _distribution(name: str, override: Override) -> tuple[BaseDistribution, Sequence[Any] | None]:
    """A sweep's distribution and its values in Hydra's order (None: continuous)."""
    sweep = override.value()
    if override.is_interval_sweep():
        return _interval(name, override)
    if isinstance(sweep, RangeSweep) and not sweep.shuffle:
        found = _official(override)
        if not isinstance(found, CategoricalDistribution):
            values = _range_values(sweep)
            len(values)  # overflows where no machine could count them
            return found, values
    values = _choices(override)
    if not values:
        raise ConfigError(f"{name}: sweeps over no value")
    return CategoricalDistribution(values), values


def _notice(name: str, override: Override) -> str:
    """A range has steps of one size, whatever its tags are."""
    sweep = override.value()
    if not isinstance(sweep, RangeSweep) or "log" not in sweep.tags:
        return ""
    low, high = sorted([sweep.start, sweep.stop])
    return f"{name}: log counts for an interval and not for a range; write tag(log,interval({low},{high}))"


def _official(override: Override) -> BaseDistribution:
    """What the official sweeper makes of a range or an interval."""
    found, _, _ = create_params_from_overrides([override.input_line])
    distribution: BaseDistribution = next(iter(found.values()))
    return distribution


def _choices(override: Override) -> tuple[Any, ...]:
    """The different values of choices, a glob or a range, encoded; shuffled ones the same way in every process."""
    sweep = override.value()
    shuffled = isinstance(sweep, (ChoiceSweep, RangeSweep)) and sweep.shuffle
    if isinstance(sweep, (ChoiceSweep, RangeSweep)):
        sweep.shuffle = False
    values: list[Any] = []
    for value in map(Override._convert_value, override.sweep_iterator()):
        choice = encode(value)
        if choice not in values:  # Optuna tells choices apart as Python does: 1, 1.0 and true are one
            values.append(choice)
    if shuffled:
        Random(override.input_line).shuffle(values)
    return tuple(values)


def _range_values(sweep: RangeSweep) -> Sequence[Any]:
    values = sweep.range()
    if not isinstance(values, FloatRange):
        return values
    start, stop, step = (Decimal(str(end)) for end in (values.start, values.stop, values.step))
    return Steps(start, step, ceil((stop - start) / step))


def _interval(name: str, override: Override) -> tuple[BaseDistribution, Sequence[Any] | None]:
    found = _official(override)
    assert isinstance(found, (IntDistribution, FloatDistribution))
    low, high = found.low, found.high
    if isinstance(found, FloatDistribution) and takes_integers(name):
        if low != int(low) or high != int(high):
            raise ConfigError(f"{name}=interval({low:g},{high:g}): its ends must be integers")
        found = IntDistribution(int(low), int(high), log=found.log)
    if isinstance(found, IntDistribution):
        return found, range(found.low, found.high + 1)
    return found, (low,) if low == high else None
