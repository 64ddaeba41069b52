"""What a trial says of itself, and which trials are the best. Used by all that shows a sweep.

They are Optuna's own; the user attributes read are ``reason``, ``epochs``, and who signed; of the study ``visrun``.
"""

from __future__ import annotations

import math
import socket
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from optuna import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from visrun.record.run_folder import living
from visrun.record.sweep_files import ATTRIBUTE
from visrun.sweep.ties import plain
from visrun.text import one_line

STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "queued",
}
ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


def best_of(trials: Iterable[FrozenTrial], directions: Sequence[StudyDirection]) -> FrozenTrial | None:
    """The best complete trial with finite values; of equal ones that with the lower loss, then the lower number.

    Of several objectives the first one decides, then the second, and so on: the trial is on the Pareto front.
    """
    ranked = ranking(trials, directions)
    return ranked[0] if ranked else None


def ranking(trials: Iterable[FrozenTrial], directions: Sequence[StudyDirection]) -> list[FrozenTrial]:
    """The complete trials with finite values, best first; equal ones in order of number."""
    scored = [(costs, trial.number, trial) for trial in trials if (costs := _costs(trial, directions)) is not None]
    return [trial for *_, trial in sorted(scored, key=lambda entry: entry[:2])]


def pareto(trials: Iterable[FrozenTrial], directions: Sequence[StudyDirection]) -> list[FrozenTrial]:
    """The complete trials that no other one beats in all objectives, in order of number; equal ones all stay."""
    scored = [(trial, costs) for trial in by_number(trials) if (costs := _costs(trial, directions)) is not None]
    table = np.array([costs for _, costs in scored])  # (trials, objectives), smaller is better
    return [
        trial for (trial, _), row in zip(scored, table, strict=True) if not _dominated(row, table)
    ]  # one vector operation a trial


def leaders(trials: Iterable[FrozenTrial], directions: Sequence[StudyDirection]) -> list[FrozenTrial]:
    """The best trial, or the Pareto front; [] while no trial is complete."""
    return pareto(trials, directions) if len(directions) > 1 else ranking(trials, directions)[:1]


def counts(trials: Iterable[FrozenTrial]) -> str:
    """``14 complete, 5 pruned, 1 failed``, and how many are running and queued where any is."""
    count = Counter(trial.state for trial in trials)
    return ", ".join(f"{count[state]} {name}" for state, name in STATES.items() if state in ENDED or count[state])


def objectives(study: Study) -> list[str]:
    """The names of the values."""
    count = len(study.directions)
    names = (study.user_attrs.get(ATTRIBUTE) or {}).get("objectives") or study.metric_names or []
    if len(names) == count:
        return list(names)
    return ["value"] if count == 1 else [f"value_{number}" for number in range(count)]


def by_number(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """The trials in order of number."""
    return sorted(trials, key=lambda trial: trial.number)


def params_of(trial: FrozenTrial) -> dict[str, Any]:
    """A trial's parameters; of a ticket, and of one that was claimed but not sampled yet, those that are fixed."""
    return dict(trial.params) or fixed_of(trial)


def fixed_of(trial: FrozenTrial) -> dict[str, Any]:
    """The parameters that a trial's ticket fixes."""
    return dict(trial.system_attrs.get("fixed_params", {}))


def values_of(trial: FrozenTrial, count: int) -> list[float | None]:
    """``count`` values of a complete or pruned trial as people read them, None where there is none."""
    given = (trial.values or []) if trial.state is TrialState.COMPLETE else []
    values: list[float | None] = [None if value is None else plain(float(value)) for value in given]
    if trial.state is TrialState.PRUNED:
        values = [reported(trial)]
    return [*values, *[None] * count][:count]


def reported(trial: FrozenTrial) -> float | None:
    """The latest metric that the trial reported while it ran, None before the first."""
    return None if trial.last_step is None else plain(trial.intermediate_values[trial.last_step])


def reason_of(trial: FrozenTrial) -> str:
    """The trial's reason as one printable line, "" where none is known."""
    return one_line(str(trial.user_attrs.get("reason") or ""))


def epochs_of(trial: FrozenTrial) -> int | None:
    """How many epochs the trial trained so far, None where it is unknown."""
    epochs = trial.user_attrs.get("epochs")
    return trial.last_step if epochs is None else int(epochs)


def _costs(trial: FrozenTrial, directions: Sequence[StudyDirection]) -> tuple[float, ...] | None:
    """The values, smaller is better; None for a trial that cannot be the best."""
    values = trial.values if trial.state is TrialState.COMPLETE else None
    if values is None or len(values) != len(directions) or not all(map(math.isfinite, values)):
        return None
    return tuple(
        -value if way is StudyDirection.MAXIMIZE else value for value, way in zip(values, directions, strict=True)
    )


def _dominated(row: np.ndarray, table: np.ndarray) -> bool:
    return bool(((table <= row).all(axis=1) & (table < row).any(axis=1)).any())


def failures(trials: Sequence[FrozenTrial]) -> int:
    """How many trials failed."""
    return sum(trial.state is TrialState.FAIL for trial in trials)


def too_many_failed(trials: Sequence[FrozenTrial], *, n_trials: int, max_failure_rate: float) -> bool:
    """Whether the failures have reached their share of all trials wanted."""
    failed = failures(trials)
    return failed > 0 and failed >= max_failure_rate * n_trials


def is_signed(trial: FrozenTrial) -> bool:
    """Whether the process that claimed a trial has written down which it is."""
    return {"pid", "host"} <= trial.user_attrs.keys()


def signer(trial: FrozenTrial) -> int | None:
    """The process of this machine that runs a trial; None where it is another machine's, or nobody has signed yet."""
    facts = trial.user_attrs
    here = facts.get("host") == socket.gethostname()
    return int(facts["pid"]) if here and "pid" in facts else None


def has_died(trial: FrozenTrial) -> bool:
    """Whether the process of this machine that signed a trial is gone; of another machine's it is not known."""
    return signer(trial) is not None and living(trial.user_attrs) is None
