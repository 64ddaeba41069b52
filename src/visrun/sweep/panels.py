"""Plots of a study as PNG files, in the style of `visrun.figures.plots`. Which of them a study can give: `pictures`.

Parameters are drawn over [0, 1]: from the lowest to the highest value tried (by logarithm where they were drawn so), or
one place for each choice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from visrun.figures.labels import printable
from visrun.figures.palette import BLUE, DARK, GREY, ORANGE
from visrun.figures.plots import LINE, new_figure, save, whole_numbers
from visrun.sweep.trials import pareto as front_of
from visrun.sweep.view import View, first
from visrun.text import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from optuna.trial import FrozenTrial

COLOURS = "viridis"
MOST_SLICES = 12
MOST_CONTOURS = 3  # parameters; a panel for each pair of them
MOST_LINES = 200  # trials whose course is drawn
GRID = 48  # points of a contour along each side
ABSENT = -0.12  # where a trial without the parameter passes


class Scale(NamedTuple):
    """A parameter along an axis: ``places`` (N,) in [0, 1], NaN for trials without it, and the labels of the ticks."""

    places: np.ndarray
    ticks: list[float]
    labels: list[str]


def scale(name: str, trials: Sequence[FrozenTrial]) -> Scale:
    """Where each trial lies; at least one of them has the parameter."""
    from optuna.distributions import IntDistribution

    drawn = [trial.distributions[name] for trial in trials if name in trial.params]
    choices = dict.fromkeys(repr(choice) for one in drawn for choice in getattr(one, "choices", ()))
    if choices:
        return named_scale(name, trials, list(choices))
    logarithmic = all(getattr(one, "log", False) for one in drawn)
    values = np.array([float(trial.params.get(name, math.nan)) for trial in trials])
    values = np.log10(values) if logarithmic else values
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    places = (values - low) / (high - low) if high > low else values - low + 0.5
    ticks = [0.0, 0.5, 1.0] if high > low else [0.5]
    marks = [low + tick * (high - low) for tick in ticks]
    marks = [10**mark for mark in marks] if logarithmic else marks
    whole = all(isinstance(one, IntDistribution) for one in drawn)
    return Scale(places, ticks, [f"{mark:.0f}" if whole else f"{mark:.3g}" for mark in marks])


def named_scale(name: str, trials: Sequence[FrozenTrial], choices: list[str]) -> Scale:
    """One place for each choice that was tried, in the order of the choices."""
    tried = {repr(trial.params[name]): trial.params[name] for trial in trials if name in trial.params}
    order = [choice for choice in choices if choice in tried] + [choice for choice in tried if choice not in choices]
    place = {choice: i / (len(order) - 1) if len(order) > 1 else 0.5 for i, choice in enumerate(order)}
    places = [place[repr(trial.params[name])] if name in trial.params else math.nan for trial in trials]
    return Scale(np.array(places), list(place.values()), [printable(str(tried[choice])) for choice in order])


def history(view: View, path: Path) -> None:
    """Draw the value of every complete trial and the best so far; where pruned trials stopped, in grey."""
    figure = new_figure(6.4, 3.2)
    axes = figure.add_subplot()
    if view.pruned:
        stopped = [trial.number for trial in view.pruned]
        axes.scatter(stopped, view.stopped_at, s=14, marker="x", linewidths=1, color=GREY, label="pruned")
    numbers = [trial.number for trial in view.complete]
    values = np.array([first(trial) for trial in view.complete])
    axes.scatter(numbers, values, s=16, color=BLUE, alpha=0.7, linewidths=0, label="complete")
    best = np.maximum.accumulate(values) if view.maximize[0] else np.minimum.accumulate(values)
    axes.plot(numbers, best, drawstyle="steps-post", color=ORANGE, label="best so far", **LINE)
    found = view.best()
    note = f"   {first(found):.4g} in trial {found.number}" if found else ""
    axes.set_title(printable(view.metric) + note, loc="left")
    axes.set(xlabel="trial", ylabel=printable(view.metric))
    whole_numbers(axes.xaxis)
    axes.legend(loc="best")
    save(figure, path)


def importance(view: View, path: Path) -> None:
    """Draw which share of the metric's variance each parameter explains."""
    names, shares = list(view.importance), list(view.importance.values())
    figure = new_figure(6.4, 1.0 + 0.32 * len(names))
    axes = figure.add_subplot()
    axes.barh(range(len(names)), shares, color=BLUE, height=0.65)
    axes.set_yticks(range(len(names)), [printable(name) for name in names])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.12 * max(shares))
    for row, share in enumerate(shares):
        axes.text(share, row, f" {100 * share:.1f} %", va="center", color=DARK, fontsize=9)
    told = f"{printable(view.compared_metric)} (fANOVA, {plural(len(view.compared), 'trial')})"
    axes.set_title(f"importance for {told}", loc="left")
    axes.set_xlabel("share of the variance")
    save(figure, path)


def slices(view: View, path: Path) -> None:
    """Draw the metric over each parameter; dark points are early trials, bright ones late, and crosses pruned ones."""
    names = view.tried[:MOST_SLICES]
    columns = min(4, len(names))
    height = math.ceil(len(names) / columns)
    figure = new_figure(3.1 * columns + 0.6, 2.7 * height)
    values = [first(trial) for trial in view.complete]
    numbers = [trial.number for trial in view.complete]
    points: Any = None
    for i, name in enumerate(names):
        axes = figure.add_subplot(height, columns, i + 1)
        axis = scale(name, [*view.complete, *view.pruned])
        places, others = np.split(axis.places, [len(values)])
        axes.scatter(others, view.stopped_at, s=14, marker="x", linewidths=1, color=GREY, label="pruned")
        points = axes.scatter(places, values, c=numbers, cmap=COLOURS, s=14, alpha=0.8, linewidths=0)
        mark(axes, "x", name, axis)
        if i % columns == 0:
            axes.set_ylabel(printable(view.metric))
    if view.pruned:
        figure.axes[0].legend(loc="best")
    colour_bar(figure, points, "trial")
    save(figure, path)


def parallel(view: View, path: Path) -> None:
    """Draw every complete trial as a line over its value and its parameters; bright lines are good ones."""
    from matplotlib.collections import LineCollection

    names = view.varied[: MOST_SLICES - 1]
    values = np.array([first(trial) for trial in view.complete])
    low, high = values.min(), values.max()
    marks = [low, (low + high) / 2, high] if high > low else [low]
    places = (values - low) / (high - low) if high > low else np.full(len(values), 0.5)
    scales = [Scale(places, [0.0, 0.5, 1.0] if high > low else [0.5], [f"{mark:.4g}" for mark in marks])]
    scales += [scale(name, view.complete) for name in names]
    table = np.stack([np.nan_to_num(one.places, nan=ABSENT) for one in scales], axis=1)
    order = np.argsort(values if view.maximize[0] else -values)
    segments = [np.column_stack([np.arange(len(scales)), table[i]]) for i in order]
    figure = new_figure(1.3 * len(scales) + 1.4, 4)
    axes = figure.add_subplot()
    alpha = float(np.clip(30 / len(values), 0.15, 0.8))
    lines = LineCollection(segments, cmap=colours(view), array=values[order], linewidths=1, alpha=alpha)
    axes.add_collection(lines)
    axes.set(xlim=(-0.45, len(scales) - 0.8), ylim=(ABSENT - 0.06, 1.06))
    for column, one in enumerate(scales):
        label_column(axes, column, one)
    axes.set_xticks(range(len(scales)), [printable(name) for name in (view.metric, *names)], rotation=20, ha="right")
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    save(figure, path)


def label_column(axes: Axes, column: int, one: Scale) -> None:
    """An upright line with the labels of a parameter; "-" where trials without it pass."""
    axes.axvline(column, color=GREY, linewidth=0.8)
    marks = list(zip(one.ticks, one.labels, strict=True))
    if np.isnan(one.places).any():
        marks.append((ABSENT, "absent"))
    box = {"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.8}
    for place, label in marks:
        axes.text(column - 0.04, place, label, ha="right", va="center", fontsize=8, color=DARK, bbox=box)


def contour(view: View, path: Path) -> None:
    """Draw the metric over each pair of the most important parameters, interpolated between the trials (dots)."""
    names = view.spanning[:MOST_CONTOURS]
    pairs = [(x, y) for i, x in enumerate(names) for y in names[i + 1 :]]
    figure = new_figure(3.9 * len(pairs) + 0.6, 3.5)
    values = np.array([first(trial) for trial in view.complete])
    ticks = np.linspace(0, 1, GRID)
    field: Any = None
    for i, (x, y) in enumerate(pairs):
        axes = figure.add_subplot(1, len(pairs), i + 1)
        across, up = scale(x, view.complete), scale(y, view.complete)
        surface = interpolated(across.places, up.places, values)
        levels = np.linspace(values.min(), values.max(), 13)
        field = axes.contourf(ticks, ticks, surface, levels=levels, cmap=colours(view), extend="neither")
        axes.scatter(
            across.places, up.places, s=8, color="white", edgecolors=DARK, linewidths=0.5, clip_on=False, zorder=3
        )
        mark(axes, "x", x, across)
        mark(axes, "y", y, up)
    colour_bar(figure, field, view.metric)
    save(figure, path)


def interpolated(x: np.ndarray, y: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(GRID, GRID) means of ``values`` (N,) weighted by the inverse cube of the distance (Shepard, 1968)."""
    ticks = np.linspace(0, 1, GRID)
    squared = (ticks[None, :, None] - x) ** 2 + (ticks[:, None, None] - y) ** 2
    weights = (squared + 1e-3) ** -1.5
    mean = (weights * values).sum(axis=2) / weights.sum(axis=2)
    return np.clip(mean, values.min(), values.max())


def intermediate(view: View, path: Path) -> None:
    """Draw the metric over the epochs, a line for each trial; pruned ones end in a cross."""
    shown = view.thinned(view.reporting, MOST_LINES)
    best = view.best()
    figure = new_figure(6.4, 3.6)
    axes = figure.add_subplot()
    alpha = float(np.clip(15 / len(shown), 0.2, 0.8))
    labelled = set()
    for trial in shown:
        chosen = best is not None and trial.number == best.number
        label = "best" if chosen else {"COMPLETE": "complete", "PRUNED": "pruned"}.get(trial.state.name, "other")
        colour = {"best": DARK, "complete": BLUE, "pruned": ORANGE, "other": GREY}[label]
        points = sorted(trial.intermediate_values.items())
        width, alpha_here, layer = (2, 1.0, 4) if chosen else (1, alpha, 2)
        axes.plot(*zip(*points, strict=True), color=colour, linewidth=width, alpha=alpha_here, zorder=layer)
        axes.plot(*points[-1], marker="x" if label == "pruned" else ".", markersize=4, color=colour, zorder=layer)
        labelled.add((label, colour))
    for label, colour in sorted(labelled):
        axes.plot([], [], color=colour, label=label)
    note = f"   {len(shown):,} of {len(view.reporting):,} trials" if len(shown) < len(view.reporting) else ""
    axes.set_title(f"{printable(view.metric)} during the trials{note}", loc="left")
    axes.set(xlabel="epoch", ylabel=printable(view.metric))
    whole_numbers(axes.xaxis)
    axes.legend(loc="best")
    save(figure, path)


def pareto(view: View, path: Path) -> None:
    """Draw the objectives against each other; trials that no other one beats in all of them are marked and numbered."""
    assert view.whole is not None
    pairs = [(i, j) for i in range(len(view.metrics)) for j in range(i + 1, len(view.metrics))]
    complete = [trial for trial in view.whole.get_trials(deepcopy=False) if trial.state.name == "COMPLETE"]
    front = {trial.number for trial in front_of(complete, view.whole.directions)}
    figure = new_figure(4.4 * len(pairs), 3.8)
    for column, (i, j) in enumerate(pairs):
        axes = figure.add_subplot(1, len(pairs), column + 1)
        for name, chosen in (("dominated", False), ("Pareto front", True)):
            points = [(t.values[j], t.values[i]) for t in complete if (t.number in front) == chosen]
            if points:
                colour, size = (ORANGE, 34) if chosen else (GREY, 16)
                x, y = zip(*points, strict=True)
                axes.scatter(x, y, s=size, color=colour, alpha=0.8, linewidths=0, label=name)
        for trial in [t for t in complete if t.number in front][:20]:
            axes.annotate(str(trial.number), (trial.values[j], trial.values[i]), (4, 3), textcoords="offset points")
        axes.set(xlabel=printable(view.metrics[j]), ylabel=printable(view.metrics[i]))
        axes.legend(loc="best")
    save(figure, path)


def mark(axes: Axes, which: str, name: str, one: Scale) -> None:
    """Name an axis after the parameter and put its labels there."""
    place = axes.set_xticks if which == "x" else axes.set_yticks
    crowded = which == "x" and sum(len(label) + 1 for label in one.labels) > 30
    place(one.ticks, one.labels, rotation=30 if crowded else 0, ha="right" if crowded or which == "y" else "center")
    (axes.set_xlabel if which == "x" else axes.set_ylabel)(printable(name))


def colours(view: View) -> str:
    """Bright is good."""
    return COLOURS if view.maximize[0] else f"{COLOURS}_r"


def colour_bar(figure: Figure, points: Any, name: str) -> None:
    """What the colours mean, beside all panels."""
    bar = figure.colorbar(points, ax=figure.axes, fraction=0.03, pad=0.02)
    if bar.solids is not None:
        bar.solids.set_alpha(1)
    bar.set_label(printable(name))
    bar.outline.set_visible(False)
