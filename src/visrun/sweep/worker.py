"""A worker: claims tickets of a study and runs them, one after another, until none is left. Knows no config."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from optuna.distributions import BaseDistribution
from optuna.exceptions import TrialPruned
from optuna.trial import FrozenTrial, TrialState

from visrun.console import log_bug
from visrun.errors import VisrunError, first_line, foreign
from visrun.record.run_folder import this_process
from visrun.signals import pause
from visrun.sweep.storage import HEARTBEAT, StorageAway
from visrun.sweep.study import Params, Queue
from visrun.sweep.trials import has_died, is_signed, too_many_failed

AHEAD = 200  # empty tickets that are made at a time, since one takes milliseconds and the first trial waits for them
REST, LONGEST_REST = 0.5, 5.0  # seconds between two looks for a ticket while others still work
LONGEST_REASON = 500  # characters


@dataclass(frozen=True, kw_only=True)
class Rules:
    """When a worker stops claiming.

    Args:
        n_trials: How many trials the study is to have.
        max_failure_rate: Share of them that may fail.
        deadline: ``time.time()`` after which no trial begins, or None.
    """

    n_trials: int
    max_failure_rate: float
    deadline: float | None = None


def work(
    queue: Queue,
    distributions: Mapping[str, BaseDistribution],
    *,
    active: Callable[[Params], Sequence[str]],
    others: Callable[[], Sequence[Params] | None],
    launch: Callable[[int, Params], Sequence[float]],
    rules: Rules,
    slot: int | None = None,
    led: bool = False,
    stopped: Callable[[], bool] = lambda: False,
) -> list[bool]:
    """Run trials until the study has all it wants.

    Args:
        distributions: As :meth:`visrun.sweep.study.Queue.sample`; so ``active`` and ``others``.
        launch: Runs the trial of a number with its parameters and returns its values; raises TrialPruned where the
            pruner ended it, KeyboardInterrupt where a person did, anything else where it failed.
        slot: Which worker of its machine this is.
        led: Whether it ends with the one who leads the sweep.
        stopped: Asked before each trial.

    Returns:
        Of each trial that it ran, whether it failed.
    """
    failed: list[bool] = []
    looked, rest, dead = 0.0, REST, set[int]()
    while not stopped() and not is_over(queue, rules):
        if time.monotonic() - looked > HEARTBEAT:
            queue.lose_stale()
            dead = lose_dead(queue, before=dead)
            looked = time.monotonic()
        trial = queue.claim(rules.n_trials)
        if trial is not None:
            rest = REST
            sign(queue, trial, slot, led=led)
            failed += run(queue, trial, distributions, active=active, others=others, launch=launch)
            continue
        short = len(queue.trials()) < rules.n_trials
        if queue.every(TrialState.RUNNING) or (short and led):
            pause(rest)  # one of them may be lost, and come back as a ticket; or the leader makes more
            rest = min(1.5 * rest, LONGEST_REST)
        elif short:
            queue.fill(rules.n_trials, ahead=AHEAD)
        else:
            break
    return failed


def lose_dead(queue: Queue, *, before: set[int]) -> set[int]:
    """Count as lost the trials whose process was of this machine and is gone, or died before it could sign.

    Args:
        before: The trials that were so at the last look: a leader, where there is one, would have ended them since.

    Returns:
        The trials that are so for the first time.
    """
    dead = set()
    for trial in queue.every(TrialState.RUNNING):
        gone = has_died(trial) or not is_signed(trial)
        if gone and trial.number in before:
            queue.give_back(trial.number)
        elif gone:
            dead.add(trial.number)
    return dead


def is_over(queue: Queue, rules: Rules) -> bool:
    """Whether no further trial may begin, whatever the queue holds."""
    if rules.deadline is not None and time.time() > rules.deadline:
        return True
    return too_many_failed(queue.trials(), n_trials=rules.n_trials, max_failure_rate=rules.max_failure_rate)


def sign(queue: Queue, trial: FrozenTrial, slot: int | None, *, led: bool = False) -> None:
    """Write down who has claimed a trial; what says nothing is left out, since each fact takes a database a commit.

    The process comes last: only then the others are all there, and whoever dies in between has not signed.
    """
    facts = {**this_process(), "slot": slot, "led": led or None}
    facts["pid"] = facts.pop("pid")
    queue.note(trial.number, **{name: value for name, value in facts.items() if value is not None})


def run(
    queue: Queue,
    trial: FrozenTrial,
    distributions: Mapping[str, BaseDistribution],
    *,
    active: Callable[[Params], Sequence[str]],
    others: Callable[[], Sequence[Params] | None],
    launch: Callable[[int, Params], Sequence[float]],
) -> list[bool]:
    """Run one claimed trial and tell the study how it ended; whatever it raises costs this trial alone.

    Returns:
        Whether it failed; [] where it did not run, since somebody took its point.

    Raises:
        StorageAway: The study can be told nothing.
    """
    with beating(lambda: queue.beat(trial.number)):
        try:
            params = queue.sample(trial, distributions, active, others)
            if params is None:
                return []
            return [queue.complete(trial.number, launch(trial.number, params)) is not None]
        except TrialPruned:
            queue.prune(trial.number)
            return [False]
        except KeyboardInterrupt:
            queue.give_back(trial.number)
            raise
        except StorageAway:  # no fault of the trial's: it is lost, and comes back as a ticket
            raise
        except Exception as error:
            known = isinstance(error, VisrunError)
            if not known:
                log_bug(f"trial {trial.number} failed", error)
            told = first_line(error) if known else foreign(error)
            queue.fail(trial.number, told[:LONGEST_REASON])
            return [True]


@contextmanager
def beating(beat: Callable[[], None]) -> Iterator[None]:
    """Within: ``beat`` is called every HEARTBEAT seconds, to tell that this process lives."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(HEARTBEAT):
            with suppress(VisrunError):  # the next one may get through
                beat()

    thread = threading.Thread(target=repeat, name="visrun-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
