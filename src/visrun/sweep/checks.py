"""The settings of a sweep, each checked by itself; the only page that reads ``hydra.sweeper``, but for its sampler."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader

from visrun.config.compose import Resolved, known
from visrun.config.fields import one_of, show
from visrun.config.kinds import duration
from visrun.config.near import near
from visrun.config.overrides import is_hydra
from visrun.config.settings import Settings
from visrun.config.sweeper import VisrunSweeperConf
from visrun.errors import did_you_mean
from visrun.hyperparameters import Hyperparameters
from visrun.numbers import is_int, is_number
from visrun.sweep import space as spaces
from visrun.sweep.files import JOURNAL
from visrun.sweep.points import KEY, Problems, start_points
from visrun.sweep.pruners import make_pruner, settled
from visrun.sweep.space import Space
from visrun.sweep.storage import checked, is_database
from visrun.sweep.study import Params
from visrun.sweep.trial import MEASURES
from visrun.tables import TASKS

NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)*")


@dataclass(frozen=True, kw_only=True)
class Checked:
    """The settings; see :class:`visrun.sweep.plan.Plan`. ``start`` are points to try first, None where none are set."""

    name: str
    space: Space
    objectives: tuple[str, ...]
    directions: tuple[str, ...]
    pruner: Mapping[str, Any]
    start: list[Params] | None
    storage: str
    sampler: str
    numbers: Numbers
    resume: bool
    retry_failed: bool
    worker: bool


def check_settings(
    settings: Mapping[str, Any], words: Sequence[str], *, folder: Path, first: Resolved, options: ConfigLoader | None
) -> Checked:
    """Read the settings and the words.

    Raises:
        ConfigError: With everything that is wrong, one line each.
    """
    problems = Problems()
    space = _space(settings.get("params") or {}, words, first, options, problems)
    objectives, directions = _objectives(settings, first.settings, problems)
    _compared(space, objectives, first.settings.run.monitor, problems)
    found = Checked(
        name=str(settings.get("study_name") or folder.name),
        space=space,
        objectives=objectives,
        directions=directions,
        pruner=_pruner(settings, space, first.hyperparameters, problems),
        start=start_points(settings.get("start_points"), space, problems),
        storage=_storage(settings, folder, problems),
        sampler=str((settings.get("sampler") or {}).get("_target_", "TPESampler")).rpartition(".")[2],
        numbers=Numbers(settings, problems),
        resume=bool(settings.get("resume", True)),
        retry_failed=bool(settings.get("retry_failed", False)),
        worker=bool(settings.get("worker", False)),
    )
    problems.stop()
    return found


def _space(
    params: Mapping[Any, Any],
    words: Sequence[str],
    first: Resolved,
    options: ConfigLoader | None,
    problems: Problems,
) -> Space:
    """The space of ``hydra.sweeper.params`` and the words, which win over it."""
    for key in map(str, params):
        if key.lstrip("+") not in known() and not is_hydra(key):
            problems.add(f"{KEY}.params: {show(key)} is no setting{near(key, known())}")
    typed = [*(f"{key}={value}" for key, value in params.items()), *words]
    return spaces.read_space(typed, base=spaces.base_of(first), options=options)


def _pruner(
    settings: Mapping[str, Any], space: Space, values: Hyperparameters, problems: Problems
) -> Mapping[str, Any]:
    """The pruner, which looks at all trials after the same epochs: so the longest run and warm-up of any settle it."""
    node = settings.get("pruner") or {"name": "none"}
    found: Mapping[str, Any] = settled(
        node,
        max_epochs=_highest(space, "max_epochs", values.max_epochs),
        warmup_epochs=_highest(space, "warmup_epochs", values.warmup_epochs),
    )
    problems.take(lambda: make_pruner(found))
    return found


def _highest(space: Space, name: str, usual: int) -> int:
    """The highest value that a trial may have of a whole number."""
    distribution: Any = space.distributions.get(name)
    values = getattr(distribution, "choices", None) or [getattr(distribution, "high", usual)]
    return max((value for value in values if is_int(value)), default=usual)


def _storage(settings: Mapping[str, Any], folder: Path, problems: Problems) -> str:
    storage = str(settings.get("storage") or folder / JOURNAL)
    if is_database(storage):
        problems.take(lambda: checked(storage))
    return storage


class Numbers:
    """The plain numbers among the settings, checked."""

    def __init__(self, settings: Mapping[str, Any], problems: Problems) -> None:
        self.n_trials: int | None = settings.get("n_trials")
        if self.n_trials is not None and (not is_int(self.n_trials) or self.n_trials < 1):
            problems.add(f"{KEY}.n_trials={show(self.n_trials)}: must be an integer >= 1")
        self.n_jobs: int = settings.get("n_jobs") or 0
        if not is_int(self.n_jobs) or self.n_jobs < 1:
            problems.add(f"{KEY}.n_jobs={show(settings.get('n_jobs'))}: must be an integer >= 1")
        self.max_failure_rate: float = settings.get("max_failure_rate", VisrunSweeperConf.max_failure_rate)
        if not is_number(self.max_failure_rate) or not 0 <= self.max_failure_rate <= 1:
            problems.add(f"{KEY}.max_failure_rate={show(self.max_failure_rate)}: must be between 0 and 1")
        timeout: Any = duration(settings.get("timeout"))
        self.timeout: float | None = float(timeout) if is_number(timeout) and timeout > 0 else None
        if timeout is not None and self.timeout is None:
            problems.add(f"{KEY}.timeout={show(timeout)}: must be seconds above 0, or a text such as 1h30m")
        name = settings.get("study_name")
        if name is not None and not NAME.fullmatch(str(name)):
            problems.add(f"{KEY}.study_name={show(name)}: must be letters, digits, _ - . and / between folders")


def _objectives(
    settings: Mapping[str, Any], run: Settings, problems: Problems
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    task = run.task
    entry = TASKS[task].judged_by(run.run.monitor)
    named = settings.get("objectives") or [entry.monitor]
    names = tuple(str(name) for name in (named if isinstance(named, (list, tuple)) else [named]))
    given_by = (entry.monitor, *MEASURES)
    for name in dict.fromkeys(names):
        if name not in given_by:
            hint = f"; run.monitor={name} changes that" if name in entry.metrics else did_you_mean(name, given_by)
            problems.add(f"{KEY}.objectives={show(name)}: task={task} gives {one_of(given_by)}{hint}")
        elif names.count(name) > 1:
            problems.add(f"{KEY}.objectives: {name} is named twice")
    usual = ["maximize" if name == entry.monitor and entry.maximize else "minimize" for name in names]
    given = settings.get("direction")
    if given is None:
        return names, tuple(usual)
    listed = given if isinstance(given, (list, tuple)) else [given]
    directions = tuple(item.name if isinstance(item, Enum) else str(item) for item in listed)
    for direction in directions:
        if direction not in ("maximize", "minimize"):
            problems.add(f"{KEY}.direction={show(direction)}: must be maximize or minimize")
    if len(directions) != len(names):
        problems.add(
            f"{KEY}.direction={show(list(directions))}: there are {len(names)} objectives ({', '.join(names)}); name "
            f"them with {KEY}.objectives, among {one_of(given_by)}"
        )
    return names, directions


def _compared(space: Space, objectives: Sequence[str], monitor: str | None, problems: Problems) -> None:
    """Trials of several tasks, or that monitor several metrics, are compared by what all of them have."""
    if set(objectives) <= set(MEASURES):
        return
    named = space.dimensions.get("run.monitor")
    if named and len(named.values or ()) > 1:
        values = ",".join(map(show, named.values or ()))
        problems.add(f"{KEY}.objectives: trials of run.monitor={values} choose by different metrics; give it one value")
    varied = space.dimensions.get("task")
    tasks = [task for task in (varied.values or () if varied else ()) if task in TASKS]
    entries = {task: TASKS[task].judged_by(monitor) for task in tasks}
    judges = {(entry.monitor, entry.maximize) for entry in entries.values()}
    if len(judges) > 1:
        metrics = ", ".join(f"{task} {entry.monitor}" for task, entry in entries.items())
        problems.add(
            f"{KEY}.objectives: trials of task={','.join(tasks)} have different metrics ({metrics}), which cannot be "
            f"compared; sweep over one task, or choose {one_of(list(MEASURES))}"
        )
