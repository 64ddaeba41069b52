"""The epochs of a run, as metrics.jsonl has them, and which of them is the best."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from visrun.errors import UserError
from visrun.files import read_plain
from visrun.numbers import numbers_of
from visrun.patience import is_better
from visrun.tables.entries import TaskEntry

Row = dict[str, float]  # an epoch's finite numbers; "epoch" itself is whole and counts from 1


def read_epochs(path: Path, most: int = sys.maxsize) -> list[Row]:
    """The epochs of a metrics.jsonl of at most ``most`` bytes, see :func:`epochs_in`; [] where it is missing.

    Raises:
        UserError: The file cannot be read.
    """
    try:
        return epochs_in(read_plain(path, most)) if path.exists() else []
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not readable ({error})") from None


def epochs_in(content: bytes) -> list[Row]:
    """The epochs of lines of JSON, ascending.

    A line that is broken, cut short or no epoch's is left out; of an epoch that was written twice the later one counts.

    Raises:
        ValueError: The content is no text.
    """
    rows: dict[int, Row] = {}
    for line in content.decode().split("\n"):
        try:
            row = numbers_of(json.loads(line))
        except (ValueError, RecursionError):
            continue
        epoch = row.get("epoch", 0.0)
        if epoch >= 1 and epoch.is_integer():
            rows[int(epoch)] = {**row, "epoch": int(epoch)}
    return [rows[epoch] for epoch in sorted(rows)]


def monitor_of(rows: Sequence[Row], entry: TaskEntry) -> str:
    """The name of the task's monitor among the metrics of these epochs."""
    return entry.monitored({key for row in rows for key in row})


def best_row(rows: Sequence[Row], monitor: str, *, maximize: bool) -> Row | None:
    """The best epoch by the metric ``monitor``; None where no epoch has it."""
    missing = math.nan if any("val_loss" in row for row in rows) else math.inf  # one that is not finite is not written
    best, value, best_loss = None, None, math.inf
    for row in rows:
        loss = row.get("val_loss", missing)
        if is_better(row.get(monitor), value, maximize=maximize, loss=loss, best_loss=best_loss):
            best, value, best_loss = row, row[monitor], loss
    return best
