"""What a sweep leaves in its folder, brought up to date as often as one likes while it runs.

optimization_results.yaml   best parameters and value, or the Pareto front, under the keys of Hydra's Optuna sweeper
trials.csv                  a row a trial
best/experiment.json        reruns the best trial; for a Pareto front best/NUMBER/experiment.json, one a trial of it

    >>> write_results(study, study.trials, Path("multirun/digits"))
    []

Every file is written beside its place and renamed over it: a reader sees the old one or the new one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from visrun.config import plugins
from visrun.files import csv_of, update
from visrun.record.sweep_files import RESULTS, TABLE
from visrun.record.sweep_table import NOTES, place_of
from visrun.run_files import BEST, FILE_NAME
from visrun.sweep.drawing import short
from visrun.sweep.trials import (
    STATES,
    by_number,
    counts,
    epochs_of,
    leaders,
    objectives,
    params_of,
    reason_of,
    values_of,
)
from visrun.text import plural, some
from visrun.varied import VARIED

MAX_FRONT, MAX_REASONS, MAX_NUMBERS, MAX_REASON = 10, 5, 6, 200  # what the closing lines show of each
CHANCE = frozenset(VARIED.values())  # parameters of which no value is better: the best trial is the luckiest
CHOOSE_DATA = frozenset({"data", "task", "experiment", "recipe"})  # parameters, or their sections
MOST_DIGITS = 1e15  # of a whole number that a float holds
NUMBER = re.compile(r"\d+(?:[.,]\d+)*(?:e[+-]?\d+)?")


def write_results(study: Study, trials: Sequence[FrozenTrial], folder: Path) -> list[str]:
    """Bring all files of the sweep's folder up to date.

    Args:
        study: The study; its directions and the names of its objectives are read.
        trials: The trials that count.
        folder: The sweep's folder, made where it is missing.

    Returns:
        What could not be done, one line each: trials of ``best/`` that left no experiment.json.

    Raises:
        VisrunError: A file cannot be written.
    """
    front = leaders(trials, study.directions)
    update(folder / RESULTS, OmegaConf.to_yaml(OmegaConf.create(summary(study, front))).encode())
    update(folder / TABLE, csv_of(rows(study, trials, front)))
    return copy_best(study, front, folder)


def summary(study: Study, front: Sequence[FrozenTrial]) -> dict[str, Any]:
    """The content of optimization_results.yaml; the name alone where no trial leads."""
    if not front:
        return {"name": "optuna"}
    if len(study.directions) == 1:
        return {"name": "optuna", "best_params": front[0].params, "best_value": values_of(front[0], 1)[0]}
    several = [{"params": trial.params, "values": values_of(trial, len(study.directions))} for trial in front]
    return {"name": "optuna", "solutions": several}


def rows(study: Study, trials: Sequence[FrozenTrial], front: Sequence[FrozenTrial]) -> list[list[str]]:
    """trials.csv: the head and a row a trial, in order of number.

    A parameter with the name of another column stands under ``params.NAME``; one that was not sampled is blank, and
    one whose value is None is ``null``. A pruned trial's value is its last epoch's. The folder of a queued trial is
    that of the trial it stands for, below the sweep's. ``best`` says yes of those in ``front``: the best trial, or the
    Pareto front.
    """
    names = objectives(study)
    facts = [fact for fact in NOTES if fact not in names]
    taken = {"number", "state", *names, *facts, BEST}
    leading = {trial.number for trial in front}
    params = list(dict.fromkeys(name for trial in by_number(trials) for name in params_of(trial)))
    head = [*(f"params.{name}" if name in taken else name for name in params)]
    table = [["number", "state", *names, *head, *facts, BEST]]
    for trial in by_number(trials):
        set_to, known = params_of(trial), {fact: _fact(trial, fact) for fact in NOTES}
        values = [_whole(value) or _cell(value) for value in values_of(trial, len(names))]
        values = [cell or known.get(name, "") for name, cell in zip(names, values, strict=True)]
        cells = [("null" if set_to[name] is None else _cell(set_to[name])) if name in set_to else "" for name in params]
        ended = [*(known[fact] for fact in facts), "yes" if trial.number in leading else ""]
        table.append([str(trial.number), STATES[trial.state], *values, *cells, *ended])
    return table


def copy_best(study: Study, front: Sequence[FrozenTrial], folder: Path) -> list[str]:
    """Make ``best/`` hold experiment.json of the best trial, or of each of the Pareto front, and of no other.

    Args:
        study: The study.
        front: The best trial, or the Pareto front.
        folder: The sweep's folder.

    Returns:
        A line for each of these trials that left no experiment.json.
    """
    best, missing = folder / BEST, []
    kept: set[Path] = set()
    for trial in front:
        source = _experiment_of(trial, folder)
        target = _best_file(study, trial, folder)
        if source is None:
            missing.append(f"trial {trial.number} left no {FILE_NAME} to copy to {target.parent}")
            continue
        update(target, source)
        kept.add(target)
    # New files stand before old ones go; what else a user keeps in the folder is left alone.
    for old in [best / FILE_NAME, *best.glob(f"[0-9]*/{FILE_NAME}")]:
        if old not in kept:
            old.unlink(missing_ok=True)
            if old.parent != best and not any(old.parent.iterdir()):
                old.parent.rmdir()
    return missing


def closing_lines(study: Study, trials: Sequence[FrozenTrial], *, folder: Path, link: str | None = None) -> list[str]:
    """The end of a sweep in plain lines; the last one tells how many trials there were, or how many of them failed.

    Args:
        study: The study.
        trials: The trials that count.
        folder: The sweep's folder, with ``best/`` as ``write_results`` left it.
        link: Where MLflow shows the sweep.
    """
    varied = _varied(trials)
    by_chance = len(study.directions) == 1 and varied and varied <= CHANCE
    lines = [] if by_chance else _best_lines(study, trials, folder=folder)
    if link:
        lines.append(f"MLflow: {link}")
    lines.append(f"{plural(len(trials), 'trial')}: {counts(trials)}" if trials else "0 trials")
    failed = [trial for trial in by_number(trials) if trial.state is TrialState.FAIL]
    if failed:
        ended = sum(trial.state.is_finished() for trial in trials)
        lines.append(f"{len(failed)} of {plural(ended, 'trial')} failed: {'; '.join(_reasons(failed))}")
    return lines


def _varied(trials: Sequence[FrozenTrial]) -> set[str]:
    """The names of the parameters of trials."""
    return {name for trial in trials for name in params_of(trial)}


def of_other_data(trials: Sequence[FrozenTrial]) -> str | None:
    """A line on trials whose dataset has changed since, so that their values are of other images than the latest's."""
    latest: dict[Any, str] = {}
    told = [trial for trial in by_number(trials) if "data" in trial.user_attrs]
    for trial in told:
        latest[_choosing(trial)] = trial.user_attrs["data"]
    older = [str(trial.number) for trial in told if trial.user_attrs["data"] != latest[_choosing(trial)]]
    if not older:
        return None
    numbers = f"{'trial' if len(older) == 1 else 'trials'} {some(older, MAX_NUMBERS)}"
    return f"{numbers} ended before the dataset changed: values of other data do not compare; sweep into another folder"


def _choosing(trial: FrozenTrial) -> tuple[tuple[str, str], ...]:
    """The parameters that may choose another dataset."""
    chosen = (pair for pair in params_of(trial).items() if pair[0].partition(".")[0] in CHOOSE_DATA)
    return tuple(sorted((name, repr(value)) for name, value in chosen))


def _best_lines(study: Study, trials: Sequence[FrozenTrial], *, folder: Path) -> list[str]:
    front, names = leaders(trials, study.directions), objectives(study)
    if not front:
        return ["no trial is complete, so there is no best one"]
    single = len(names) == 1
    lines = [] if single else [f"Pareto front: {len(front)} of {plural(len(trials), 'trial')}"]
    for trial in front[:MAX_FRONT]:
        pairs = zip(names, values_of(trial, len(names)), strict=True)
        values = ", ".join(f"{name} {_whole(value) or short(value)}" for name, value in pairs)
        values = f"best {values}, trial {trial.number}" if single else f"trial {trial.number}: {values}"
        params = " ".join(f"{name}={'null' if value is None else value}" for name, value in trial.params.items())
        lines.append(f"{values}: {params}" if params else values)
        target = _best_file(study, trial, folder).absolute()
        if target.is_file():
            shown = target.relative_to(Path.cwd()) if target.is_relative_to(Path.cwd()) else target
            lines.append(f"rerun it: {plugins.command(f'experiment={shown}')}")
    if len(front) > MAX_FRONT:
        lines.append(f"{len(front) - MAX_FRONT} more in {folder / RESULTS}")
    if by_luck := CHANCE & _varied(trials):
        lines.append(f"trials differ in {' and '.join(sorted(by_luck))}, too: the best one is also a lucky one")
    return lines


def _reasons(failed: Sequence[FrozenTrial]) -> list[str]:
    """The reasons, the most frequent first, with their trials. Those that differ in numbers alone are one."""
    groups: dict[str, list[FrozenTrial]] = {}
    for trial in failed:
        groups.setdefault(NUMBER.sub("…", reason_of(trial)), []).append(trial)
    lines = []
    for members in sorted(groups.values(), key=len, reverse=True):
        reason = _shared([reason_of(trial) for trial in members]) or "no reason is known"
        reason = reason if len(reason) <= MAX_REASON else reason[: MAX_REASON - 1] + "…"
        numbers = some((str(trial.number) for trial in members), MAX_NUMBERS)
        lines.append(f"{reason} ({'trial' if len(members) == 1 else 'trials'} {numbers})")
    hidden = len(lines) - MAX_REASONS
    return [*lines[:MAX_REASONS], *([f"{plural(hidden, 'other reason')}, see {TABLE}"] if hidden > 0 else [])]


def _shared(reasons: Sequence[str]) -> str:
    """The text of reasons that differ in numbers alone, with the numbers that all have, such as those of a path."""
    columns = zip(*map(NUMBER.findall, reasons), strict=False)
    numbers = (column[0] if len(set(column)) == 1 else "…" for column in columns)
    return NUMBER.sub(lambda _: next(numbers, "…"), reasons[0])


def _best_file(study: Study, trial: FrozenTrial, folder: Path) -> Path:
    best = folder / BEST
    return (best if len(study.directions) == 1 else best / str(trial.number)) / FILE_NAME


def _experiment_of(trial: FrozenTrial, folder: Path) -> bytes | None:
    """The trial's experiment.json; None where it left none."""
    try:
        return (place_of(folder, trial.number, trial.user_attrs.get("folder")) / FILE_NAME).read_bytes()
    except OSError:
        return None


def _fact(trial: FrozenTrial, name: str) -> str:
    if name == "reason":
        return reason_of(trial)
    if name == "folder" and trial.state is TrialState.WAITING:
        return _cell(trial.user_attrs.get("again"))
    return _cell(epochs_of(trial) if name == "epochs" else trial.user_attrs.get(name))


def _cell(value: Any) -> str:
    return "" if value is None or value != value else str(value)


def _whole(value: float | None) -> str:
    """All digits of a whole number, as a count of parameters; "" of any other."""
    return f"{value:.0f}" if value is not None and value.is_integer() and abs(value) < MOST_DIGITS else ""
