"""Which runs are meant: run folders, their experiment.json, and sweep folders that stand for their trials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from visrun.compare.runs import Run, read_run
from visrun.config.loss_scales import on_one_scale
from visrun.errors import ConfigError, UserError
from visrun.folders import expanded
from visrun.record.run_settings import text
from visrun.record.sweep_table import table_of, trial_of
from visrun.run_files import BEST, FILE_NAME

MOST_TRIALS = 10  # of one sweep


def find(given: Sequence[Path]) -> tuple[list[Run], list[str]]:
    """The runs that folders and files stand for, and what is to be said of them, one line each.

    Args:
        given: Run folders, their experiment.json, or sweep folders, which stand for their trials, best first and at
            most ``MOST_TRIALS`` of each.

    Raises:
        UserError: Something given is no run (every one of them is named), fewer than two runs are left, or their tasks
            differ.
    """
    runs: dict[Path, Run] = {}
    problems, notes = [], []
    for path in given:
        try:
            found, lines = _runs_at(path)
        except UserError as error:
            problems.append(str(error))
            continue
        runs |= {run.folder: run for run in found if run.folder not in runs}
        notes += lines
    if problems:
        raise ConfigError(problems)
    if len(runs) < 2:
        raise UserError(f"visrun compare needs two runs or more, and was given {', '.join(map(str, runs)) or 'none'}")
    tasks = {run.task: run.folder for run in runs.values()}
    if len(tasks) > 1:
        told = ", ".join(f"{folder} is task={task}" for task, folder in tasks.items())
        raise UserError(f"runs of different tasks share no metric, so they cannot be compared: {told}")
    names = short_names(list(runs))
    return [replace(run, name=name) for run, name in zip(runs.values(), names, strict=True)], notes


def _runs_at(path: Path) -> tuple[list[Run], list[str]]:
    folder = expanded(path.parent if path.name == FILE_NAME else path).absolute()
    if not folder.exists():
        raise UserError(f"{path}: no such file or folder; name a run's or a sweep's")
    if not folder.is_dir():
        raise UserError(f"{path}: no run's folder, and not its {FILE_NAME}; name one of these")
    if (folder / FILE_NAME).is_file() or path.name == FILE_NAME:
        return [read_run(trial_of(folder))], []
    trials = [child for child in sorted(folder.iterdir(), key=_by_number) if (child / FILE_NAME).is_file()]
    trials = [trial_of(child) for child in _counting(folder, trials) if child.name != BEST]
    if not trials:
        raise UserError(f"{path}: neither a run nor a sweep (no {FILE_NAME} in it nor in a folder of it); name one")
    return _best_trials(folder, trials)


def _counting(folder: Path, trials: Sequence[Path]) -> list[Path]:
    """The trials less those that were stopped and begun anew by another number: trials.csv passes over theirs."""
    listed = table_of(folder)[1]
    newest = max(listed, default=-1)

    def counts(trial: Path) -> bool:
        return not trial.name.isdecimal() or int(trial.name) > newest or int(trial.name) in listed

    return [*filter(counts, trials)]


def _best_trials(folder: Path, trials: Sequence[Path]) -> tuple[list[Run], list[str]]:
    """As the sweep ranks them: the finished ones first, since the value of another may be of a run that went astray."""
    runs, notes = [], []
    for trial in trials:
        try:
            runs.append(read_run(trial))
        except UserError as error:
            notes.append(f"left out: {error}")
    if not runs:
        raise UserError(f"{folder}: none of its {len(trials)} trials can be read; {notes[0]}")
    sign = -1 if runs[0].entry.maximize else 1
    varied = [key for key in runs[0].settings if len({run.settings.get(key) for run in runs}) > 1]
    ties = on_one_scale(varied, task=runs[0].task)
    runs.sort(key=lambda run: (not run.finished, _or_last(run.value, sign), _or_last(run.val_loss) if ties else 0.0))
    if len(runs) > MOST_TRIALS:
        notes.append(f"{folder}: the best {MOST_TRIALS} of {len(runs)} trials by {runs[0].monitor}")
    return runs[:MOST_TRIALS], notes


def _or_last(value: float | None, sign: int = 1) -> float:
    return math.inf if value is None else sign * value


def _by_number(path: Path) -> tuple[int, int, str]:
    return (0, int(path.name), "") if path.name.isdecimal() else (1, 0, path.name)


def short_names(folders: Sequence[Path]) -> list[str]:
    """For each folder as few of its last parts as make it differ from all others; of a trial its sweep's name too."""
    names = []
    for folder in folders:
        others = [other for other in folders if other != folder]
        least = 2 if folder.name.isdecimal() else 1
        counts = range(least, len(folder.parts) + 1)
        count = next(n for n in counts if all(_tail(other, n) != _tail(folder, n) for other in others))
        names.append(text(str(Path(*_tail(folder, count)))))
    return names


def _tail(folder: Path, count: int) -> tuple[str, ...]:
    return folder.parts[-count:]
