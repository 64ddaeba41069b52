"""Curves of all runs over their epochs as inline SVG: one chart for each loss, the metric and the learning rate.

The lines are drawn here, once. What a chart tells on hovering travels beside it as JSON, in the same units.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from visrun.compare.runs import Run, judging
from visrun.figures.palette import MOST_DOTS
from visrun.numbers import far_apart, number
from visrun.text import plural

WIDTH, HEIGHT = 440, 250  # of the drawing, in its own units
LEFT, RIGHT, TOP, BOTTOM = 66, 12, 12, 30  # space around the curves
LARGEST = 1e100  # beyond it a run has diverged, and an axis would show nothing else
RATES = 20.0  # learning rates are drawn on a logarithmic axis, if the runs' highest ones differ by this factor

Line = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Chart:
    """One quantity of all runs.

    Args:
        title: Its key in metrics.jsonl.
        note: What people should know of it.
        lines: (epoch, value) pairs of each run, ascending; () for a run without the value.
        marks: The best epoch of each run, or 0 for no mark.
        log: Whether the value axis is logarithmic; all values are positive then.
    """

    title: str
    note: str
    lines: tuple[Line, ...]
    marks: tuple[int, ...]
    log: bool

    @property
    def epochs(self) -> tuple[float, float]:
        """First and last epoch of the axis."""
        found = [epoch for line in self.lines for epoch, _ in line]
        low, high = min(found), max(found)
        return (low, high) if low < high else (low - 0.5, high + 0.5)

    @property
    def values(self) -> tuple[float, float]:
        """Lower and upper end of the value axis."""
        found = [value for line in self.lines for _, value in line]
        low, high = min(found), max(found)
        if self.log:
            return low / 1.15, high * 1.15
        margin = 0.06 * (high - low) or 0.06 * abs(high) or 0.5
        return low - margin, high + margin


def charts(runs: Sequence[Run]) -> list[Chart]:
    """Training loss, val loss, the monitored metric and the learning rate, those that any run has."""
    judge = judging(runs)
    direction, monitor = "higher is better" if judge.entry.maximize else "lower is better", judge.monitor
    notes = {monitor: f"on val, {direction}", "val_loss": "on val", "learning_rate": "at the start of the epoch"}
    made = []
    for key in (monitor, "val_loss", "loss", "learning_rate"):
        lines = tuple(_line(run, key) for run in runs)
        if any(lines):
            marks = tuple(run.best_epoch if key == monitor else 0 for run in runs)
            made.append(Chart(key, notes.get(key, "on train"), lines, marks, _is_log(key, lines)))
    return made


def _line(run: Run, key: str) -> Line:
    return tuple((row["epoch"], row[key]) for row in run.rows if abs(row.get(key, math.inf)) < LARGEST)


def _is_log(key: str, lines: Sequence[Line]) -> bool:
    values = [value for line in lines for _, value in line]
    if min(values) <= 0 or key not in ("loss", "val_loss", "learning_rate"):
        return False
    tops = [max(value for _, value in line) for line in lines if line]
    return max(tops) / min(tops) >= RATES if key == "learning_rate" else far_apart(values)


def as_svg(chart: Chart, names: Sequence[str]) -> str:
    """The chart as one ``<figure>``; lines and dots carry the run's number in ``data-run``."""
    parts = [*_axes(chart), f'<line class="cursor" y1="{TOP}" y2="{HEIGHT - BOTTOM}"></line>']
    for i, line in enumerate(chart.lines):
        if line:
            parts.append(f'<g data-run="{i}" class="run-{i}">{_curve(chart, line, chart.marks[i])}</g>')
    title, note = escape(chart.title), f" <small>{escape(chart.note)}</small>" if chart.note else ""
    scale = " <small>(logarithmic)</small>" if chart.log else ""
    told = escape(f"{chart.title} of {plural(len(names), 'run')} over the epochs", quote=True)
    return (
        f'<figure class="chart" data-chart="{escape(json.dumps(_told(chart)), quote=True)}">'
        f"<figcaption>{title}{note}{scale}</figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{told}">{"".join(parts)}</svg>'
        '<div class="tip" hidden></div></figure>'
    )


def _told(chart: Chart) -> dict[str, object]:
    """What the script needs to find values under the pointer."""
    lines = [[[epoch, number(value), round(_y(chart, value), 1)] for epoch, value in line] for line in chart.lines]
    box = {"left": LEFT, "right": WIDTH - RIGHT, "width": WIDTH, "height": HEIGHT}
    return {"title": chart.title, "epochs": chart.epochs, "box": box, "lines": lines}


def _curve(chart: Chart, line: Line, mark: int) -> str:
    points = [(_x(chart, epoch), _y(chart, value)) for epoch, value in line]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    drawn = f'<path class="line" d="{path}"></path>' if len(points) > 1 else ""
    if len(points) <= MOST_DOTS:
        drawn += "".join(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="2.4"></circle>' for x, y in points)
    for (epoch, _), (x, y) in zip(line, points, strict=True):
        if epoch == mark:
            drawn += f'<circle class="best" cx="{x:.1f}" cy="{y:.1f}" r="5.5"></circle>'
    return drawn


def _axes(chart: Chart) -> list[str]:
    parts = []
    ticks = value_ticks(*chart.values, log=chart.log)
    for value, told in zip(ticks, labels(ticks), strict=True):
        y = _y(chart, value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"></line>')
        parts.append(f'<text x="{LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{told}</text>')
    for epoch in epoch_ticks(*chart.epochs):
        x = _x(chart, epoch)
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{epoch}</text>')
    return parts


def value_ticks(low: float, high: float, *, log: bool = False) -> list[float]:
    """Three to eight round numbers from ``low`` to ``high``."""
    if log:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        every = math.ceil(len(decades) / 7)
        factors = (1, 2, 5) if high / low < 200 else (1,)
        found = [factor * 10.0**decade for decade in decades if decade % every == 0 for factor in factors]
        return [value for value in found if low <= value <= high]
    step = _round_step((high - low) / 5)
    return [
        round(i * step, 12) if step > 1e-9 else i * step for i in range(math.ceil(low / step), int(high // step) + 1)
    ]


def labels(ticks: Sequence[float]) -> list[str]:
    """Ticks as text, all with as many decimals as the finest needs; powers of ten where that would be long."""
    short = [f"{tick:.6g}" for tick in ticks]
    if any("e" in label for label in short) or max(map(abs, ticks), default=0.0) >= 1e6:
        return short
    steps = [upper - lower for lower, upper in pairwise(ticks)]
    if steps and max(steps) > 1.5 * min(steps):  # a logarithmic axis
        return short
    decimals = max((len(label.partition(".")[2]) for label in short), default=0)
    return [f"{tick:.{decimals}f}" for tick in ticks]


def epoch_ticks(low: float, high: float) -> list[int]:
    """Whole epochs from ``low`` to ``high``, at most eight; the first one always."""
    first, last = math.ceil(low), math.floor(high)
    step = max(1, math.ceil(_round_step((last - first) / 7))) if last > first else 1
    return sorted({first, *(epoch for epoch in range(0, last + 1, step) if epoch >= first + (step + 1) // 2)})


def _round_step(rough: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is not below ``rough``."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))


def _x(chart: Chart, epoch: float) -> float:
    low, high = chart.epochs
    return LEFT + (epoch - low) / (high - low) * (WIDTH - LEFT - RIGHT)


def _y(chart: Chart, value: float) -> float:
    low, high = chart.values
    if chart.log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)
