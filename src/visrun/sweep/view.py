"""What a study has to show: a copy of its trials in memory, the parameters that vary, and how much each matters.

The plots read this copy: the storage is asked once, trials that do not count are left out, and every number is finite.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from visrun.numbers import evenly
from visrun.sweep.ties import plain
from visrun.sweep.trials import best_of, by_number, objectives, reported, values_of

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

TREES, DEPTH = 64, 8  # of the importance's forest: 2.6 s for a thousand trials with eight parameters
SILENCED = ("optuna.storages._in_memory", "optuna.visualization")


@dataclass(frozen=True)
class View:
    """A study as its plots see it.

    Args:
        name: The study's.
        metrics: Names of the objectives, the monitored metric first.
        maximize: Whether each objective is better when higher.
        trials: Those that count, in order of number.
        study: The same trials with the first objective alone, in memory.
        whole: The same with all objectives; None where there is only one.
        reporting: The trials of ``study`` that have reported values while they ran, whatever became of them.
        complete: The complete trials of ``study``; all of their objectives are finite.
        varied: Parameters with two values or more among the complete trials, the most important first.
        tried: Parameters of complete trials with two values or more among these and the pruned ones; the same order.
        importance: Share of the first objective's variance that each parameter explains (fANOVA), highest first.
            Empty where that cannot be said. Parameters that some of the ``compared`` trials lack are not in it.
        compared: The trials that ``importance`` is about; see :func:`comparable`.
        epoch: After which the ``compared`` trials are compared; None: at their ends.
    """

    name: str
    metrics: tuple[str, ...]
    maximize: tuple[bool, ...]
    trials: tuple[FrozenTrial, ...]
    study: Study
    whole: Study | None
    reporting: tuple[FrozenTrial, ...]
    complete: tuple[FrozenTrial, ...]
    varied: tuple[str, ...] = ()
    tried: tuple[str, ...] = ()
    importance: dict[str, float] = field(default_factory=dict)
    compared: tuple[FrozenTrial, ...] = ()
    epoch: int | None = None

    @property
    def metric(self) -> str:
        """The monitored metric."""
        return self.metrics[0]

    @property
    def pruned(self) -> tuple[FrozenTrial, ...]:
        """The trials of ``study`` that the pruner ended, after they had reported a value."""
        return tuple(trial for trial in self.reporting if trial.state.name == "PRUNED")

    @property
    def stopped_at(self) -> list[float]:
        """The last metric that each of the ``pruned`` trials reported."""
        return [value for trial in self.pruned if (value := reported(trial)) is not None]

    @property
    def compared_metric(self) -> str:
        """The monitored metric, and after which epoch ``importance`` is about it."""
        return self.metric if self.epoch is None else f"{self.metric} after epoch {self.epoch}"

    @property
    def spanning(self) -> list[str]:
        """Parameters over which a surface can be drawn through the complete trials, the most important first."""
        return [
            name for name in self.importance if name in self.varied and all(name in t.params for t in self.complete)
        ]

    def best(self) -> FrozenTrial | None:
        """The complete trial that is the sweep's best; of several objectives the first one decides."""
        found = best_of(self.trials, (self.whole or self.study).directions)
        return next((trial for trial in self.complete if found and trial.number == found.number), None)

    def thinned(self, trials: Sequence[FrozenTrial], most: int) -> list[FrozenTrial]:
        """At most ``most`` of the trials, spread evenly over the study, and the best one in any case."""
        if len(trials) <= most:
            return list(trials)
        chosen = {*evenly(most - 1, of=len(trials))}
        best = self.best()
        return [trial for i, trial in enumerate(trials) if i in chosen or (best and trial.number == best.number)]


def look(study: Study, trials: Sequence[FrozenTrial]) -> View:
    """Copy ``trials`` of ``study`` and find out what there is to see. Trials keep their numbers."""
    from optuna.study import StudyDirection

    trials = tuple(trial for trial in by_number(trials) if trial.state.name != "WAITING")
    maximize = tuple(direction == StudyDirection.MAXIMIZE for direction in study.directions)
    several = len(maximize) > 1
    single = remembered(study.study_name, maximize[:1], trials)
    inside = single.get_trials(deepcopy=False)
    complete = tuple(trial for trial in inside if trial.state.name == "COMPLETE")
    compared, epoch = comparable(inside)
    importance = importances(
        single if epoch is None else remembered(study.study_name, maximize[:1], compared), compared
    )
    if not importance:
        compared, epoch = complete, None
        importance = importances(single, complete)
    ended = tuple(trial for trial in inside if trial.state.name in ("COMPLETE", "PRUNED"))
    names = dict.fromkeys([*importance, *(name for trial in complete for name in trial.params)])
    return View(
        name=study.study_name,
        metrics=tuple(objectives(study)),
        maximize=maximize,
        trials=trials,
        study=single,
        whole=remembered(study.study_name, maximize, trials) if several else None,
        reporting=tuple(trial for trial in inside if trial.intermediate_values),
        complete=complete,
        varied=tuple(name for name in names if varies(name, complete)),
        tried=tuple(name for name in names if varies(name, ended)),
        importance=importance,
        compared=compared,
        epoch=epoch,
    )


def remembered(name: str, maximize: Sequence[bool], trials: Sequence[FrozenTrial]) -> Study:
    """A study in memory with as many objectives as ``maximize`` and the trials under their own numbers.

    Numbers in between, and complete trials with a value that is not finite, become failed trials: no plot shows them.
    """
    import optuna
    from optuna.trial import TrialState, create_trial

    with silent():
        study = optuna.create_study(
            study_name=name, directions=["maximize" if high else "minimize" for high in maximize]
        )
    number = 0
    for trial in trials:
        study.add_trials(create_trial(state=TrialState.FAIL) for _ in range(number, trial.number))
        study.add_trial(copied(trial, len(maximize)))
        number = trial.number + 1
    return study


def copied(trial: FrozenTrial, objectives: int) -> FrozenTrial:
    """The trial with its first ``objectives`` values, a single one and those of epochs without the digits of the loss.

    Failed where a complete one's values are not finite.
    """
    from optuna.trial import TrialState, create_trial

    complete = trial.state == TrialState.COMPLETE
    finite = complete and all(math.isfinite(value) for value in trial.values)
    return create_trial(
        state=TrialState.FAIL if complete and not finite else trial.state,
        values=[value for value in values_of(trial, objectives) if value is not None] if finite else None,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs=trial.user_attrs,
        intermediate_values={
            step: plain(value) for step, value in trial.intermediate_values.items() if math.isfinite(value)
        },
    )


def comparable(trials: Sequence[FrozenTrial]) -> tuple[tuple[FrozenTrial, ...], int | None]:
    """The complete trials; where some were pruned, those as well, all with their metric after one and the same epoch.

    A search that prunes leaves few complete trials, and those are alike. The epoch is the last that all have reached.
    """
    from optuna.trial import TrialState, create_trial

    complete = tuple(trial for trial in trials if trial.state == TrialState.COMPLETE)
    ended = [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    ended = [trial for trial in ended if trial.intermediate_values]
    if all(trial.state == TrialState.COMPLETE for trial in ended):
        return complete, None
    epoch = min(max(trial.intermediate_values) for trial in ended)
    return tuple(
        create_trial(value=trial.intermediate_values[epoch], params=trial.params, distributions=trial.distributions)
        for trial in ended
        if epoch in trial.intermediate_values
    ), epoch


def importances(study: Study, trials: Sequence[FrozenTrial]) -> dict[str, float]:
    """Parameter importance by functional ANOVA (Hutter et al., ICML 2014), highest first.

    Args:
        trials: The complete trials of ``study``.

    Returns:
        {} with fewer than two parameters that every trial has and that vary, or when all values are equal.
    """
    if len({first(trial) for trial in trials}) < 2:
        return {}
    names = [name for name in trials[0].params if common(name, trials) and varies(name, trials)]
    if len(names) < 2:
        return {}
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances  # brings scikit-learn: a second

    evaluator = FanovaImportanceEvaluator(n_trees=TREES, max_depth=DEPTH, seed=0)
    try:
        found = get_param_importances(study, evaluator=evaluator, params=names)
    except RuntimeError:  # values so close that no tree finds a difference
        return {}
    return {name: float(share) for name, share in found.items()}


def common(name: str, trials: Sequence[FrozenTrial]) -> bool:
    """Whether every trial has the parameter, drawn from one and the same range."""
    distribution = trials[0].distributions.get(name)
    return distribution is not None and all(trial.distributions.get(name) == distribution for trial in trials)


def varies(name: str, trials: Sequence[FrozenTrial]) -> bool:
    """Whether the parameter has two values or more."""
    return len({repr(trial.params[name]) for trial in trials if name in trial.params}) > 1


def first(trial: FrozenTrial) -> float:
    """The value of the first objective."""
    values: list[Any] = trial.values
    return float(values[0])


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Keep Optuna's lines about a study in memory and about its plots off the screen."""
    loggers = [logging.getLogger(name) for name in SILENCED]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
