"""How a process joins a study and works for it: finds it, runs its trials, words and values on the way."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import optuna
from optuna.trial import TrialState

from visrun import preflight
from visrun.config.loss_scales import on_one_scale
from visrun.config.overrides import SWEEP_DIR
from visrun.config.spelling import to_override
from visrun.config.sweeper import SWEEPER
from visrun.console import Screen
from visrun.errors import VisrunError
from visrun.machine import own_slot
from visrun.record.run_folder import living, this_process
from visrun.record.sweep_files import ATTRIBUTE
from visrun.signals import heed
from visrun.sweep.agreement import changes, check, fixed, is_led, make, noted
from visrun.sweep.plan import Plan
from visrun.sweep.points import MOST_COMBINATIONS
from visrun.sweep.pruners import make_pruner
from visrun.sweep.storage import open_storage, quiet
from visrun.sweep.study import Params, Queue
from visrun.sweep.trial import VARIABLE, Handle
from visrun.sweep.worker import AHEAD, Rules, work

PATIENCE = 120  # seconds that a worker waits for the one who makes the study
PAUSE = 0.1

Launch = Callable[[int, list[str]], Any]  # a trial's number and its words -> what its job returned


def join(
    plan: Plan, launch: Launch, *, slot: int | None = None, stopped: Callable[[], bool] = lambda: False
) -> list[bool]:
    """Work for the plan's study until it has all it wants.

    Args:
        launch: Runs a job; raises what the job raised.
        slot: Which worker of its machine this is.
        stopped: Asked before each trial.

    Returns:
        Of each trial that it ran, whether it failed.

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
    if not is_led(plan):
        _tell_unread(plan, wanted=shared["n_trials"])

    def run(number: int, params: Params) -> Sequence[float]:
        parent = queue.study.user_attrs[ATTRIBUTE]["parent"]  # a study's leader may come after its workers
        more = {} if plan.extend is None else extended(queue, number, plan.extend)
        words = words_of(plan, number, params, parent=parent)
        if not is_led(plan):  # whose table shows it
            Screen().say(" ".join([f"trial {number}:", *plan.searched.words(params)]))
        returned = launch(number, [*words, *(to_override(name, value) for name, value in more.items())])
        return values_of(plan, returned)

    return work(
        queue,
        plan.space.distributions,
        active=plan.searched.active,
        others=partial(plan.searched.combinations, MOST_COMBINATIONS),
        launch=run,
        rules=Rules(n_trials=shared["n_trials"], max_failure_rate=plan.max_failure_rate, deadline=deadline),
        slot=slot,
        led=is_led(plan),
        stopped=stopped,
    )


def _tell_unread(plan: Plan, *, wanted: int) -> None:
    """Say what a worker was told that its study's leader alone is asked for."""
    without = f"the same command without {SWEEPER}.worker=true"
    if plan.n_trials > wanted:
        Screen().warn(f"{SWEEPER}.n_trials={plan.n_trials}: who leads the study wants {wanted}; {without} raises it")
    if plan.retry_failed:  # by workers that are started over and over, what always fails would be run for ever
        Screen().warn(f"{SWEEPER}.retry_failed=true: a worker runs no failed trials again; {without} does")


def extended(queue: Queue, number: int, suggest: Callable[[optuna.Trial], None]) -> Params:
    """What a function of the user's own draws for a trial beside its sampled parameters."""
    trial_id = queue.trial_id(number)
    sampled = set(queue.storage.get_trial(trial_id).params)  # the storage may hand out what it goes on changing
    with quiet():
        suggest(optuna.Trial(queue.study, trial_id))
    drawn = queue.storage.get_trial(trial_id).params
    return {name: value for name, value in drawn.items() if name not in sampled}


def prepare(plan: Plan, *, parent: Callable[[], str | None] | None) -> None:
    """Make the study and its tickets where nobody has, or check that the plan goes on with it.

    Args:
        parent: Waits for MLflow's run of the sweep and gives its id; None where this process leads no sweep, and then
            only the first of all workers makes tickets, and one that goes on with a study that nobody led.

    Raises:
        ConfigError: There is such a study, and it cannot be gone on with, or the folder holds another one's trials or
            cannot be written.
    """
    preflight.make(SWEEP_DIR, plan.folder)  # where a worker comes before its leader
    storage = open_storage(plan.storage)
    new = make(plan, storage)
    queue = Queue(storage, plan.name)
    if not new:
        check(plan, queue)
        _warn_of_changes(plan, queue)
    if new or parent is not None or goes_on(plan, queue):
        run_id = parent() if parent else None
        queue.replace_lost(failed=plan.retry_failed and parent is not None)
        ahead = AHEAD if parent else None  # a leader makes more as they run out
        queue.fill(plan.n_trials, plan.points, ahead=ahead, start=plan.searches)
        before = noted(queue)
        if parent is not None or not before.get("led"):  # a leader may have come meanwhile, whose word counts
            queue.study.set_user_attr(ATTRIBUTE, before | facts(plan, run_id, led=parent is not None))


def goes_on(plan: Plan, queue: Queue) -> bool:
    """Whether a worker begins a study anew that nobody led: it wants more trials, or the time of all is over."""
    before = noted(queue)
    if is_led(plan) or before.get("led", True):
        return False
    late = plan.timeout is not None and time.time() > before["began"] + plan.timeout
    return plan.n_trials > before["n_trials"] or (late and not queue.every(TrialState.RUNNING))


def _warn_of_changes(plan: Plan, queue: Queue) -> None:
    """Say which settings of a search differ from those of its earlier trials, once and not in every slot."""
    if own_slot() is None and (changed := changes(plan, queue)):
        Screen().warn(f"{SWEEPER}.study_name={plan.name}: earlier trials have other settings ({'; '.join(changed)})")


def facts(plan: Plan, run_id: str | None, *, led: bool) -> dict[str, Any]:
    """What everybody who works for or looks at the study has to know of it.

    Args:
        led: Whether this process leads the sweep.
    """
    return {
        "task": plan.first.settings.task,
        "monitor": plan.objectives[0],
        "objectives": list(plan.objectives),
        "n_trials": plan.n_trials,
        "folder": str(plan.folder),
        "parent": run_id,
        "began": time.time(),
        "fixed": fixed(plan),
        "led": led,
        "leader": this_process(),
    }


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
        shared = noted(queue)
        if shared and (not is_led(plan) or _is_mine(shared["leader"])):
            return shared
        time.sleep(PAUSE)
        heed()
    raise VisrunError(f"study {plan.name}: nobody made its tickets; start it without hydra.sweeper.worker=true")


def _is_mine(leader: Any) -> bool:
    """Whether this process, or the one that started it, has noted it, and no earlier one of the same number."""
    return isinstance(leader, dict) and living(leader) in (os.getpid(), os.getppid())


def words_of(plan: Plan, number: int, params: Params, *, parent: str | None) -> list[str]:
    """The words of a trial's job: what is fixed, what varies, and how the job finds its trial."""
    handle = Handle(
        storage=plan.storage,
        study=plan.name,
        number=number,
        pruner=dict(plan.pruner),
        parent=parent,
        ties=on_one_scale(plan.space.distributions, task=plan.first.settings.task),
    )
    return [
        *plan.space.fixed,
        *plan.searched.words(params),
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
