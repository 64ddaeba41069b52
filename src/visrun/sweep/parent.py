"""A sweep in MLflow: one parent run that is kept up to date.

parent = Parent(plan)
parent.tracker.start()
run_id = parent.tracker.wait()           # given to the trials, whose runs are its children
parent.update(study, trials_of(study))   # as often as you like
parent.files(draw(study, trials_of(study), folder / "plots"), "plots")
warning = parent.tracker.finish("finished")
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from visrun.sweep.dimensions import readable
from visrun.sweep.parts import again
from visrun.sweep.plan import Plan
from visrun.sweep.trials import ENDED, STATES, best_of, counts, objectives, ranking, values_of
from visrun.tracking import open_tracker
from visrun.tracking.names import RECORD, experiment_of, parameter_text
from visrun.tracking.uris import without_password

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial


class Parent:
    """The run of a sweep in the store of ``tracker``, which opens and closes it; the methods return at once.

    A study that is continued in its folder goes on with the run that it had.

    Raises:
        ConfigError: Its package is not installed.
    """

    def __init__(self, plan: Plan) -> None:
        settings, distributions = plan.first.settings, plan.space.distributions
        self._names = list(distributions)
        self._ended = -1
        # Tags, as a later sitting may change them, and MLflow keeps the first value of a parameter.
        changing = {
            "sampler": plan.sampler,
            "pruner": plan.pruner["name"],
            "n_trials": plan.n_trials,
            "space": "; ".join(f"{name}: {readable(found)}" for name, found in distributions.items()),
        }
        tags = {
            "visrun.kind": "sweep",
            "task": settings.task,
            "study": plan.name,
            "host": socket.gethostname(),
            "folder": str(plan.folder),
            "command": without_password(again(plan)),
            **{name: parameter_text(value) for name, value in changing.items()},
        }
        self.tracker = open_tracker(
            settings.tracking.name,
            uri=settings.tracking.uri,
            experiment=experiment_of(settings.task, settings.tracking.experiment),
            run_name=plan.name,
            params={
                "task": settings.task,
                "objectives": list(plan.objectives),
                "directions": list(plan.directions),
            },
            tags=tags,
            record=plan.folder / RECORD,
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
