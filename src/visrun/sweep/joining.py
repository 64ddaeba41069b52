"""How a process joins a study and works for it: finds it, runs its trials, words and values on the way."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.trial import FrozenTrial

from visrun.errors import ConfigError, VisrunError
from visrun.fields import show
from visrun.overrides import to_override
from visrun.sweep import space as spaces
from visrun.sweep.plan import EVERY, Plan
from visrun.sweep.points import MOST_COMBINATIONS
from visrun.sweep.pruners import make_pruner
from visrun.sweep.slots import own_slot
from visrun.sweep.spelling import word
from visrun.sweep.storage import open_storage, quiet
from visrun.sweep.study import ATTRIBUTE, Params, Queue, create, point_of
from visrun.sweep.trial import VARIABLE, Handle
from visrun.sweep.worker import AHEAD, Rules, work

PATIENCE = 120  # seconds that a worker waits for the one who makes the study
PAUSE = 0.1

Launch = Callable[[int, list[str]], Any]  # a trial's number and its words -> what its job returned


def join(plan: Plan, launch: Launch, *, slot: int | None = None, stopped: Callable[[], bool] = lambda: False) -> None:
    """Work for the plan's study until it has all it wants.

    Args:
        launch: Runs a job; raises what the job raised.
        slot: Which worker of its machine this is.
        stopped: Asked before each trial.

    Raises:
        ConfigError: The study searches another space, or for something else.
        VisrunError: Nobody made the study.
    """
    prepare(plan, parent=None)
    shared = wait_for_study(plan)
    queue = Queue(open_storage(plan.storage), plan.name, pruner=make_pruner(plan.pruner))
    with quiet():
        queue.study.sampler = plan.make_sampler(queue.every())
    deadline = None if plan.timeout is None else shared["began"] + plan.timeout

    def run(number: int, params: Params) -> Sequence[float]:
        parent = queue.study.user_attrs[ATTRIBUTE]["parent"]  # a study's leader may come after its workers
        more = {} if plan.extend is None else extended(queue, number, plan.extend)
        words = words_of(plan, number, params, parent=parent)
        returned = launch(number, [*words, *(word(name, value) for name, value in more.items())])
        return values_of(plan, returned)

    work(
        queue,
        plan.space,
        active=lambda params: spaces.active(plan.space, params, plan.bases),
        others=lambda: spaces.combinations(plan.space, plan.bases, limit=MOST_COMBINATIONS),
        launch=run,
        rules=Rules(n_trials=shared["n_trials"], max_failure_rate=plan.max_failure_rate, deadline=deadline),
        slot=slot,
        led=is_led(plan),
        stopped=stopped,
    )


def extended(queue: Queue, number: int, suggest: Callable[[optuna.Trial], None]) -> Params:
    """What a function of the user's own draws for a trial beside its sampled parameters."""
    trial_id = queue.storage.get_trial_id_from_study_id_trial_number(queue.study_id, number)
    sampled = set(queue.storage.get_trial(trial_id).params)  # the storage may hand out what it goes on changing
    with quiet():
        suggest(optuna.Trial(queue.study, trial_id))
    drawn = queue.storage.get_trial(trial_id).params
    return {name: value for name, value in drawn.items() if name not in sampled}


def prepare(plan: Plan, *, parent: Callable[[], str | None] | None) -> bool:
    """Make the study and its tickets where nobody has, or check that the plan goes on with it; whether it is new.

    Args:
        parent: Waits for MLflow's run of the sweep and gives its id; None where this process leads no sweep, and then
            only the first of all workers makes tickets.

    Raises:
        ConfigError: There is such a study, and it cannot be gone on with.
    """
    plan.folder.mkdir(parents=True, exist_ok=True)  # where a worker comes before its leader
    storage = open_storage(plan.storage)
    with quiet():
        new = create(storage, plan.name, plan.directions)
    queue = Queue(storage, plan.name)
    if not new:
        check(plan, queue)
    if new or parent is not None:
        run_id = parent() if parent else None
        queue.replace_lost()
        queue.fill(plan.n_trials, plan.points, ahead=AHEAD if parent else None)  # a leader makes more as they run out
        before = queue.study.user_attrs.get(ATTRIBUTE, {})
        if not before or parent is not None:  # a leader may have come meanwhile, whose word counts
            queue.study.set_user_attr(ATTRIBUTE, before | facts(plan, run_id))
    return new


def check(plan: Plan, queue: Queue) -> None:
    """Whether a study that exists is the plan's.

    Raises:
        ConfigError: It searches for something else or elsewhere.
    """
    key = f"hydra.sweeper.study_name={plan.name}"
    had = [direction.name.lower() for direction in queue.study.directions]
    if had != list(plan.directions):
        raise ConfigError(f"{key}: this study has the directions {', '.join(had)}; choose another study_name")
    facts_before = queue.study.user_attrs.get(ATTRIBUTE, {})
    for name, now in (("task", plan.first.settings.task), ("objectives", list(plan.objectives))):
        before = facts_before.get(name, now)
        if before != now:
            raise ConfigError(f"{key}: this study has {name}={show(before)}; choose another study_name")
    wrong = incompatible(queue.every(), plan.space.distributions)
    if wrong:
        raise ConfigError(f"{key}: this study has other choices for {', '.join(wrong)}; choose another study_name")
    if plan.sampler == EVERY and (other := outside(queue.trials(), plan)) is not None:
        raise ConfigError(
            f"{key}: trial {other} of this study is none of these combinations; choose another study_name"
        )


def outside(trials: Sequence[FrozenTrial], plan: Plan) -> int | None:
    """The first trial whose parameters are no point of the plan."""
    for trial in trials:
        point = {name: value for name, value in point_of(trial).items() if name in plan.space.distributions}
        if point and point not in plan.points:
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


def facts(plan: Plan, run_id: str | None) -> dict[str, Any]:
    """What everybody who works for or looks at the study has to know of it."""
    return {
        "task": plan.first.settings.task,
        "monitor": plan.objectives[0],
        "objectives": list(plan.objectives),
        "n_trials": plan.n_trials,
        "folder": str(plan.folder),
        "parent": run_id,
        "began": time.time(),
        "leader": os.getpid(),
    }


def is_led(plan: Plan) -> bool:
    """Whether this process is a sweep's leader or was started by it, and ends with it."""
    return not plan.worker or own_slot() is not None


def wait_for_study(plan: Plan) -> dict[str, Any]:
    """What the study's maker has noted, waited for.

    For one who is led, what was noted before this leader's time does not count: the study may have been ended then, and
    be gone on with now.

    Raises:
        VisrunError: The one who began to make it seems to have died.
    """
    queue = Queue(open_storage(plan.storage), plan.name)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        shared = queue.study.user_attrs.get(ATTRIBUTE)
        if shared and (not is_led(plan) or shared["leader"] in (os.getpid(), os.getppid())):
            return dict(shared)
        time.sleep(PAUSE)
    raise VisrunError(f"study {plan.name}: nobody made its tickets; start it without hydra.sweeper.worker=true")


def words_of(plan: Plan, number: int, params: Params, *, parent: str | None) -> list[str]:
    """The words of a trial's job: what is fixed, what varies, and how the job finds its trial."""
    handle = Handle(storage=plan.storage, study=plan.name, number=number, pruner=dict(plan.pruner), parent=parent)
    return [
        *plan.space.fixed,
        *spaces.words(plan.space, params, plan.bases),
        "+" + to_override(f"hydra.job.env_set.{VARIABLE}", handle.text()),
    ]


def values_of(plan: Plan, returned: Any) -> list[float]:
    """A job's return value as one number for each objective.

    Raises:
        VisrunError: It is none.
    """
    values = returned if isinstance(returned, (list, tuple)) else [returned]
    if len(values) != len(plan.objectives) or any(not isinstance(value, (int, float)) for value in values):
        names = ", ".join(plan.objectives)
        raise VisrunError(f"no value of {names}: the run gave {returned!r}")
    return [float(value) for value in values]
