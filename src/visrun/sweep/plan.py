"""What a sweep is to do, settled and checked before anything is written."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from visrun.config.compose import Resolved
from visrun.config.lines import Line, texts
from visrun.config.setting_rules import facts_of, why_unread
from visrun.config.sweeper import AUTO, SEARCH, SWEEPER
from visrun.errors import ConfigError
from visrun.sweep.checks import Checked, check_settings
from visrun.sweep.points import Trials, own_point, trials_of
from visrun.sweep.space import Searched, Space, composed, own_words
from visrun.sweep.study import Params
from visrun.sweep.trial import MEASURES
from visrun.tables import TASKS

FEWEST = 10  # trials of a search that is pruned unasked: one in four of them goes on
GRID = "optuna.samplers.GridSampler"
EVERY = "every combination once"  # in the place of a sampler's name
SIZES = ("data.image_size", "data.resize")  # which metrics of pixels depend on
MakeSampler = Callable[[Sequence[FrozenTrial]], BaseSampler]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A sweep, settled.

    Args:
        name: The study's name.
        folder: Where the sweep writes; trial k into folder/k.
        storage: As :func:`visrun.sweep.storage.open_storage` takes it.
        searched: What varies, over what does not.
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
        retry_failed: Whether the trials of earlier sittings that failed are run again.
        worker: Whether this process only works for a study that another one leads.
        first: The sweep's first job.
        command: The words behind ``visrun``.
        extend: Draws more parameters for a trial, or None; ``custom_search_space`` of the official sweeper.
        notices: Lines that say what was decided for the user.
        warnings: Lines about what the user probably did not mean.
    """

    name: str
    folder: Path
    storage: str
    searched: Searched
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
    retry_failed: bool
    worker: bool
    first: Resolved
    command: tuple[str, ...]
    extend: Callable[[Any], None] | None = None
    notices: tuple[str, ...] = field(default=())
    warnings: tuple[str, ...] = field(default=())

    @property
    def space(self) -> Space:
        """What varies."""
        return self.searched.space

    @property
    def searches(self) -> bool:
        """Whether a sampler chooses the points, but for those to start with; else all of them are known beforehand."""
        return _searches(self.sampler)


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
        settings: As :func:`visrun.sweep.checks.check_settings` takes them.
        words: The swept and fixed words, as Hydra takes them.
        folder: ``hydra.sweep.dir``; its last part is the study's name where none is set.
        extend: See :class:`Plan`; all but a grid is then searched.

    Raises:
        ConfigError: With everything that is wrong, one line each.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 - "." and ".." are no names, links stay as they are
    read = check_settings(settings, words, folder=folder, first=first, options=options)
    searched = composed(read.space, first, resolve)
    own = partial(_own_points, searched, resolve)
    grid = read.sampler == GRID.rpartition(".")[2]
    wanted, extended = read.numbers.n_trials, extend is not None
    trials = trials_of(searched, wanted=wanted, start=read.start, own=own, grid=grid, extended=extended)
    sampler = EVERY if trials.all_of_them else read.sampler
    pruner, unjudged = _settled_pruner(read, trials, searches=_searches(sampler))
    return Plan(
        name=read.name,
        folder=folder,
        storage=read.storage,
        searched=searched,
        objectives=read.objectives,
        directions=read.directions,
        n_trials=trials.number,
        points=tuple(trials.points),
        n_jobs=read.numbers.n_jobs,
        max_failure_rate=read.numbers.max_failure_rate,
        timeout=read.numbers.timeout,
        pruner=pruner,
        sampler=sampler,
        make_sampler=make_sampler,
        extend=extend,
        resume=read.resume,
        retry_failed=read.retry_failed,
        worker=read.worker,
        first=first,
        command=tuple(command),
        notices=(*read.space.notices, *trials.notices, *unjudged),
        warnings=tuple(warnings_of(first, searched)),
    )


def warnings_of(first: Resolved, searched: Searched) -> list[str]:
    """The first job's, less those about values that some other trial reads; why nothing varies; and what cannot be held
    against one another."""

    def by_another(line: Line) -> bool:
        return line.kind == "unread" and searched.some_read(line.keys[0])

    left = [line for line in first.warnings if not by_another(line)]
    lines, told = texts(left), {line.keys[0] for line in left if line.kind == "unread"}
    varied = searched.space.dimensions
    if not any(searched.some_read(name) for name in varied):
        facts = facts_of(first.hyperparameters, first.settings)
        idle = {name: why_unread(name, facts) for name in varied if name not in told}
        lines += [f"nothing varies: {why}" for why in idle.values() if why]
    entry = TASKS[first.settings.task].judged_by(first.settings.run.monitor)
    sized = [key for key in SIZES if key in varied]
    if sized and entry.is_by_pixel(entry.monitor):
        why = f"{entry.monitor} is measured on the pixels of training images, so trials have several rulers"
        lines.append(f"{' and '.join(sized)} varies: {why}")
    return lines


def _searches(sampler: str) -> bool:
    return sampler not in (EVERY, GRID.rpartition(".")[2])


def _settled_pruner(read: Checked, trials: Trials, *, searches: bool) -> tuple[Mapping[str, Any], list[str]]:
    """The pruner that ``auto`` stands for in this sweep, any other as it is; and a line where it can judge no trial.

    The trials of a grid are there to be compared, also where ``n_trials`` cuts it short: ``auto`` prunes none of them.
    """
    pruner, unjudged = read.pruner, _unjudged(read.objectives)
    if pruner["name"] == AUTO:
        prunes = searches and not unjudged and trials.number >= FEWEST
        pruner = {**pruner, "name": SEARCH} if prunes else {"name": "none"}
    said = unjudged and pruner["name"] != "none"
    return pruner, [f"{SWEEPER}.pruner={pruner['name']}: no trial is pruned where {unjudged}"] if said else []


def _unjudged(objectives: Sequence[str]) -> str:
    """Why no pruner can judge trials by these objectives; "" where one can: by the task's metric alone."""
    if len(objectives) > 1:
        return "there are several objectives"
    return f"the objective is {objectives[0]}" if objectives[0] in MEASURES else ""


def _own_points(searched: Searched, resolve: Callable[[Sequence[str]], Resolved]) -> list[Params]:
    """The point of the command without its sweep; none where that would be no run, or one outside of the space."""
    try:
        point = own_point(resolve(own_words(searched.space)), searched)
    except ConfigError:
        return []
    return [point] if point else []
