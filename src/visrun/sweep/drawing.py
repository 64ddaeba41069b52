"""The table of a sweep as one picture for a terminal of a given size. Pure: trials in, something rich can print out.

A headline (how many trials, the best one, the time left) stands over a row a trial. Where the trials are more than the
lines, the running ones are shown, the best ones and those that ended last.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from rich.cells import cell_len, set_cell_size
from rich.console import Group
from rich.table import Column
from rich.table import Table as Grid
from rich.text import Text

from visrun.sweep.trials import (
    STATES,
    by_number,
    epochs_of,
    leaders,
    params_of,
    ranking,
    reason_of,
    reported,
    values_of,
)
from visrun.text import one_line, plural

STYLES = {
    TrialState.COMPLETE: "green",
    TrialState.PRUNED: "yellow",
    TrialState.FAIL: "red",
    TrialState.RUNNING: "cyan",
    TrialState.WAITING: "dim",
}
GAP = 2  # blanks between columns
MAX_CELL = 14  # a parameter's width
MAX_NAME = 24  # the study's width in the headline
MIN_REASON = 24  # a narrower column of reasons tells nothing
BEST_ROWS = 5


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What stays the same while a sweep runs.

    Args:
        name: The study's name.
        objectives: The names of the values, the one that trials report each epoch first.
        directions: Theirs.
        n_trials: How many trials the study has in the end.
        slots: How many run at a time.
        epochs: How many epochs a trial has, where its parameters do not say; None where it is unknown.
    """

    name: str
    objectives: Sequence[str]
    directions: Sequence[StudyDirection]
    n_trials: int
    slots: int = 1
    epochs: int | None = None


def draw(
    sweep: Sweep, trials: Sequence[FrozenTrial], *, elapsed: float, now: datetime, width: int, height: int
) -> Group:
    """The headline and the table.

    Args:
        sweep: The sweep.
        trials: The trials that count.
        elapsed: Seconds since this sitting began.
        now: Local time without a zone, as in Optuna's trials.
        width: Columns of the terminal.
        height: Lines of the terminal.
    """
    names = varying(trials)
    labels = {name: _label(name, names) for name in names}
    head_lines = 1 + max((label.count("\n") for label in labels.values()), default=0)
    front = leaders(trials, sweep.directions)
    ranked = front if len(sweep.directions) > 1 else ranking(trials, sweep.directions)
    shown = select(trials, ranked, max(height - head_lines - 4, 3))  # headline, blank, note, the cursor's line
    head = headline(sweep, trials, front=front, elapsed=elapsed, now=now, width=width)
    table, left_out = grid(sweep, shown, labels, stars={trial.number for trial in front}, width=width)
    hidden = sum(trial.state is not TrialState.WAITING for trial in trials) - len(shown)
    more = [plural(count, f"more {noun}") for count, noun in ((hidden, "trial"), (left_out, "parameter")) if count]
    return Group(head, Text(), table, *([Text(cut(", ".join(more), width), style="dim")] if more else []))


def headline(
    sweep: Sweep,
    trials: Sequence[FrozenTrial],
    *,
    front: Sequence[FrozenTrial],
    elapsed: float,
    now: datetime,
    width: int,
) -> Text:
    """One line: what does not fit is left out, the least important first."""
    count = Counter(trial.state for trial in trials)
    ended = sum(trial.state.is_finished() for trial in trials)
    total = max(sweep.n_trials, ended)
    left = time_left(trials, total=total, slots=sweep.slots, now=now)
    # (rank, text, style) in the order they stand in; the highest rank is left out first
    parts = [(5, cut(short(sweep.name), MAX_NAME), "bold"), (0, f"{ended}/{total} done", "bold")]
    for rank, state in ((4, TrialState.RUNNING), (6, TrialState.PRUNED), (3, TrialState.FAIL)):
        if count[state]:
            parts.append((rank, f"{count[state]} {STATES[state]}", STYLES[state]))
    if best := _best_text(sweep, front):
        parts.append((1, best, "bold green"))
    parts.append((7, f"{duration(elapsed)} elapsed", ""))
    if left is not None and ended < total:
        parts.append((2, f"about {duration(left)} left", ""))
    while len(parts) > 1 and sum(cell_len(text) + GAP for _, text, _ in parts) - GAP > width:
        parts.remove(max(parts))
    line = Text(no_wrap=True, overflow="ellipsis")
    for number, (_, text, style) in enumerate(parts):
        line.append(" " * GAP if number else "").append(text, style=style)
    return line


@dataclass(frozen=True)
class Cells:
    """A column: its head, which may have several lines, and a text a row."""

    head: str
    texts: Sequence[str]
    justify: Literal["left", "right"] = "left"

    @property
    def width(self) -> int:
        """Columns of the terminal, with the gap that follows."""
        head = min(max(map(cell_len, self.head.split("\n"))), MAX_CELL)
        return max(head, max(map(cell_len, self.texts), default=0)) + GAP

    def column(self) -> Column:
        """What rich makes the table from."""
        width = self.width - GAP
        head = Text("\n".join(cut(line, width) for line in self.head.split("\n")), style="bold")
        return Column(head, justify=self.justify, vertical="bottom", width=width, no_wrap=True)


def grid(
    sweep: Sweep, trials: Sequence[FrozenTrial], labels: Mapping[str, str], *, stars: set[int], width: int
) -> tuple[Grid, int]:
    """A row a trial, and how many of the parameters in ``labels`` (name -> head) did not fit."""
    marked = [f"{'* ' if trial.number in stars else ''}{trial.number}" for trial in trials]
    first = [Cells("trial", marked, "right"), Cells("state", [STATES[trial.state] for trial in trials])]
    values = [_value_cells(sweep, trial) for trial in trials]
    last = [Cells(name, [cells[place] for cells in values]) for place, name in enumerate(sweep.objectives)]
    room = width + GAP - sum(cells.width for cells in [*first, *last])  # nothing follows the last column
    middle = []
    for name, label in labels.items():
        cells = _param_cells(name, label, trials)
        if cells.width <= room:
            middle.append(cells)
            room -= cells.width
    if room >= MIN_REASON and any(trial.state is TrialState.FAIL for trial in trials):
        reasons = [cut(reason_of(trial), room - GAP) if trial.state is TrialState.FAIL else "" for trial in trials]
        last.append(Cells("reason", reasons))
    columns = [*first, *middle, *last]
    table = Grid(*(cells.column() for cells in columns), box=None, padding=(0, GAP, 0, 0), pad_edge=False)
    for row, trial in enumerate(trials):
        texts = [Text(cells.texts[row], no_wrap=True, overflow="ellipsis") for cells in columns]
        texts[0].stylize("bold green" if trial.number in stars else "")
        texts[1].stylize("bold green" if trial.number in stars else STYLES[trial.state])
        table.add_row(*texts)
    return table, len(labels) - len(middle)


def select(trials: Sequence[FrozenTrial], ranked: Sequence[FrozenTrial], lines: int) -> list[FrozenTrial]:
    """At most ``lines`` trials in order of number: the running, the first of ``ranked`` and those that ended last."""
    running = [trial for trial in by_number(trials) if trial.state is TrialState.RUNNING]
    ended = [trial for trial in trials if trial.state.is_finished()]
    ended.sort(key=lambda trial: (trial.datetime_complete or datetime.min, trial.number), reverse=True)
    wanted = [*ranked[:1], *running, *ranked[:BEST_ROWS], *ended]
    chosen = {trial.number: trial for trial in wanted}
    return by_number(list(chosen.values())[:lines])


def varying(trials: Sequence[FrozenTrial]) -> list[str]:
    """The parameters that are searched over or differ, in the order in which they came up."""
    seen: dict[str, set[Any]] = {}
    searched = set()
    for trial in by_number(trials):
        for name, value in params_of(trial).items():
            seen.setdefault(name, set()).add(repr(value))
            if name in trial.distributions and not trial.distributions[name].single():
                searched.add(name)
    return [name for name, values in seen.items() if name in searched or len(values) > 1]


def time_left(trials: Sequence[FrozenTrial], *, total: int, slots: int, now: datetime) -> float | None:
    """Seconds until the last of ``total`` trials ends if each takes the mean of the ended ones; None before one has."""
    took = [
        trial.duration.total_seconds() for trial in trials if trial.state.is_finished() and trial.duration is not None
    ]
    if not took:
        return None
    mean = max(sum(took) / len(took), 0.0)
    starts = [trial.datetime_start or now for trial in trials if trial.state is TrialState.RUNNING]
    ended = sum(trial.state.is_finished() for trial in trials)
    free = [max(mean - max((now - start).total_seconds(), 0.0), 0.0) for start in starts]
    free += [0.0] * max(slots - len(free), 0 if free else 1)
    heapq.heapify(free)
    for _ in range(total - ended - len(starts)):  # each queued trial goes to the slot that is free first
        heapq.heapreplace(free, free[0] + mean)
    return max(free)


def short(value: Any) -> str:
    """A value with 4 or 5 significant digits, as one printable line."""
    if isinstance(value, float):
        size = abs(value)
        return f"{value:.0f}" if 1e4 <= size < 1e5 else f"{value:.5g}" if 1e3 <= size < 1e4 else f"{value:.4g}"
    if value is None:
        return "null"
    return one_line(str(value))


def cut(text: str, width: int) -> str:
    """``text`` in at most ``width`` columns of a terminal."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + "…" if width > 0 else ""


def duration(seconds: float) -> str:
    """``12s``, ``3m 05s``, ``2h 07m``, ``4d 03h``."""
    whole = round(max(seconds, 0.0))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60:02}m"
    return f"{whole // 86400}d {whole % 86400 // 3600:02}h"


def progress(trial: FrozenTrial, epochs: int | None) -> str:
    """``0.912 @ 7/50``: the latest reported value and its epoch; "" before the first."""
    step, value = trial.last_step, reported(trial)
    if value is None:
        return ""
    total = params_of(trial).get("max_epochs", epochs)
    of = f"/{total}" if total and trial.state is TrialState.RUNNING else ""
    return f"{short(value)} @ {step}{of}"


def _value_cells(sweep: Sweep, trial: FrozenTrial) -> list[str]:
    values = values_of(trial, len(sweep.objectives))
    cells = ["" if value is None else short(value) for value in values]
    if trial.state in (TrialState.RUNNING, TrialState.FAIL):
        cells[0] = progress(trial, sweep.epochs)
    elif trial.state is TrialState.PRUNED and cells[0] and (epoch := epochs_of(trial)) is not None:
        cells[0] += f" @ {epoch}"
    return cells


def _best_text(sweep: Sweep, front: Sequence[FrozenTrial]) -> str:
    if not front:
        return ""
    if len(sweep.directions) > 1:
        return f"Pareto front {len(front)}"
    return f"best {sweep.objectives[0]} {short(values_of(front[0], 1)[0])}"


def _param_cells(name: str, label: str, trials: Sequence[FrozenTrial]) -> Cells:
    values = [params_of(trial).get(name, "") for trial in trials]
    words = any(isinstance(value, str) and value for value in values)
    return Cells(label, [cut(short(value), MAX_CELL) for value in values], "left" if words else "right")


def _label(name: str, names: Sequence[str]) -> str:
    """The head of a parameter: without its section where that leaves no doubt, a word a line."""
    leaf = name.rpartition(".")[2]
    alone = sum(other.rpartition(".")[2] == leaf for other in names) == 1
    return (leaf if alone else name).replace("_", "\n").replace(".", "\n")
