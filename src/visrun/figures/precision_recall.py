"""The picture of precision over recall, a line for each class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visrun.detection.scoring import COCO_POINTS, read_at
from visrun.figures.labels import told_apart
from visrun.figures.palette import BLUE, COLOURS, GREY
from visrun.figures.plots import new_figure, save

Curves = Mapping[str, tuple[Any, Any, float]]


def precision_recall(curves: Curves, path: Path, *, best: tuple[float, float] | None = None) -> None:
    """Draw what share of the detections is right against what share of the objects is found.

    Many classes are drawn in grey, with their mean.

    Args:
        curves: Class to recall (n,), the best precision at that recall or beyond (n,), and the average precision.
        best: The score from which on detections are best kept, and the F1 that this gives.
    """
    figure = new_figure(5.4, 4.2)
    axes = figure.add_subplot()
    many = len(curves) > len(COLOURS)
    named = zip(told_apart([*curves]), curves.values(), strict=True)
    for number, (name, (recall, precision, average)) in enumerate(named):
        color, width = (GREY, 0.7) if many else (COLOURS[number], 1.5)
        label = f"{name}  {average:.3f}"
        axes.plot(*closed(recall, precision), drawstyle="steps-pre", label=label, color=color, linewidth=width)
    if many:
        mean = np.mean([average for *_, average in curves.values()])
        told = f"{len(curves)} classes  {mean:.3f}"
        axes.plot(COCO_POINTS, mean_precision(curves), color=BLUE, linewidth=2, label=told)
    if curves:
        handles, labels = axes.get_legend_handles_labels()
        shown = slice(-1, None) if many else slice(None)
        low = np.mean([average for *_, average in curves.values()]) < 0.5  # then the curves lie where others leave room
        axes.legend(
            handles[shown], labels[shown], loc="upper right" if low else "lower left", title="average precision"
        )
    if best is not None:
        axes.set_title(f"best F1 {best[1]:.3f}, from score {best[0]:.2f} on", loc="left")
    axes.set(xlim=(0, 1.01), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    save(figure, path)


def closed(recall: Any, precision: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A curve from a recall of 0 to the largest that is reached, where it falls to 0."""
    return np.concatenate([[0.0], recall, recall[-1:]]), np.concatenate([precision[:1], precision, [0.0]])[
        : len(recall) + 2
    ]


def mean_precision(curves: Curves) -> NDArray[np.float64]:
    """(101,) the mean over the classes at each of COCO_POINTS; 0 where a class does not reach it."""
    return np.mean([read_at(COCO_POINTS, recall, precision) for recall, precision, _ in curves.values()], axis=0)
