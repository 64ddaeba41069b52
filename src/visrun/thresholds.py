"""From which score on something is reported: as it is typed, and what each score would give as the threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from visrun.anomaly.curves import Counts
from visrun.build import call
from visrun.errors import UserError
from visrun.files import csv_of
from visrun.tasks.base import Selecting, SelectingByClass, Task
from visrun.text import composed

COLUMNS = ("class", "threshold", "recall", "false_positive_rate", "precision", "f1")
DIGITS = 6  # of all of them but the threshold, which has as many as it needs

Asked = float | dict[str, float]


@runtime_checkable
class Graded(Protocol):
    """A metric of scores that knows how many samples reach each of them: of each class, or under no name, "", of all.

    None of a metric that has seen nothing.
    """

    def counts(self) -> Mapping[str, Counts]: ...


def asked_for(threshold: float | str | Mapping[str, float], *, classes: Sequence[str] = ()) -> Asked:
    """A threshold as it is given or typed: ``0.5``, or of classes ``cat:0.8`` or ``cat:0.8,dog:0.3``.

    Args:
        classes: Their names, as far as known: some hold a colon, a number and a comma themselves.

    Raises:
        UserError: It is none of these, no finite number, or names no class or one twice.
    """
    if isinstance(threshold, Mapping):
        if not threshold:
            raise UserError("threshold={}: names no class; leave it out, or give one, as in {'cat': 0.8}")
        return {composed(str(name)): _finite(value, threshold) for name, value in threshold.items()}
    if not isinstance(threshold, str) or ":" not in threshold:
        return _finite(threshold, threshold)
    found: dict[str, float] = {}
    begun = ""
    for part in composed(threshold).split(","):
        name, colon, value = f"{begun}{part}".rpartition(":")
        goes_on = name not in classes and any(one.startswith(f"{begun}{part},") for one in classes)
        if goes_on or not (colon and name and _is_number(value)):  # a class may have a comma in its name
            begun += f"{part},"
            continue
        if name in found:
            raise UserError(f"threshold={threshold}: names {name} twice; give each class one number")
        found[name], begun = float(value), ""
    if begun:
        raise UserError(f"threshold={threshold}: must be a number, or CLASS:NUMBER, several with commas between them")
    return {name: _finite(value, threshold) for name, value in found.items()}


def select(task: Task, asked: Asked, *, name: str, highest: float = math.inf) -> None:
    """Let ``task``, which is called ``name``, report what reaches the threshold.

    ``highest`` is the greatest score of its model, for a task that does not know it: whose ``select`` names it.

    Raises:
        UserError: The task takes no such one.
    """
    if isinstance(asked, dict):
        if not isinstance(task, SelectingByClass):
            typed = ",".join(f"{one}:{value:g}" for one, value in asked.items())
            instead = "give one number for all" if isinstance(task, Selecting) else "leave it out"
            raise UserError(f"threshold={typed}: task={name} has no thresholds of single classes; {instead}")
        task.select_classes(asked)
        return
    if not isinstance(task, Selecting):
        raise UserError(f"threshold={asked:g}: task={name} reports all of an image")
    call(task.select, {"highest": highest}, asked)


def require_graded(task: Task, typed: str, *, name: str) -> None:
    """Refuse what was ``typed`` of a task, which is called ``name``, whose metrics depend on no threshold.

    Raises:
        UserError: As they do.
    """
    if not isinstance(task.metric(), Graded):
        raise UserError(f"{typed}: the metrics of task={name} depend on no threshold; leave it out")


def least_recall(text: str) -> float:
    """The recall that is typed, above 0 and up to 1.

    Raises:
        UserError: It is none.
    """
    if not (_is_number(text) and 0 < float(text) <= 1):
        raise UserError(f"recall={text}: must be a number > 0 and <= 1, the share that a threshold is to find")
    return float(text)


def at_recall(metric: Graded, least: float, *, split: str) -> list[dict[str, Any]]:
    """Of each class, or of the one score, what the highest threshold gives that reaches a recall: ``COLUMNS``.

    Raises:
        UserError: The split shows nothing that is to be found.
    """
    found = [_row(name, point) for name, each in metric.counts().items() if (point := each.at_recall(least))]
    if not found:
        raise UserError(f"recall={least:g}: {split} has no image of what is to be found; name one that has, as split=")
    return found


def told(row: Mapping[str, Any]) -> str:
    """A row of `at_recall` in a line, which begins as ``visrun predict`` takes the threshold."""
    name = f"{row['class']}:" if "class" in row else ""
    rest = [f"{key.replace('_', ' ')} {row[key]:g}" for key in COLUMNS[2:] if key in row]
    return f"threshold={name}{row['threshold']!r}  {'  '.join(rest)}"


def table(metric: Graded) -> bytes:
    """The CSV of what each score would give as the threshold, of ``COLUMNS`` those that any has."""
    rows = [_row(name, point) for name, each in metric.counts().items() for point in each.points()]
    names = [name for name in COLUMNS if any(name in row for row in rows)]
    return csv_of([names, *([row.get(name, "") for name in names] for row in rows)])


def _row(name: str, point: Mapping[str, float]) -> dict[str, Any]:
    digits = {key: value if key == "threshold" else float(f"{value:.{DIGITS}g}") for key, value in point.items()}
    return ({"class": name} if name else {}) | {key: digits[key] for key in COLUMNS if key in digits}


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _finite(value: object, given: object) -> float:
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise UserError(f"threshold={given}: must be a number, the score from which on something is reported")
    return found
