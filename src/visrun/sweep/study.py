"""A study as a queue: tickets in, trials out, nothing twice and nothing lost. Knows Optuna and neither Hydra nor runs.

A ticket is a trial that waits, empty or with a point. Whoever claims it makes it RUNNING, which the storage grants to
one only, so any number of processes and hosts may share one study. A trial that failed has the attributes ``failed``
and ``reason``; one that FAILED without is lost (its worker died, or the sweep was stopped): it counts for nothing, and
a new ticket with its point stands in the queue. A ticket names its ``place`` in the study, or the trial that it stands
for (``again``), lost or failed: where two processes make the same one at the same time, only the first counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import DuplicatedStudyError, UpdateFinishedTrialError
from optuna.storages import BaseStorage, RDBStorage, fail_stale_trials
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from visrun.sweep.sampling import another, propose
from visrun.sweep.storage import quiet
from visrun.sweep.trials import fixed_of, params_of

Params = dict[str, Any]
START = "start_point"  # of a trial: it runs a point to start with, which nobody prunes


class Queue:
    """One study in its storage.

    Args:
        storage: Where the study lives.
        name: The study's name.
        pruner: Judges trials; None never ends one.

    Raises:
        KeyError: There is no such study.
    """

    def __init__(self, storage: BaseStorage, name: str, *, pruner: optuna.pruners.BasePruner | None = None) -> None:
        with quiet():
            self.study = optuna.load_study(
                study_name=name, storage=storage, pruner=pruner or optuna.pruners.NopPruner()
            )
        self.storage, self.name = storage, name
        self.study_id = storage.get_study_id_from_name(name)

    def every(self, *states: TrialState) -> list[FrozenTrial]:
        """All trials of these states (none named: of all), lost ones too, in order of number."""
        return self.study.get_trials(deepcopy=False, states=states or None)  # of a database, only what is new is read

    def trials(self) -> list[FrozenTrial]:
        """The trials that count, in order of number; WAITING ones are queued tickets."""
        return counting(self.every())

    def trial_id(self, number: int) -> int:
        """The storage's own number of a trial."""
        return self.storage.get_trial_id_from_study_id_trial_number(self.study_id, number)

    def note(self, number: int, **attributes: Any) -> None:
        """Set attributes of a trial that has not ended."""
        trial_id = self.trial_id(number)
        for name, value in attributes.items():
            self.storage.set_trial_user_attr(trial_id, name, value)

    # tickets

    def fill(
        self, n_trials: int, points: Sequence[Params] = (), *, ahead: int | None = None, start: bool = False
    ) -> None:
        """Add tickets until ``n_trials`` trials count: those of ``points`` that no trial has yet, then empty ones.

        Args:
            ahead: How many empty ones at most; None for all.
            start: Whether ``points`` are those to start a search with.
        """
        trials = self.trials()
        wanted = max(n_trials - len(trials), 0)
        have = {_key(params_of(trial)) for trial in trials} | {_key(fixed_of(trial)) for trial in self.every()}
        missing = [point for key, point in {_key(point): point for point in points}.items() if key not in have]
        empty: list[Params] = [{}] * (wanted if ahead is None else min(ahead, wanted))
        for place, point in enumerate([*missing, *empty][:wanted], start=len(trials)):
            self.study.enqueue_trial(point, user_attrs={"place": place} | ({START: True} if start and point else {}))

    def claim(self, n_trials: int) -> FrozenTrial | None:
        """A ticket, now RUNNING and ours; None where ``n_trials`` trials have begun, or none is left.

        Points to start with, and those of lost trials, come before the others: the run to beat is trained also where
        the sweep ends early. A point that was lost or failed twice waits its turn, as it may be what kills its workers.
        """
        every = self.every()

        def first(trial: FrozenTrial) -> bool:
            lost = trial.user_attrs.get("again")
            return START in trial.user_attrs if lost is None else "again" not in every[lost].user_attrs

        trials = counting(every)
        waiting = [trial for trial in trials if trial.state is TrialState.WAITING]
        waiting.sort(key=lambda trial: not first(trial))
        for trial in waiting[: room(trials, n_trials)]:
            self.beat(trial.number)  # or a worker that died right after its claim would never be missed
            trial_id = self.trial_id(trial.number)
            with suppress(UpdateFinishedTrialError):
                if self.storage.set_trial_state_values(trial_id, state=TrialState.RUNNING):
                    return self.storage.get_trial(trial_id)
        return None

    # the point of a trial

    def sample(
        self,
        trial: FrozenTrial,
        distributions: Mapping[str, BaseDistribution],
        active: Callable[[Params], Sequence[str]],
        others: Callable[[], Sequence[Params] | None],
    ) -> Params | None:
        """Choose a claimed ticket's parameters and write them down.

        Args:
            distributions: In an order in which every parameter follows those it depends on.
            active: Of some parameters, the names that count with these values.
            others: All points of the space where they can be counted, else None; asked only where the sampler keeps on
                proposing points that were tried.

        Returns:
            Name -> value of the parameters that count: a point that no other trial of the study has, unless the ticket
            names all of it or no other is found. None where somebody took the same point in this moment; then the
            trial has been withdrawn, and a new ticket stands for it.
        """
        fixed = {name: value for name, value in fixed_of(trial).items() if _holds(distributions.get(name), value)}
        proposed = propose(self.study, trial, distributions, fixed)
        params = {name: proposed[name] for name in active(proposed)}
        fresh = not (fixed and fixed.keys() >= params.keys())
        if fresh and params in (taken := self._taken(trial.number)):
            other = another(self.study, trial, distributions, active=active, others=others, fixed=fixed, taken=taken)
            params, fresh = (params, False) if other is None else (other, True)
        trial_id = self.trial_id(trial.number)
        for name, value in params.items():
            distribution = distributions[name]
            self.storage.set_trial_param(trial_id, name, distribution.to_internal_repr(value), distribution)
        if fresh and params and params in self._taken(trial.number):
            self._again(trial, fixed_of(trial))
            self._tell(trial.number, TrialState.FAIL)
            return None
        return params

    def _taken(self, number: int) -> list[Params]:
        """The points of all trials that count but this one."""
        return [params_of(other) for other in self.trials() if other.number != number]

    # ends

    def complete(self, number: int, values: Sequence[float]) -> str | None:
        """A trial reached its values; where one is not finite it failed, and the reason is returned."""
        if not all(math.isfinite(value) for value in values):
            reason = f"the value is {', '.join(str(value) for value in values)}"
            self.fail(number, reason)
            return reason
        self._tell(number, TrialState.COMPLETE, values)
        return None

    def prune(self, number: int) -> None:
        """A trial was ended by the pruner; its last reported value stands."""
        self._tell(number, TrialState.PRUNED)

    def fail(self, number: int, reason: str, *, died: bool = False) -> None:
        """A trial failed, and counts as failed; nothing happens where it has ended, as one that was lost before.

        Args:
            died: Whether its process was ended from outside: where it is run again, it goes on from its checkpoint.
        """
        with suppress(UpdateFinishedTrialError):
            self.note(number, reason=reason, failed=True, **({"died": True} if died else {}))
            self._tell(number, TrialState.FAIL)

    def give_back(self, number: int) -> None:
        """A trial was stopped through no fault of its own: somebody will run its point again."""
        self._tell(number, TrialState.FAIL)
        self.replace_lost()

    def _tell(self, number: int, state: TrialState, values: Sequence[float] | None = None) -> None:
        with quiet(), suppress(UpdateFinishedTrialError):  # at this moment, or by this write, whose answer was lost
            self.study.tell(number, list(values) if values is not None else None, state, skip_if_finished=True)

    def replace_lost(self, *, failed: bool = False) -> None:
        """Put a ticket with its point for every lost trial that has none yet, and on demand for every failed one."""
        trials = self.every()
        replaced = {trial.user_attrs.get("again") for trial in trials}
        for trial in trials:
            wanted = is_lost(trial) or (failed and trial.state is TrialState.FAIL)
            if wanted and trial.number not in replaced:
                self._again(trial, params_of(trial))

    def _again(self, trial: FrozenTrial, point: Params) -> None:
        kept = {name: value for name, value in trial.user_attrs.items() if name == START}
        self.study.enqueue_trial(point, user_attrs=kept | {"again": trial.number})

    def lose_stale(self) -> None:
        """Count as lost the trials whose workers gave no sign of life for long, where the storage keeps those."""
        if isinstance(self.storage, RDBStorage):
            with quiet():
                fail_stale_trials(self.study)
        self.replace_lost()

    def beat(self, number: int) -> None:
        """Give a sign of life of a trial."""
        if isinstance(self.storage, RDBStorage):
            self.storage.record_heartbeat(self.trial_id(number))

    # while a trial runs

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Note the monitored metric after an epoch; True where the pruner says that the trial cannot win."""
        trial_id = self.trial_id(number)
        self.storage.set_trial_intermediate_value(trial_id, epoch, value)
        if len(self.study.directions) > 1 or isinstance(self.study.pruner, optuna.pruners.NopPruner):
            return False
        trial = self.storage.get_trial(trial_id)
        with quiet():
            return START not in trial.user_attrs and bool(self.study.pruner.prune(self.study, trial))


def create(storage: BaseStorage, name: str, directions: Sequence[str]) -> bool:
    """Make a study; False where there is one of this name already."""
    # Asked first: a second record in a journal is one that its next reader trips over, where a signal came in between.
    with suppress(KeyError):
        storage.get_study_id_from_name(name)
        return False
    try:
        storage.create_new_study([StudyDirection[direction.upper()] for direction in directions], name)
    except DuplicatedStudyError:
        return False
    return True


def is_lost(trial: FrozenTrial) -> bool:
    """Whether a trial ended through no fault of its own."""
    return trial.state is TrialState.FAIL and not trial.user_attrs.get("failed")


def counting(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Of all trials in order of number, those that count: none that another stands for, the first for a place."""
    replaced = {trial.user_attrs.get("again") for trial in trials}
    seen: set[tuple[str, Any]] = set()
    found = []
    for trial in trials:
        named = next((name for name in ("again", "place") if name in trial.user_attrs), None)
        place = (named, trial.user_attrs[named]) if named else ("number", trial.number)
        if place not in seen and not is_lost(trial) and trial.number not in replaced:
            found.append(trial)
        seen.add(place)
    return found


def room(trials: Sequence[FrozenTrial], n_trials: int) -> int:
    """How many of ``n_trials`` have not begun yet."""
    return max(n_trials - sum(trial.state is not TrialState.WAITING for trial in trials), 0)


def without_idle(trials: Sequence[FrozenTrial], n_trials: int) -> list[FrozenTrial]:
    """The trials without the tickets beyond ``n_trials``, which nobody claims: an earlier sitting wanted more."""
    waiting = [trial.number for trial in trials if trial.state is TrialState.WAITING]
    idle = set(waiting[room(trials, n_trials) :])
    return [trial for trial in trials if trial.number not in idle]


def _key(point: Params) -> frozenset[tuple[str, Any]]:
    return frozenset(point.items())


def _holds(distribution: BaseDistribution | None, value: Any) -> bool:
    """Whether a value may be drawn: a study that is gone on with may search a narrower range."""
    try:
        return distribution is not None and distribution._contains(distribution.to_internal_repr(value))
    except (TypeError, ValueError):
        return False
