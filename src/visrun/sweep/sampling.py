"""The point of a trial: what the sampler proposes, and where others have that, a point that nobody has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial

from visrun.sweep.storage import quiet

if TYPE_CHECKING:
    from visrun.sweep.study import Params

TRIES = 20  # proposals of the sampler that may be points of earlier trials, before one of the others is drawn
DRAWS = 100  # of a random point where the points cannot be counted, before one is tried again
STRIDE = 7919  # a prime, which takes trials that follow each other to points that are apart


def propose(study: Study, trial: FrozenTrial, distributions: Mapping[str, BaseDistribution], fixed: Params) -> Params:
    """What the study's sampler takes for all parameters, those that are ``fixed`` as they are."""
    sampler = study.sampler
    with quiet():
        sampler.before_trial(study, trial)
        together = sampler.infer_relative_search_space(study, trial)
        drawn = sampler.sample_relative(study, trial, together) if not fixed.keys() >= distributions.keys() else {}
        same = [name for name in drawn if together.get(name) == distributions.get(name)]  # or out of a former range
        known = {name: drawn[name] for name in same} | fixed
        return {
            name: known[name] if name in known else sampler.sample_independent(study, trial, name, distribution)
            for name, distribution in distributions.items()
        }


def another(
    study: Study,
    trial: FrozenTrial,
    distributions: Mapping[str, BaseDistribution],
    *,
    active: Callable[[Params], Sequence[str]],
    others: Callable[[], Sequence[Params] | None],
    fixed: Params,
    taken: Sequence[Params],
) -> Params | None:
    """A point that is not ``taken``: the sampler's next new one, else a random one; None where there is none.

    Of the points that can be counted, one that disagrees with ``fixed`` comes where no other is left.
    """

    def new(proposals: int, draw: Callable[[], Params]) -> Params | None:
        for _ in range(proposals):
            proposed = draw()
            params = {name: proposed[name] for name in active(proposed)}
            if params not in taken:
                return params
        return None

    found = new(TRIES, lambda: propose(study, trial, distributions, fixed))
    if found is not None:
        return found
    counted = others()
    if counted is not None:
        left = [point for point in counted if point not in taken]
        agreeing = [point for point in left if all(point.get(name, fixed[name]) == fixed[name] for name in fixed)]
        chosen = agreeing or left
        return chosen[trial.number * STRIDE % len(chosen)] if chosen else None
    random = RandomSampler(seed=trial.number)
    return new(
        DRAWS,
        lambda: {
            name: fixed[name] if name in fixed else random.sample_independent(study, trial, name, distribution)
            for name, distribution in distributions.items()
        },
    )
