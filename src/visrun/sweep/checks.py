"""The settings of a sweep, ``hydra.sweeper.*``, each checked by itself; the sampler refuses its own when it is made."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.config_loader import ConfigLoader

from visrun.config.choices import known
from visrun.config.compose import Resolved
from visrun.config.fields import one_of, show
from visrun.config.kinds import duration
from visrun.config.overrides import is_hydra
from visrun.config.settings import Settings
from visrun.config.sweeper import SWEEPER, count_problems
from visrun.errors import ConfigError, complaints
from visrun.hyperparameters import Hyperparameters
from visrun.near import did_you_mean, near
from visrun.numbers import is_int, is_number
from visrun.record.sweep_files import JOURNAL
from visrun.sweep import space as spaces
from visrun.sweep.points import start_points
from visrun.sweep.pruners import make_pruner, settled
from visrun.sweep.space import Space
from visrun.sweep.storage import is_database
from visrun.sweep.study import Params
from visrun.sweep.trial import MEASURES
from visrun.tables import TASKS

NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)*")


class Numbers(NamedTuple):
    """The plain numbers among the settings; ``timeout`` in seconds."""

    n_trials: int | None
    n_jobs: int
    max_failure_rate: float
    timeout: float | None


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

    Args:
        settings: All fields of :class:`visrun.config.sweeper.VisrunSweeperConf`, plain.

    Raises:
        ConfigError: With everything that is wrong, one line each.
    """
    problems: list[str] = []
    space = _space(settings["params"] or {}, words, first, options, problems)
    objectives, directions = _objectives(settings, first.settings, problems)
    _compared(space, objectives, first.settings.run.monitor, problems)
    found = Checked(
        name=_name(settings["study_name"], folder, problems),
        space=space,
        objectives=objectives,
        directions=directions,
        pruner=_pruner(settings, space, first.hyperparameters, problems),
        start=start_points(settings["start_points"], space, problems),
        storage=_storage(settings, folder, problems),
        sampler=str(settings["sampler"]["_target_"]).rpartition(".")[2],
        numbers=_numbers(settings, problems),
        resume=settings["resume"],
        retry_failed=settings["retry_failed"],
        worker=settings["worker"],
    )
    if problems:
        raise ConfigError(problems)
    return found


def _space(
    params: Mapping[Any, Any],
    words: Sequence[str],
    first: Resolved,
    options: ConfigLoader | None,
    problems: list[str],
) -> Space:
    """The space of ``hydra.sweeper.params`` and the words, which win over it."""
    unknown = [key for key in map(str, params) if key.lstrip("+") not in known() and not is_hydra(key)]
    problems.extend(f"{SWEEPER}.params: {show(key)} is no setting{near(key, known())}" for key in unknown)
    typed = [*(f"{key}={value}" for key, value in params.items()), *words]
    return spaces.read_space(typed, base=spaces.base_of(first), options=options)


def _pruner(
    settings: Mapping[str, Any], space: Space, values: Hyperparameters, problems: list[str]
) -> Mapping[str, Any]:
    """The pruner, which looks at all trials after the same epochs: so the longest run and warm-up of any settle it."""
    node = settings["pruner"] or {"name": "none"}
    found: Mapping[str, Any] = settled(
        node,
        max_epochs=_highest(space, "max_epochs", values.max_epochs),
        warmup_epochs=_highest(space, "warmup_epochs", values.warmup_epochs),
    )
    problems.extend(complaints(partial(make_pruner, found)))
    return found


def _highest(space: Space, name: str, usual: int) -> int:
    """The highest value of a whole-number setting that any trial may have; ``usual`` where it does not vary."""
    distribution: Any = space.distributions.get(name)
    values = getattr(distribution, "choices", None) or [getattr(distribution, "high", usual)]
    return max((value for value in values if is_int(value)), default=usual)


def _storage(settings: Mapping[str, Any], folder: Path, problems: list[str]) -> str:
    storage = str(settings["storage"] or folder / JOURNAL)
    if is_database(storage):
        from visrun.sweep.database import checked  # and with it sqlalchemy

        problems.extend(complaints(partial(checked, storage)))
    return storage


def _numbers(settings: Mapping[str, Any], problems: list[str]) -> Numbers:
    n_trials, n_jobs, rate = (settings[name] for name in ("n_trials", "n_jobs", "max_failure_rate"))
    problems.extend(count_problems(n_trials, n_jobs))
    if not is_number(rate) or not 0 <= rate <= 1:
        problems.append(f"{SWEEPER}.max_failure_rate={show(rate)}: must be between 0 and 1")
    timeout: Any = duration(settings["timeout"])
    if timeout is not None and not (is_number(timeout) and timeout > 0):
        problems.append(f"{SWEEPER}.timeout={show(timeout)}: must be seconds above 0, or a text such as 1h30m")
    return Numbers(n_trials, n_jobs, rate, timeout)


def _name(given: Any, folder: Path, problems: list[str]) -> str:
    """The study's name; that of its folder where none is given."""
    if given is not None and not NAME.fullmatch(str(given)):
        problems.append(f"{SWEEPER}.study_name={show(given)}: must be letters, digits, _ - . and / between folders")
    return str(given or folder.name)


def _objectives(
    settings: Mapping[str, Any], run: Settings, problems: list[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    task = run.task
    entry = TASKS[task].judged_by(run.run.monitor)
    named = settings["objectives"] or [entry.monitor]
    names = tuple(str(name) for name in (named if isinstance(named, (list, tuple)) else [named]))
    given_by = (entry.monitor, *MEASURES)
    for name in dict.fromkeys(names):
        if name not in given_by:
            hint = f"; run.monitor={name} changes that" if name in entry.metrics else did_you_mean(name, given_by)
            problems.append(f"{SWEEPER}.objectives={show(name)}: task={task} gives {one_of(given_by)}{hint}")
        elif names.count(name) > 1:
            problems.append(f"{SWEEPER}.objectives: {name} is named twice")
    usual = ["maximize" if name == entry.monitor and entry.maximize else "minimize" for name in names]
    given = settings["direction"]
    if given is None:
        return names, tuple(usual)
    listed = given if isinstance(given, (list, tuple)) else [given]
    directions = tuple(item.name if isinstance(item, Enum) else str(item) for item in listed)
    wrong = [direction for direction in directions if direction not in ("maximize", "minimize")]
    problems.extend(f"{SWEEPER}.direction={show(direction)}: must be maximize or minimize" for direction in wrong)
    if len(directions) != len(names):
        problems.append(
            f"{SWEEPER}.direction={show(list(directions))}: there are {len(names)} objectives ({', '.join(names)}); "
            f"name them with {SWEEPER}.objectives, among {one_of(given_by)}"
        )
    return names, directions


def _compared(space: Space, objectives: Sequence[str], monitor: str | None, problems: list[str]) -> None:
    """Trials of several tasks, or that monitor several metrics, are compared by what all of them have."""
    if set(objectives) <= set(MEASURES):
        return
    named = space.dimensions.get("run.monitor")
    if named and len(named.values or ()) > 1:
        values = ",".join(map(show, named.values or ()))
        problems.append(
            f"{SWEEPER}.objectives: trials of run.monitor={values} choose by different metrics; give it one value"
        )
    varied = space.dimensions.get("task")
    tasks = [task for task in (varied.values or () if varied else ()) if task in TASKS]
    entries = {task: TASKS[task].judged_by(monitor) for task in tasks}
    judges = {(entry.monitor, entry.maximize) for entry in entries.values()}
    if len(judges) > 1:
        metrics = ", ".join(f"{task} {entry.monitor}" for task, entry in entries.items())
        problems.append(
            f"{SWEEPER}.objectives: trials of task={','.join(tasks)} have different metrics ({metrics}), which cannot "
            f"be compared; sweep over one task, or choose {one_of(list(MEASURES))}"
        )
