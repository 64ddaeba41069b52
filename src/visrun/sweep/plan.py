"""What a sweep is to do, settled and checked before anything is written; the only page that reads its settings."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from visrun.compose import Resolved, known
from visrun.errors import ConfigError
from visrun.fields import did_you_mean, one_of, show
from visrun.hyperparameters import Hyperparameters
from visrun.overrides import is_hydra, near
from visrun.settings import duration
from visrun.sweep import space as spaces
from visrun.sweep.config import AUTO, SEARCH, VisrunSweeperConf
from visrun.sweep.files import JOURNAL
from visrun.sweep.points import KEY, Problems, own_point, start_points, trials_of
from visrun.sweep.pruners import make_pruner, settled
from visrun.sweep.space import Bases, Space
from visrun.sweep.storage import checked
from visrun.sweep.study import Params
from visrun.sweep.trial import MEASURES
from visrun.tables import TASKS

FEWEST = 10  # trials of a search that is pruned unasked: one in four of them goes on
GRID = "optuna.samplers.GridSampler"
EVERY = "every combination once"  # in the place of a sampler's name
MakeSampler = Callable[[Sequence[FrozenTrial]], BaseSampler]
NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)*")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A sweep, settled.

    Args:
        name: The study's name.
        folder: Where the sweep writes; trial k into folder/k.
        storage: As :func:`visrun.sweep.storage.open_storage` takes it.
        space: What varies.
        bases: What the other values are; see :mod:`visrun.sweep.space`.
        objectives: Names of a trial's values; the task's metric or one of MEASURES.
        directions: "maximize" or "minimize", one for each objective.
        n_trials: How many trials the study is to have.
        points: Points to try first, and all points of a grid.
        n_jobs: Trials at a time.
        max_failure_rate: Share of ``n_trials`` that may fail.
        timeout: Seconds after which no trial begins, or None.
        pruner: As :func:`visrun.sweep.pruners.make_pruner` takes it.
        sampler: The name of its class, for people.
        make_sampler: Builds the sampler, once for each worker, from the study's trials so far.
        resume: Whether a study of this name may be gone on with.
        worker: Whether this process only works for a study that another one leads.
        first: The sweep's first job.
        command: The words behind ``visrun``.
        extend: Draws more parameters for a trial, or None; ``custom_search_space`` of the official sweeper.
        notices: Lines that say what was decided for the user.
    """

    name: str
    folder: Path
    storage: str
    space: Space
    bases: Bases
    objectives: tuple[str, ...]
    directions: tuple[str, ...]
    n_trials: int
    points: tuple[Params, ...]
    n_jobs: int
    max_failure_rate: float
    timeout: float | None
    pruner: Mapping[str, Any]
    sampler: str
    make_sampler: MakeSampler
    resume: bool
    worker: bool
    first: Resolved
    command: tuple[str, ...]
    extend: Callable[[Any], None] | None = None
    notices: tuple[str, ...] = field(default=())

    @property
    def searches(self) -> bool:
        """Whether a sampler chooses the points, but for those to start with; else all of them are known beforehand."""
        return self.sampler not in (EVERY, GRID.rpartition(".")[2])


def make_plan(
    settings: Mapping[str, Any],
    words: Sequence[str],
    *,
    folder: Path,
    command: Sequence[str],
    first: Resolved,
    resolve: Callable[[Sequence[str]], Resolved],
    options: ConfigLoader | None = None,
    extend: Callable[[Any], None] | None = None,
    make_sampler: MakeSampler,
) -> Plan:
    """Settle a sweep.

    Args:
        settings: ``hydra.sweeper``, plain.
        words: The swept and fixed words, as Hydra takes them.
        folder: ``hydra.sweep.dir``; its last part is the study's name where none is set.

    Raises:
        ConfigError: With everything that is wrong, one line each.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 - "." and ".." are no names, links stay as they are
    problems = Problems()
    space = _space(settings.get("params") or {}, words, first, options, problems)
    bases = spaces.composed(space, first, resolve)
    objectives, directions = _objectives(settings, first.settings.task, problems)
    pruner = _pruner(settings, first.hyperparameters, problems)
    start = start_points(settings.get("start_points"), space, problems)
    storage = _storage(settings, folder, problems)
    numbers = _Numbers(settings, problems)
    grid = str((settings.get("sampler") or {}).get("_target_", "")) == GRID
    problems.stop()
    own = partial(_own_points, space, bases, resolve)
    trials = trials_of(space, bases, wanted=numbers.n_trials, start=start, own=own, grid=grid)
    notices = [*space.notices, *trials.notices]
    unjudged = _unjudged(objectives)
    pruner = _unasked(pruner, searches=not unjudged and not trials.all_of_them and trials.number >= FEWEST)
    if unjudged and pruner["name"] != "none":
        notices.append(f"{KEY}.pruner={pruner['name']}: no trial is pruned where {unjudged}")
    return Plan(
        name=str(settings.get("study_name") or folder.name),
        folder=folder,
        storage=storage,
        space=space,
        bases=bases,
        objectives=objectives,
        directions=directions,
        n_trials=trials.number,
        points=tuple(trials.points),
        n_jobs=numbers.n_jobs,
        max_failure_rate=numbers.max_failure_rate,
        timeout=numbers.timeout,
        pruner=pruner,
        sampler=EVERY if trials.all_of_them else _sampler_name(settings),
        make_sampler=make_sampler,
        extend=extend,
        resume=bool(settings.get("resume", True)),
        worker=bool(settings.get("worker", False)),
        first=first,
        command=tuple(command),
        notices=tuple(notices),
    )


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


def _pruner(settings: Mapping[str, Any], values: Hyperparameters, problems: Problems) -> Mapping[str, Any]:
    node = settings.get("pruner") or {"name": "none"}
    found: Mapping[str, Any] = settled(node, max_epochs=values.max_epochs, warmup_epochs=values.warmup_epochs)
    problems.take(lambda: make_pruner(found))
    return found


def _unjudged(objectives: Sequence[str]) -> str:
    """Why no pruner can judge trials by these objectives; "" where one can: by the task's metric alone."""
    if len(objectives) > 1:
        return "there are several objectives"
    return f"the objective is {objectives[0]}" if objectives[0] in MEASURES else ""


def _unasked(pruner: Mapping[str, Any], *, searches: bool) -> Mapping[str, Any]:
    """The pruner that ``auto`` stands for in this sweep; any other is itself."""
    if pruner["name"] != AUTO:
        return pruner
    return {**pruner, "name": SEARCH} if searches else {"name": "none"}


def _storage(settings: Mapping[str, Any], folder: Path, problems: Problems) -> str:
    storage = str(settings.get("storage") or folder / JOURNAL)
    if "://" in storage:
        problems.take(lambda: checked(storage))
    return storage


def _own_points(space: Space, bases: Bases, resolve: Callable[[Sequence[str]], Resolved]) -> list[Params]:
    """The point of the command without its sweep; none where that would be no run, or one outside of the space."""
    try:
        point = own_point(resolve(spaces.own_words(space)), space, bases)
    except ConfigError:
        return []
    return [point] if point else []


class _Numbers:
    """The plain numbers among the settings, checked."""

    def __init__(self, settings: Mapping[str, Any], problems: Problems) -> None:
        self.n_trials: int | None = settings.get("n_trials")
        if self.n_trials is not None and (not _is_int(self.n_trials) or self.n_trials < 1):
            problems.add(f"{KEY}.n_trials={show(self.n_trials)}: must be an integer >= 1")
        self.n_jobs: int = settings.get("n_jobs") or 0
        if not _is_int(self.n_jobs) or self.n_jobs < 1:
            problems.add(f"{KEY}.n_jobs={show(settings.get('n_jobs'))}: must be an integer >= 1")
        self.max_failure_rate: float = settings.get("max_failure_rate", VisrunSweeperConf.max_failure_rate)
        if not _is_number(self.max_failure_rate) or not 0 <= self.max_failure_rate <= 1:
            problems.add(f"{KEY}.max_failure_rate={show(self.max_failure_rate)}: must be between 0 and 1")
        timeout: Any = duration(settings.get("timeout"))
        self.timeout: float | None = float(timeout) if _is_number(timeout) and timeout > 0 else None
        if timeout is not None and self.timeout is None:
            problems.add(f"{KEY}.timeout={show(timeout)}: must be seconds above 0, or a text such as 1h30m")
        name = settings.get("study_name")
        if name is not None and not NAME.fullmatch(str(name)):
            problems.add(f"{KEY}.study_name={show(name)}: must be letters, digits, _ - . and / between folders")


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _objectives(settings: Mapping[str, Any], task: str, problems: Problems) -> tuple[tuple[str, ...], tuple[str, ...]]:
    entry = TASKS[task]
    named = settings.get("objectives") or [entry.monitor]
    names = tuple(str(name) for name in (named if isinstance(named, (list, tuple)) else [named]))
    given_by = (entry.monitor, *MEASURES)
    for name in dict.fromkeys(names):
        if name not in given_by:
            hint = did_you_mean(name, given_by)
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


def _sampler_name(settings: Mapping[str, Any]) -> str:
    target = str((settings.get("sampler") or {}).get("_target_", "TPESampler"))
    return target.rpartition(".")[2]
