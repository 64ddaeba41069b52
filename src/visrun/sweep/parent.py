"""A sweep in MLflow: one parent run that is kept up to date.

parent = Parent("mlflow", study_name="digits", folder=folder, task="classification", space=space, params={}, ...)
parent.tracker.start()
run_id = parent.tracker.wait()           # given to the trials, whose runs are its children
parent.update(study, trials_of(study))   # as often as you like
parent.files(draw(study, trials_of(study), folder / "plots"), "plots")
warning = parent.tracker.finish("finished")
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visrun.record import environment
from visrun.sweep.trials import ENDED, STATES, best_of, counts, objectives, ranking, values_of
from visrun.tracking import open_tracker
from visrun.tracking.names import RECORD, experiment_of, parameter_text
from visrun.tracking.uris import without_password

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial


class Parent:
    """The run of a sweep in the store of ``tracker``, which opens and closes it; the methods return at once.

    Args:
        tracking: A key of ``visrun.tables.TRACKERS``.
        study_name: The run's name.
        folder: The sweep's; a study that is continued there goes on with the run that it had.
        task: Names the experiment, visrun/TASK, where ``experiment`` does not.
        space: The parameters that vary and their ranges.
        params: What every sitting of the sweep shares (objectives, directions): plain values.
        facts: What a later sitting may change (sampler, pruner, n_trials): these and the space are tags, since MLflow
            keeps the first value of a parameter.
        command: What continues the sweep; passwords of addresses in it are not written down.
        uri: See ``visrun.tracking.open_tracker``.

    Raises:
        ConfigError: No such tracker, or its package is not installed.
    """

    def __init__(
        self,
        tracking: str,
        *,
        study_name: str,
        folder: Path,
        task: str,
        space: Mapping[str, BaseDistribution],
        params: Mapping[str, Any],
        facts: Mapping[str, Any],
        command: str,
        uri: str | None = None,
        experiment: str | None = None,
    ) -> None:
        self._names = list(space)
        self._ended = -1
        ranges = "; ".join(f"{name}: {readable(distribution)}" for name, distribution in space.items())
        tags = {
            "visrun.kind": "sweep",
            "task": task,
            "study": study_name,
            "host": environment.host(),
            "folder": str(folder),
            "command": without_password(command),
            **{name: parameter_text(value) for name, value in {**facts, "space": ranges}.items()},
        }
        self.tracker = open_tracker(
            tracking,
            uri=uri,
            experiment=experiment_of(task, experiment),
            run_name=study_name,
            params={"task": task, **params},
            tags=tags,
            record=folder / RECORD,
            kept="trials.csv in the sweep's folder holds every value",
        )

    def update(self, study: Study, trials: Sequence[FrozenTrial]) -> None:
        """Note the best values so far and how many trials have ended how, if any has ended since the last time.

        Metrics ``best/NAME`` for each objective and ``trials/complete``, ``trials/pruned``, ``trials/failed``, over the
        number of ended trials; tags ``best.trial`` and ``best.PARAMETER`` ("-" where that trial does not read it) of
        the trial that is best in the first objective.
        """
        count = Counter(trial.state for trial in trials)
        ended = sum(count[state] for state in ENDED)
        if ended in (0, self._ended):
            return
        self._ended = ended
        values: dict[str, float] = {f"trials/{STATES[state]}": count[state] for state in ENDED}
        self.tracker.values(ended, values | bests(study, trials))
        best = best_of(trials, study.directions)
        found = {"best.trial": str(best.number)} if best else {}
        if best:
            drawn = (name for trial in trials for name in trial.params)  # also what varied at an earlier sitting only
            names = dict.fromkeys([*self._names, *drawn])
            found |= {
                f"best.{name}": parameter_text(best.params[name]) if name in best.params else "-" for name in names
            }
        self.tracker.tags({"trials": counts(trials), **found})

    def files(self, paths: Iterable[Path], folder: str = "") -> None:
        """Keep files, under ``folder`` of the run's artifacts; the latest content replaces an earlier one."""
        for path in paths:
            self.tracker.artifact(path, folder)


def bests(study: Study, trials: Iterable[FrozenTrial]) -> dict[str, float]:
    """The best value of each objective, by itself, over the complete trials."""
    complete = ranking(trials, study.directions)
    columns = zip(*(values_of(trial, len(study.directions)) for trial in complete), strict=True)
    return {
        f"best/{name}": max(column) if direction.name == "MAXIMIZE" else min(column)
        for name, direction, column in zip(objectives(study), study.directions, columns, strict=False)
    }


def readable(distribution: BaseDistribution) -> str:
    """A parameter's range in words: ``1e-05 to 0.1, log``; ``16 to 256, step 16``; ``adam, sgd``."""
    choices = getattr(distribution, "choices", None)
    if choices is not None:
        return ", ".join(parameter_text(choice) for choice in choices)
    facts: Any = distribution
    step = facts.step if facts.step is not None and not (isinstance(facts.low, int) and facts.step == 1) else None
    words = [f"{facts.low} to {facts.high}", "log" if facts.log else "", f"step {step}" if step else ""]
    return ", ".join(word for word in words if word)
