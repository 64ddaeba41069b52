"""Pictures of a run as PNG files: curves, learning rate, confusion matrix, predicted against true values.

matplotlib's Figure is used directly, without pyplot: no window, no state that outlives a call. It is imported when the
first picture is drawn.

    curves(rows, Path("plots/curves.png"), monitor="accuracy", best_epoch=17)
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from visrun.figures import fonts
from visrun.figures.labels import LONGEST_TITLE, printable, told_apart
from visrun.figures.palette import BLUE, COLOURS, DARK, GREY, MOST_DOTS, ORANGE
from visrun.files import update
from visrun.numbers import far_apart
from visrun.run_files import is_loss, is_metric, is_of_class

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

DPI = 120
PANEL = (3.7, 2.7)  # inches
MOST_POINTS = 5000  # of a scatter plot; more are thinned out evenly
MOST_COUNTS = 25  # classes up to which a confusion matrix has numbers in its cells
MOST_LABELS = 60  # of an axis of a confusion matrix
FEW = 2  # lines of a panel between which a legend finds room; that of more stands below
WIDE = 12  # letters of a name from which a legend has two columns
OWN_UNIT = ("mae", "rmse")  # of each target in its own unit, so no two of them share an axis

LINE: dict[str, Any] = {"linewidth": 1.5, "markersize": 3, "solid_capstyle": "round"}

Rows = Sequence[Mapping[str, float]]


def curves(rows: Rows, path: Path, *, monitor: str | None = None, best_epoch: int | None = None) -> None:
    """Draw the losses and every metric over the epochs, one panel each.

    Args:
        rows: The lines of metrics.jsonl. Learning rate and ``time/`` are left out; values with a common prefix and unit
            (``iou/road``, ``iou/roof``) share a panel; an epoch without a value leaves a gap in no line.
        monitor: The metric that chose the best epoch; it comes first after the losses.
        best_epoch: Marked in every panel; None or 0 marks none.
    """
    panels = group(rows, monitor)
    columns = min(3, max(1, len(panels)))
    height = max(1, math.ceil(len(panels) / columns))
    figure = new_figure(PANEL[0] * columns, PANEL[1] * height)
    for number, (title, names) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(height, columns, number)
        draw_lines(axes, rows, names, prefix="" if title == "loss" else f"{title}/")
        mark_best(axes, rows, title, names, best_epoch)
    save(figure, path)


def group(rows: Rows, monitor: str | None) -> dict[str, list[str]]:
    """Which values share a panel: panel's title to the names of its lines, losses first, then ``monitor``."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    names.sort(key=lambda name: (name != "loss", name != "val_loss", name != monitor))
    panels: dict[str, list[str]] = {"loss": []}
    for name in names:
        prefix = name.partition("/")[0]
        if is_loss(name):
            panels["loss"].append(name)
        elif is_metric(name):
            panels.setdefault(name if prefix in OWN_UNIT else prefix, []).append(name)
    return {title: lines for title, lines in panels.items() if lines}


def draw_lines(axes: Axes, rows: Rows, names: Sequence[str], *, prefix: str) -> None:
    """The values ``names`` over the epochs; with a legend where there are several.

    Where there are too many, those of single classes are grey, below their mean.
    """
    many = len(names) > len(COLOURS)
    labels = told_apart([name.removeprefix(prefix) or name for name in names])
    for number, (name, label) in enumerate(zip(names, labels, strict=True)):
        points = [(row["epoch"], row[name]) for row in rows if is_finite(row.get(name))]
        marker = "o" if len(points) <= MOST_DOTS else None
        grey = {"color": GREY, "linewidth": 0.7, "zorder": 1}
        look = {**LINE, **(grey if many and is_of_class(name) else {"color": COLOURS[number % len(COLOURS)]})}
        if points:
            axes.plot(*zip(*points, strict=True), marker=marker, label=label, **look)
    values = [row[name] for row in rows for name in names if is_finite(row.get(name))]
    if names[0] in ("loss", "val_loss") and far_apart(values):
        axes.set_yscale("log")
    if len(names) > 1 and not many:
        add_legend(axes)
    axes.set_xlabel("epoch")
    whole_numbers(axes.xaxis)


def add_legend(axes: Axes) -> None:
    """Between few lines, where there is most room; below the axis of more."""
    from matplotlib.transforms import ScaledTranslation

    if len(names := axes.get_legend_handles_labels()[1]) <= FEW:
        axes.legend(loc="best")
        return
    below = axes.transAxes + ScaledTranslation(0, -0.4, axes.figure.dpi_scale_trans)  # inches
    place: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "bbox_transform": below}
    axes.legend(**place, ncols=2 if max(map(len, names)) > WIDE else 4, fontsize=8, handlelength=1.2)


def mark_best(axes: Axes, rows: Rows, title: str, names: Sequence[str], best_epoch: int | None) -> None:
    """The panel's title, a line at the best epoch and, where the panel has one value, what it was then."""
    note = f" ({len(names)})" if len(names) > len(COLOURS) else ""
    best = next((row for row in rows if best_epoch and row["epoch"] == best_epoch), None)
    if best is not None:
        axes.axvline(best["epoch"], color=GREY, linestyle=(0, (2, 2)), linewidth=1, zorder=0)
        if len(names) == 1 and is_finite(best.get(names[0])):
            axes.plot([best["epoch"]], [best[names[0]]], marker="o", markersize=7, color=ORANGE, zorder=3)
            note = f"   {best[names[0]]:.4g} at epoch {best['epoch']:.0f}"
    if len(title + note) > LONGEST_TITLE:
        note = "\n" + note.strip()
    axes.set_title(printable(title, most=LONGEST_TITLE) + note, loc="left")


def learning_rate(rates: Sequence[float], path: Path) -> None:
    """Draw the learning rate at the start of each epoch, from epoch 1 on."""
    figure = new_figure(5.2, 2.8)
    axes = figure.add_subplot()
    axes.plot(range(1, len(rates) + 1), rates, marker="o" if len(rates) <= MOST_DOTS else None, color=BLUE, **LINE)
    axes.set_title("learning rate at the start of each epoch", loc="left")
    axes.set_xlabel("epoch")
    axes.set_ylim(bottom=0)
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 4))
    whole_numbers(axes.xaxis)
    save(figure, path)


def confusion_matrix(matrix: Any, classes: Sequence[str], path: Path) -> None:
    """Draw which class is taken for which.

    Args:
        matrix: (K, K) counts; row = true class, column = predicted class. A class that never occurs stays white.
        classes: The K names.

    Raises:
        ValueError: The matrix is not K by K.
    """
    counts = np.asarray(matrix, dtype=np.float64)
    size = len(classes)
    if counts.shape != (size, size):
        raise ValueError(f"a confusion matrix of shape {counts.shape} for {size} classes")
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = new_figure(matrix_inches(size) + 0.9, matrix_inches(size))
    axes = figure.add_subplot()
    from matplotlib.colors import PowerNorm

    image = axes.imshow(share, cmap="Blues", norm=PowerNorm(0.6, 0, 1), interpolation="nearest")
    label_classes(axes, classes)
    if size <= MOST_COUNTS:
        write_cells(axes, counts, share)
    bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02, ticks=[0, 0.1, 0.25, 0.5, 0.75, 1])
    bar.ax.set_yticklabels(["0 %", "10 %", "25 %", "50 %", "75 %", "100 %"])
    bar.set_label("share of the true class")
    bar.outline.set_visible(False)
    save(figure, path)


def matrix_inches(size: int) -> float:
    """The side of a confusion matrix of ``size`` classes, with its labels."""
    return min(13.0, 3.2 + 0.42 * size)


def label_classes(axes: Axes, classes: Sequence[str]) -> None:
    """Class names along both axes; only every n-th where there is no room for all."""
    size = len(classes)
    every = math.ceil(size / MOST_LABELS)
    ticks = list(range(0, size, every))
    texts = told_apart(classes)
    names = [texts[tick] for tick in ticks]
    font = 9 if size <= 25 else 7 if every == 1 else 6.5
    letters = 0.7 * matrix_inches(size) / (size * font / 72 * 0.65)  # that fit into a column
    upright = max(len(name) for name in names) <= letters - 1
    axes.set_xticks(ticks, names, rotation=0 if upright else 90, fontsize=font)
    axes.set_yticks(ticks, names, fontsize=font)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def write_cells(axes: Axes, counts: np.ndarray, share: np.ndarray) -> None:
    """Numbers in the cells that are not empty: counts, or percentages where the counts are long (pixels).

    Args:
        counts: (C, C), by true and predicted class.
        share: (C, C) of the true class, 0 to 1.
    """
    as_share = counts.max(initial=0) >= 10_000
    font = 9 if len(counts) <= 12 else 7
    for (row, column), count in np.ndenumerate(counts):
        if count > 0:
            percent = 100 * share[row, column]
            text = f"{count:.0f}" if not as_share else f"{percent:.0f} %" if percent >= 1 else "<1 %"
            colour = "white" if share[row, column] > 0.45 else DARK
            axes.text(column, row, text, ha="center", va="center", fontsize=font, color=colour)


def predicted_against_true(predicted: Any, true: Any, names: Sequence[str], path: Path) -> None:
    """Draw predictions over the truth, a panel for each target; on the diagonal they agree.

    Args:
        predicted, true: (N, T), or (N,) for one target, in the target's own unit. Pairs that are not finite
            are left out.
        names: The T targets.

    Raises:
        ValueError: The shapes do not fit each other or the names.
    """
    shape = (-1, len(names))
    first, second = (np.asarray(values, dtype=np.float64) for values in (predicted, true))
    if first.size != second.size or first.size % max(len(names), 1):
        raise ValueError(f"predictions {first.shape} and truth {second.shape} for {len(names)} targets")
    columns = min(3, len(names))
    height = math.ceil(len(names) / columns)
    figure = new_figure(4.2 * columns, 4.2 * height)
    for number, name in enumerate(names):
        axes = figure.add_subplot(height, columns, number + 1)
        scatter(axes, first.reshape(shape)[:, number], second.reshape(shape)[:, number])
        axes.set_title(printable(name), loc="left")
    save(figure, path)


def scatter(axes: Axes, predicted: np.ndarray, true: np.ndarray) -> None:
    """(N,) predictions over (N,) true values, on equal axes, with the mean absolute error."""
    keep = np.isfinite(predicted) & np.isfinite(true)
    predicted, true = predicted[keep], true[keep]
    low, high = (min(predicted.min(), true.min()), max(predicted.max(), true.max())) if keep.any() else (0.0, 1.0)
    margin = 0.04 * (high - low) or 0.5
    limits = (low - margin, high + margin)
    axes.plot(limits, limits, color=GREY, linewidth=1, zorder=0)
    chosen = np.linspace(0, len(true) - 1, min(len(true), MOST_POINTS)).astype(int)
    alpha = float(np.clip(60 / math.sqrt(len(chosen) + 1) / 5, 0.15, 0.8))
    axes.scatter(true[chosen], predicted[chosen], s=14, color=BLUE, alpha=alpha, linewidths=0)
    axes.set(xlim=limits, ylim=limits, xlabel="true", ylabel="predicted", aspect="equal")
    if len(true):
        text = f"MAE {np.abs(predicted - true).mean():.3g}   N {len(true):,}"
        axes.text(0.03, 0.97, text, transform=axes.transAxes, va="top", color=DARK)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")


def save(figure: Figure, path: Path) -> None:
    """Give every panel the house's look and every text a font that has its letters, and write the file.

    Raises:
        VisrunError: It cannot be written.
    """
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(GREY)
        axes.tick_params(colors=DARK, labelcolor=DARK)
        axes.title.set_fontsize(10)
        axes.xaxis.label.set_color(DARK)
        axes.yaxis.label.set_color(DARK)
        if axes.lines or axes.collections:
            axes.grid(visible=True, color="#e8eaed", linewidth=0.8)
            axes.set_axisbelow(True)
        legend = axes.get_legend()
        if legend is not None:
            legend.get_frame().set(linewidth=0, alpha=0.7)
    from matplotlib.text import Text

    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    others = fonts.families(text.get_text() for text in texts)
    for text in texts if others else ():
        text.set_fontfamily([fonts.USUAL, *others])
    file = io.BytesIO()
    figure.savefig(file, bbox_inches="tight", pad_inches=0.12)
    update(path, file.getvalue())


def whole_numbers(axis: Axis) -> None:
    """Epochs and counts are whole: so are the ticks."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))


def is_finite(value: float | None) -> bool:
    """Whether there is a value to draw."""
    return value is not None and math.isfinite(value)
