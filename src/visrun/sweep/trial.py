"""A sweep's trial from inside its job: reports each epoch, hears from the pruner, notes what the run was.

The job finds its trial through one environment variable, which Hydra sets for the job alone, whatever launches it. A
job that is repeated later from its files has none, and so never writes into an old study.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.exceptions import TrialPruned
from optuna.study import StudyDirection

from visrun.console import Screen
from visrun.errors import VisrunError
from visrun.record.sweep_files import ATTRIBUTE
from visrun.record.sweep_table import place_of
from visrun.sweep.pruners import make_pruner
from visrun.sweep.storage import open_storage
from visrun.sweep.study import Queue, is_lost
from visrun.sweep.ties import graded

if TYPE_CHECKING:
    from visrun.result import Result

VARIABLE = "VISRUN_TRIAL"
# Objectives beside the task's metric; less is better.
MEASURES: dict[str, Callable[[Result], float]] = {
    "seconds": lambda result: result.seconds,
    "parameters": lambda result: float(result.parameters),
}


@dataclass(frozen=True)
class Handle:
    """What a job has to know of its trial; plain values.

    Args:
        storage: As :func:`visrun.sweep.storage.open_storage` takes it.
        study: The study's name.
        number: The trial's number.
        pruner: As :func:`visrun.sweep.pruners.make_pruner` takes it.
        parent: MLflow's id of the sweep's run, where there is one.
        ties: Whether losses tell equal metrics apart, see :func:`visrun.config.loss_scales.on_one_scale`.
    """

    storage: str
    study: str
    number: int
    pruner: Mapping[str, Any]
    parent: str | None = None
    ties: bool = True

    def text(self) -> str:
        """For the environment variable."""
        return json.dumps(asdict(self))


class SweepTrial:
    """The trial of the job that runs in this process; a :class:`visrun.trial.Trial`."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self.queue = Queue(open_storage(handle.storage), handle.study, pruner=make_pruner(handle.pruner))
        self._losses: dict[int, float] = {}  # epoch -> validation loss

    @property
    def name(self) -> str:
        """What people call its run."""
        return f"trial-{self.handle.number:03d}"

    @property
    def tags(self) -> dict[str, str]:
        """What makes its run a child of the sweep's; where that has none, only which trial it is."""
        parent = {"mlflow.parentRunId": self.handle.parent} if self.handle.parent else {}
        own = {"mlflow.runName": self.name, "optuna.trial_number": str(self.handle.number)}
        return {**parent, **own, "study": self.handle.study}

    def formers(self, folder: Path) -> list[Path]:
        """Where the trials that this one stands for were written, the latest first; ``folder`` is its own.

        What failed by its own doing would fail again, and is begun anew.
        """
        trials, found = self.queue.every(), list[Path]()
        trial = trials[self.handle.number]
        while (number := trial.user_attrs.get("again")) is not None and (
            is_lost(trial := trials[number]) or trial.user_attrs.get("died")
        ):
            found.append(place_of(folder.parent, number, trial.user_attrs.get("folder")))
        return found

    def begins_anew(self, why: str) -> None:
        """Say that what a former attempt has trained is not gone on with, here and to who leads the sweep."""
        Screen().warn(f"this trial starts anew: {why}")
        self.queue.note(self.handle.number, anew=why)

    def begin(self, folder: Path) -> None:
        """Note where the run is written."""
        self.queue.note(self.handle.number, folder=str(folder))

    def sees(self, images: int) -> None:
        """Tell the pruner how many training images an epoch has."""
        self.queue.study.pruner = make_pruner(self.handle.pruner, images=images)

    def report(self, epoch: int, value: float, loss: float) -> str | None:
        """Note the monitored metric and the loss of an epoch; a reason to stop where the pruner gives one.

        Nothing is noted where the first objective is another one: a trial's course is about that.
        """
        self._losses[epoch] = loss
        if self._objectives[0] in MEASURES:
            return None
        if not self.queue.report(self.handle.number, epoch, self._graded(value, epoch)):
            return None
        return f"{self.handle.pruner['name']} pruner: {value:.4g} after epoch {epoch}"

    def end(self, **facts: Any) -> None:
        """Note what the run was: epochs, seconds, its data's fingerprint, and the reason why it ended early."""
        self.queue.note(self.handle.number, **{key: value for key, value in facts.items() if value is not None})

    def values(self, result: Result) -> list[float]:
        """What the study hears of a run that ended by itself.

        Raises:
            TrialPruned: The pruner ended it.
            VisrunError: It has no value.
        """
        if result.status == "pruned":
            raise TrialPruned
        names, value = self._objectives, result.value
        if value is None:
            raise VisrunError(f"no value of {names[0]}: it was undefined after every epoch")
        if len(names) == 1:  # of several, equal values do not beat one another: the front is about them as they are
            value = self._graded(value, result.best_epoch)
        return [MEASURES[name](result) if name in MEASURES else value for name in names]

    @property
    def _objectives(self) -> list[str]:
        return list(self.queue.study.user_attrs[ATTRIBUTE]["objectives"])

    def _graded(self, value: float, epoch: int) -> float:
        if not self.handle.ties:
            return value
        maximize = self.queue.study.directions[0] is StudyDirection.MAXIMIZE
        return graded(value, self._losses.get(epoch, math.nan), maximize=maximize)


def current() -> SweepTrial | None:
    """The trial of this job, or None outside visrun's sweeps."""
    text = os.environ.get(VARIABLE)
    return SweepTrial(Handle(**json.loads(text))) if text else None
