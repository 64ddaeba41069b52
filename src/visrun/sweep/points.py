"""The points that a sweep knows before it begins: all of a grid, and those that the user names to start with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from visrun.config.fields import flatten, show
from visrun.config.spelling import encode
from visrun.config.sweeper import SWEEPER, USUAL_TRIALS
from visrun.errors import ConfigError
from visrun.near import did_you_mean
from visrun.numbers import is_number
from visrun.sweep.dimensions import readable
from visrun.sweep.space import Searched, Space
from visrun.sweep.study import Params

if TYPE_CHECKING:
    from visrun.config.compose import Resolved

MOST_UNASKED = 10_000  # combinations that are run without an n_trials
MOST_COMBINATIONS = 100_000  # of a space that is searched; those of a grid are all named beforehand


class Trials(NamedTuple):
    """How many trials, the points known beforehand, whether these are all that there are, what to say about it."""

    number: int
    points: list[Params]
    all_of_them: bool
    notices: list[str]


def trials_of(
    searched: Searched,
    *,
    wanted: int | None,
    start: list[Params] | None,
    own: Callable[[], list[Params]],
    grid: bool,
    extended: bool = False,
) -> Trials:
    """Settle how many trials there are and which.

    Args:
        wanted: ``n_trials``, or None.
        start: Points to try first; they may fix some parameters only. None is those of ``own`` where the space is
            searched: the search then knows what it has to beat, and never ends below it.
        own: Finds the point of :func:`own_point`, where there is one.
        grid: Whether every point has to be one of the grid's. Whole points to try first, as many as are wanted, are
            then all that there are, however many combinations there are beside them.
        extended: Whether trials draw more than the space holds: its combinations are then no count of what there is.

    Raises:
        ConfigError: A grid over a continuous parameter.
    """
    size = None if extended and not grid else searched.count()
    if grid and size is None:
        raise ConfigError(f"{SWEEPER}.sampler=grid: a parameter has no steps; write choices or range(low,high,step)")
    whole = _whole(start or [], searched) if grid else []
    if whole and len(whole) == wanted:
        return Trials(wanted, whole, True, [])
    notices = []
    if wanted is None and size is not None and size > MOST_UNASKED:
        wanted = USUAL_TRIALS
        notices.append(
            f"{SWEEPER}.n_trials={wanted}: there are {size} combinations, too many to run all of them unasked"
        )
    if size is None or (not grid and wanted is not None and size > wanted):
        if size is not None and not notices:
            notices.append(f"{SWEEPER}.n_trials={wanted}: of the {size} combinations {wanted} are tried, by a search")
        return Trials(wanted or USUAL_TRIALS, own() if start is None else start, False, notices)
    number = size if wanted is None else min(size, wanted)
    points = searched.combinations(limit=MOST_COMBINATIONS if start else number) or []
    if number < size:
        notices.append(f"{SWEEPER}.n_trials={wanted}: the first {number} of the grid's {size} combinations are run")
    elif wanted is not None and wanted > size:
        there = "is only one combination, it" if size == 1 else f"are only {size} combinations, each"
        notices.append(f"{SWEEPER}.n_trials={wanted}: there {there} is run once")
    return Trials(number, _begin(points, start or [], searched)[:number], number == size, notices)


def _whole(start: list[Params], searched: Searched) -> list[Params]:
    """The points with all that their trials read, each once; [] where one lacks some of that."""
    found: list[Params] = []
    for point in start:
        if any(name not in point and searched.reads(name, point) for name in searched.space.distributions):
            return []
        read = {name: point[name] for name in searched.active(point)}
        found += [read] if read not in found else []
    return found


def _begin(points: list[Params], start: list[Params], searched: Searched) -> list[Params]:
    """A grid's points, at first those that agree with the points to start with."""
    ahead: list[Params] = []
    for point in start:
        read = {name: point[name] for name in searched.active(point)}
        # first what has all of the point: what it leaves open may decide that a trial reads it
        agreeing = (one for all_of in (point, read) for one in points if all_of.items() <= one.items())
        found = next((one for one in agreeing if one not in ahead), None)
        if found is None and len(points) > MOST_COMBINATIONS:  # not all of the grid's
            found = read
        ahead += [found] if found and found not in ahead else []
    return [*ahead, *(point for point in points if point not in ahead)] if ahead else points


def start_points(given: Any, space: Space, problems: list[str]) -> list[Params] | None:
    """The points to start with, as trials hold them, None for None; what is wrong is added to ``problems``."""
    if given is None:
        return None
    points: list[Params] = []
    for number, point in enumerate(given if isinstance(given, (list, tuple)) else [given]):
        key = f"{SWEEPER}.start_points[{number}]"
        if not isinstance(point, Mapping):
            problems.append(f"{key}={show(point)}: must be a mapping such as {{optimizer: sgd, learning_rate: 0.01}}")
            continue
        found: Params = {}
        for name, value in point.items():
            if name not in space.distributions:
                hint = did_you_mean(str(name), space.distributions)
                problems.append(f"{key}: {show(name)} does not vary in this sweep{hint}")
            elif (fitting := _in_range(value, space.distributions[name])) is None:
                problems.append(f"{key}: {name}={show(value)} {_wanted(value, space.distributions[name])}")
            else:
                found[name] = fitting
        points.append(found)
    return points


def _wanted(value: Any, distribution: BaseDistribution) -> str:
    """What is wrong with a value that a distribution does not hold."""
    if isinstance(distribution, CategoricalDistribution):
        return f"is none of its choices {readable(distribution)}"
    return f"is outside of its range, {readable(distribution)}" if is_number(value) else "must be a number"


def own_point(run: Resolved, searched: Searched) -> Params:
    """What the run would take without the sweep, for the parameters whose range holds it and that it reads."""
    values = {
        **flatten(run.settings.model_dump(mode="json")),
        **run.hyperparameters.model_dump(mode="json"),
        **run.choices,
    }
    found = {
        name: fitting
        for name, distribution in searched.space.distributions.items()
        if name in values and (fitting := _in_range(values[name], distribution)) is not None
    }
    return {name: found[name] for name in searched.active(found)}


def _in_range(value: Any, distribution: Any) -> Any:
    """``value`` as a trial would hold it, or None where the distribution does not."""
    if isinstance(distribution, CategoricalDistribution):
        choice = None if isinstance(value, Mapping) else encode(value)
        return choice if choice in distribution.choices else None
    if not is_number(value) or not isfinite(value):
        return None
    if isinstance(distribution, IntDistribution):
        inside = value == int(value) and distribution._contains(int(value))
        return int(value) if inside else None
    assert isinstance(distribution, FloatDistribution)
    return float(value) if distribution._contains(float(value)) else None
