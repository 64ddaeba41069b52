"""A sweep's trials.csv, read."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

from visrun.errors import UserError
from visrun.files import read_plain
from visrun.numbers import number_or_none
from visrun.record.sweep_files import TABLE
from visrun.run_files import BEST, FILE_NAME, METRICS
from visrun.text import some

NOTES = ("epochs", "seconds", "reason", "folder")  # columns behind values and parameters
FACTS = ("number", "state", *NOTES, BEST)  # all columns beside them
SETTLED = ("complete", "pruned", "failed")  # states of a trial that count as ended


def table_of(folder: Path) -> tuple[list[str], dict[int, dict[str, str]]]:
    """The head of trials.csv, and its rows by number."""
    try:
        reader = csv.DictReader(io.StringIO(read_plain(folder / TABLE).decode("utf-8-sig"), newline=""))
        rows = {int(row["number"]): row for row in reader if str(row.get("number", "")).isdecimal()}
        return list(reader.fieldnames or ()), rows
    except (OSError, ValueError, csv.Error):
        return [], {}


def place_of(sweep: Path, number: int, named: str | None) -> Path:
    """Where a trial's run lies: at its usual place in the sweep's folder, else where it began, as it has ``named`` it.

    A sweep may have been moved since, and what lies where a trial began be another sweep's.
    """
    usual = sweep / str(number)
    return usual if not named or (usual / FILE_NAME).is_file() else sweep / named


def trial_of(folder: Path) -> Path:
    """The trial that ``best/``, or ``best/NUMBER`` of a front, stands for; any other folder is its own.

    The sweep's trials.csv names it.
    """
    of_front = folder.parent.name == BEST and folder.name.isdecimal()
    if (folder / METRICS).exists() or not (of_front or folder.name == BEST):
        return folder
    sweep = folder.parents[1] if of_front else folder.parent
    rows = table_of(sweep)[1]
    numbers = [int(folder.name)] if of_front else [number for number, row in rows.items() if row.get(BEST)]
    places = [place_of(sweep, number, rows.get(number, {}).get("folder")) for number in numbers]
    return next((place for place in places if (place / FILE_NAME).is_file()), folder)


def best_trial_of(path: Path) -> Path:
    """The best trial of a sweep, named by its folder or by its ``best/``; a folder of no sweep is its own.

    Raises:
        UserError: Several trials are best, or none is complete.
    """
    best = path if path.name == BEST and not (path / TABLE).exists() else path / BEST  # a sweep may be called so
    front = sorted(best.glob(f"[0-9]*/{FILE_NAME}"), key=lambda file: int(file.parent.name))
    if (best / FILE_NAME).is_file() or len(front) == 1:
        return trial_of(front[0].parent if front else best)
    if front:
        raise UserError(f"{path}: a sweep with a Pareto front; name one of {some(str(file.parent) for file in front)}")
    if (path / TABLE).exists():
        raise UserError(f"{path}: no trial of this sweep is complete; name the folder of one that finished an epoch")
    return trial_of(path)


def finite_in(text: str | None) -> float | None:
    """The finite number in a cell, or None."""
    value = number_or_none(text or "")
    return value if value is not None and math.isfinite(value) else None
