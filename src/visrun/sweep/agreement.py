"""Whether a sweep may go on with a study that exists, or make one in a folder: what must be as it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from visrun.config.fields import show
from visrun.config.overrides import PATHS
from visrun.config.sweeper import SWEEPER
from visrun.errors import ConfigError
from visrun.machine import own_slot
from visrun.record.journal import differences, identity
from visrun.record.sweep_files import ATTRIBUTE
from visrun.run_files import FILE_NAME
from visrun.sweep.plan import EVERY, Plan
from visrun.sweep.storage import quiet
from visrun.sweep.study import Queue, create
from visrun.sweep.trials import params_of


def make(plan: Plan, storage: BaseStorage) -> bool:
    """Make the plan's study; False where there is one of this name already.

    Raises:
        ConfigError: The folder holds a trial of another study, and one of this study would be written over it.
    """
    places = (path.parent.name for path in plan.folder.glob(f"[0-9]*/{FILE_NAME}"))
    held = sorted(int(name) for name in places if name.isdecimal())
    begun = _begun(storage, plan.name) if held else set()  # looked at later: what has a folder has begun before
    foreign = next((number for number in held if number not in begun), None)
    if foreign is not None:
        raise ConfigError(
            f"hydra.sweep.dir={plan.folder}: trial {foreign} of another study is here, which "
            f"{SWEEPER}.study_name={plan.name} would write over; choose another hydra.sweep.dir, or the study_name and "
            "storage that it had"
        )
    with quiet():
        return create(storage, plan.name, plan.directions)


def _begun(storage: BaseStorage, name: str) -> set[int]:
    """The numbers of a study's trials that need no folder any more; none where there is no such study."""
    try:
        trials = Queue(storage, name).every()
    except KeyError:
        return set()
    return {trial.number for trial in trials if trial.state is not TrialState.WAITING}


def noted(queue: Queue) -> dict[str, Any]:
    """The :func:`visrun.sweep.joining.facts` of a study; {} before anybody has written them down."""
    return dict(queue.study.user_attrs.get(ATTRIBUTE, {}))


def is_led(plan: Plan) -> bool:
    """Whether this process is a sweep's leader or was started by it, and ends with it."""
    return not plan.worker or own_slot() is not None


def check(plan: Plan, queue: Queue) -> None:
    """Whether a study that exists is the plan's.

    Raises:
        ConfigError: It searches for something else or elsewhere.
    """
    key = f"{SWEEPER}.study_name={plan.name}"
    had = [direction.name.lower() for direction in queue.study.directions]
    if had != list(plan.directions):
        raise ConfigError(f"{key}: this study has the directions {', '.join(had)}; choose another study_name")
    facts_before = noted(queue)
    for name, now in (("task", plan.first.settings.task), ("objectives", list(plan.objectives))):
        before = facts_before.get(name, now)
        if before != now:
            raise ConfigError(f"{key}: this study has {name}={show(before)}; choose another study_name")
    if not plan.searches and (changed := changes(plan, queue)):
        raise ConfigError(f"{key}: this study has other settings ({'; '.join(changed)}); choose another study_name")
    wrong = incompatible(queue.every(), plan.space.distributions)
    if wrong:
        raise ConfigError(f"{key}: this study has other choices for {', '.join(wrong)}; choose another study_name")
    if plan.sampler == EVERY and (other := outside(queue.trials(), plan)) is not None:
        raise ConfigError(f"{key}: {_foreign(plan, queue, other)}")


def _foreign(plan: Plan, queue: Queue, number: int) -> str:
    """What is wrong with a trial that is no point of the plan; of a repeat in terms of its seeds."""
    repeated = plan.command[:1] == ("repeat",) and "seed" in plan.space.distributions
    seed = params_of(queue.every()[number]).get("seed")
    if repeated and seed is not None:
        return f"this study has seed {seed}, which is missing from seeds=; add it, or choose another study_name"
    return f"trial {number} of this study is none of these combinations; choose another study_name"


def fixed(plan: Plan) -> dict[str, str]:
    """What does not vary and changes the trials' numbers, as ``key -> text``."""
    varied = set(plan.space.distributions)
    if "max_epochs" in varied and plan.first.sources["warmup_epochs"] == "schema":
        varied.add("warmup_epochs")  # is lowered to fit
    return {key: text for key, text in identity(plan.first).items() if key not in varied}


def changes(plan: Plan, queue: Queue) -> list[str]:
    """``key: before -> now`` for what was fixed in the study and is so now, otherwise; other hosts have other paths."""
    before, now = noted(queue).get("fixed", {}), fixed(plan)
    both = (before.keys() & now.keys()) - set(() if is_led(plan) else PATHS)
    return differences(*({key: text for key, text in side.items() if key in both} for side in (before, now)))


def outside(trials: Sequence[FrozenTrial], plan: Plan) -> int | None:
    """The first trial whose parameters are no point of the plan; an empty ticket gets one of those left."""
    for trial in trials:
        found, mine = params_of(trial), plan.space.distributions
        point = {name: value for name, value in found.items() if name in mine or plan.extend is None}
        open_yet = not point and trial.state in (TrialState.WAITING, TrialState.RUNNING)
        if point not in plan.points and not open_yet:
            return trial.number
    return None


def incompatible(trials: Sequence[FrozenTrial], distributions: Mapping[str, BaseDistribution]) -> list[str]:
    """The parameters whose range or choices cannot go on from those of the study's trials."""
    found = []
    for name, distribution in distributions.items():
        earlier = next((trial.distributions[name] for trial in trials if name in trial.distributions), None)
        try:
            if earlier is not None:
                check_distribution_compatibility(earlier, distribution)
        except ValueError:
            found.append(name)
    return found
