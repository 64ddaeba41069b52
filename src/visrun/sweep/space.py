"""The space a study searches: its parameters, which of them a trial reads, and all points of a space without ends.

    >>> base = Base(hyperparameters.defaults(), task="classification", model="resnet18")
    >>> Searched(read_space(["optimizer=adam,sgd", "momentum=0.8,0.9"]), base).combinations(limit=10)
    [{'optimizer': 'adam'}, {'optimizer': 'sgd', 'momentum': 0.8}, {'optimizer': 'sgd', 'momentum': 0.9}]

A point is a dict of parameters, name -> value: ints and floats of ranges and intervals, and choices as
:func:`visrun.config.spelling.encode` writes them. What a trial reads follows from the tables in
:mod:`visrun.hyperparameters` and :mod:`visrun.config.setting_rules` alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from heapq import merge
from itertools import islice, product
from typing import TYPE_CHECKING, Any

from hydra.core.config_loader import ConfigLoader
from optuna.distributions import BaseDistribution

from visrun.config.overrides import is_hydra
from visrun.config.setting_rules import READ_WHEN, condition_of, facts_of, is_read
from visrun.config.spelling import decode, encode
from visrun.errors import ConfigError
from visrun.hyperparameters import OWNERS, Hyperparameters
from visrun.sweep.dimensions import Dimension, read_words
from visrun.sweep.taken import narrow
from visrun.tables import GENERIC_MODEL

if TYPE_CHECKING:
    from visrun.config.compose import Resolved

Point = dict[str, Any]
NO_RECIPE = "+recipe=null"  # Hydra adds no option that is none: a job without the word has no recipe
CHOOSERS = ("experiment", "recipe", "task", "data", "model", "model.name")  # they bring values of others with them
# The sections whose values decide what is read.
DECIDING = {key.partition(".")[0] for needs in READ_WHEN.values() for key in needs if "." in key}
DECIDING |= {choice.partition(".")[0] for choice, _ in OWNERS.values() if "." in choice}


@dataclass(frozen=True)
class Space:
    """What varies in a study.

    Args:
        distributions: Parameter -> its distribution; every one comes after those that decide whether it is read.
        fixed: The words that do not vary, as they stand.
        dimensions: Parameter -> its values in Hydra's order and its spelling; in the order the user typed them.
        notices: Lines that say what was left out or does not count.
    """

    distributions: dict[str, BaseDistribution] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()
    dimensions: dict[str, Dimension] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Base:
    """A run's configuration below what varies.

    Args:
        values: All hyperparameters, plain.
        task: Its task.
        model: Its model's name.
        settings: The others, nested, as far as they are known.
    """

    values: Mapping[str, Any]
    task: str
    model: str
    settings: Mapping[str, Any] = field(default_factory=dict)


Bases = Base | Callable[[Mapping[str, Any]], Base]  # one, or that of a trial with these values of CHOOSERS


@dataclass(frozen=True)
class Searched:
    """A space over what does not vary in it, which together say what a trial reads and how many trials there are.

    Args:
        space: What varies.
        bases: What the other values are.
    """

    space: Space
    bases: Bases

    def words(self, params: Mapping[str, Any]) -> list[str]:
        """The words of a trial for what varies, without what it does not read; :attr:`Space.fixed` goes before them."""
        dimensions, names = self.space.dimensions, self.active(params)
        words = [f"{dimensions[name].key}={decode(params[name])}" for name in dimensions if name in names]
        return [word for word in words if word != NO_RECIPE]

    def active(self, params: Mapping[str, Any]) -> tuple[str, ...]:
        """Of ``params``, the names that a trial with these values reads, in the order of :attr:`Space.distributions`.

        Args:
            params: Values of all parameters of the space, or of those already chosen.
        """
        facts = self._facts(params)
        return tuple(name for name in self.space.distributions if name in params and is_read(name, facts))

    def reads(self, name: str, params: Mapping[str, Any]) -> bool:
        """Whether a trial with these values reads the parameter ``name``, which may be missing in ``params``."""
        return is_read(name, self._facts(params))

    def some_read(self, name: str) -> bool:
        """Whether any trial reads a setting, be it one that varies or not."""
        deciders = [decider for decider in _deciders(name) if decider in self.space.dimensions]
        values = (self.space.dimensions[decider].values or () for decider in deciders)
        return any(self.reads(name, dict(zip(deciders, chosen, strict=True))) for chosen in product(*values))

    def count(self) -> int | None:
        """How many different trials there are, or None where a parameter that some trial reads is continuous."""
        total = 0
        for branch in self._branches():
            sizes = [None if values is None else len(values) for values in branch.values()]
            if None in sizes:
                return None
            total += math.prod(size for size in sizes if size is not None)
        return total

    def combinations(self, limit: int) -> list[Point] | None:
        """Every different trial once, at most ``limit`` + 1 of them; None where :meth:`count` is.

        They come in Hydra's order, in which the last parameter typed varies fastest, each with the parameters that it
        reads only. A space in which nothing varies has one point, ``{}``.
        """
        if self.count() is None:
            return None
        streams = [_indices(self.space, branch) for branch in self._branches()]
        merged = islice(merge(*streams, key=lambda item: item[0]), limit + 1)
        return [
            {
                name: dimension.values[index]
                for index, (name, dimension) in zip(indices, self.space.dimensions.items(), strict=True)
                if name in names and dimension.values is not None
            }
            for indices, names in merged
        ]

    def base(self, params: Mapping[str, Any]) -> Base:
        """What the other values of a trial with these are."""
        return self.bases if isinstance(self.bases, Base) else self.bases(params)

    def _facts(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """What decides what a trial reads: its base, with the trial's own values over it."""
        base = self.base(params)
        own = {name: value for name, value in params.items() if name in Hyperparameters.model_fields}
        named = params.get("model.name", params.get("model", base.model))
        model = base.model if named == GENERIC_MODEL else str(named)
        settings = {**base.settings, "task": str(params.get("task", base.task))}
        settings["model"] = {**settings.get("model", {}), "name": model}
        for name, value in params.items():
            section, _, leaf = name.partition(".")
            if section in DECIDING and name not in CHOOSERS:
                settings[section] = {**settings.get(section, {}), leaf or "name": _plain(value)}
        return facts_of({**base.values, **own}, settings)

    def _branches(self) -> Iterator[dict[str, range | None]]:
        """For every combination of what decides: parameter -> the indices of its values there, None without end.

        A parameter that is not read there is missing. The branches hold all different trials, each once.
        """
        dimensions = self.space.dimensions
        wanted = {decider for name in dimensions for decider in _deciders(name)}
        deciders = [name for name in dimensions if name in wanted]
        grids = {name: item.values for name, item in dimensions.items()}
        sizes = {name: None if values is None else range(len(values)) for name, values in grids.items()}
        if any(sizes[name] is None for name in deciders):
            yield sizes
            return
        seen = set()
        for indices in product(*(sizes[name] or () for name in deciders)):
            picked = dict(zip(deciders, indices, strict=True))
            facts = self._facts({name: (grids[name] or ())[index] for name, index in picked.items()})
            one = {name: range(index, index + 1) for name, index in picked.items()}
            branch = {name: one.get(name, sizes[name]) for name in dimensions if is_read(name, facts)}
            if not picked.keys() <= branch.keys():  # one that is not read: its other values have this branch too
                if (points := tuple(branch.items())) in seen:
                    continue
                seen.add(points)
            yield branch


def read_space(typed: Sequence[str], *, base: Base | None = None, options: ConfigLoader | None = None) -> Space:
    """The space of a command line's words.

    Args:
        typed: Words as Hydra takes them (``optimizer=adam,sgd``, ``+recipe=a,b``); of two for a key the later stands.
        base: Where given, models and losses that its task, or the tasks and models that vary, do not take are left out.
        options: Lists a group's options for ``model=glob(resnet*)``.

    Raises:
        ConfigError: A sweep without a value, or one that Hydra's grammar does not read.
    """
    fixed, dimensions = read_words(typed, options=options)
    notices = [dimension.notice for dimension in dimensions.values() if dimension.notice]
    if base is not None:
        named = "model.name" in dimensions or any(word.startswith("model.name=") for word in fixed)
        notices += narrow(dimensions, base, named=named)
    ordered = {name: dimensions[name].distribution for name in _ordered(dimensions)}
    return Space(ordered, tuple(fixed), dimensions, tuple(notices))


def own_words(space: Space) -> list[str]:
    """The words of a run without what varies, as :func:`visrun.config.compose.resolve` takes them."""
    return [word.lstrip("+") for word in space.fixed if not is_hydra(word)]


def base_of(resolved: Resolved) -> Base:
    """The base of a resolved run, such as a sweep's first job."""
    values = resolved.hyperparameters.model_dump(mode="json")
    given = resolved.settings
    return Base(values=values, task=given.task, model=given.model.name, settings=given.model_dump(mode="json"))


def composed(space: Space, first: Resolved, resolve: Callable[[list[str]], Resolved]) -> Searched:
    """A space over a run's configuration; a model, a task, a recipe or the data may vary, each of which brings values.

    Args:
        space: The study's space.
        first: The first job; its values stand where another choice cannot be composed.
        resolve: Words -> the run, such as :func:`visrun.config.compose.resolve`; called once for each combination of
            choices.
    """
    if not set(CHOOSERS) & set(space.dimensions):
        return Searched(space, base_of(first))
    varied = {name: decode(item.first) for name, item in space.dimensions.items() if name not in (*CHOOSERS, "loss")}
    job = dict(word.partition("=")[::2] for word in first.typed)  # its values go together
    kept = [*own_words(space), *(f"{name}={job.get(name, text)}" for name, text in varied.items())]

    @cache
    def of(chosen: tuple[str, ...]) -> Base:
        try:
            return base_of(resolve([*kept, *chosen]))
        except ConfigError:
            return base_of(first)

    return Searched(
        space, lambda params: of(tuple(f"{name}={decode(params[name])}" for name in CHOOSERS if name in params))
    )


def _plain(choice: Any) -> Any:
    """A parameter's value where it decides what is read: of null None, of a list of names these."""
    if isinstance(choice, str) and choice.startswith("["):
        return re.findall(r"\w+", choice)
    return None if choice == encode(None) else choice


def _deciders(name: str) -> tuple[str, ...]:
    """The parameters whose values may decide whether ``name`` is read."""
    condition = condition_of(name)
    if not condition:
        return ()
    groups = (key.removesuffix(".name") for key in condition if key.endswith(".name"))
    owners = (OWNERS[key][0] for key in condition if key in OWNERS)
    return (*condition, *groups, *owners, *CHOOSERS)


def _ordered(names: Mapping[str, Any]) -> list[str]:
    """The names, each after its deciders, otherwise as they stand."""
    left, done = list(names), list[str]()
    while left:
        ready = next(name for name in left if not set(_deciders(name)) & set(left))
        left.remove(ready)
        done.append(ready)
    return done


def _indices(
    space: Space, branch: Mapping[str, range | None]
) -> Iterator[tuple[tuple[int, ...], Mapping[str, range | None]]]:
    """A branch's points as indices, 0 for a parameter that is not read: the first of its like in Hydra's order."""
    for indices in _product([branch.get(name) or range(1) for name in space.dimensions]):
        yield indices, branch


def _product(pools: Sequence[range]) -> Iterator[tuple[int, ...]]:
    """As itertools.product, but nothing is held: a pool may have billions of values."""
    if not pools:
        yield ()
        return
    for index in pools[0]:
        for rest in _product(pools[1:]):
            yield (index, *rest)
