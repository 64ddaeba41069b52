"""The picture of scores: how many good and how many defective images have each, and the threshold between them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from visrun.figures.palette import BLUE, DARK, ORANGE
from visrun.figures.plots import new_figure, save, whole_numbers

BINS = 40


def score_histogram(scores: Any, defective: Any, path: Path, *, threshold: float | None) -> None:
    """Draw the scores of good and of defective images over each other.

    Args:
        scores: (N,) finite.
        defective: (N,) 1 for a defective image, 0 for a good one.
        threshold: From which on an image is called defective; None draws none.
    """
    scores, defective = np.asarray(scores, float), np.asarray(defective) > 0
    figure = new_figure(5.4, 3.4)
    axes = figure.add_subplot()
    ends = [*scores.tolist(), *([threshold] if threshold is not None else [])] or [0.0, 1.0]
    low, high = min(ends), max(ends)
    edges = np.linspace(low, high if high > low else low + 1.0, BINS + 1)
    for part, name, color in ((~defective, "good", BLUE), (defective, "defective", ORANGE)):
        if part.any():
            axes.hist(scores[part], bins=edges.tolist(), color=color, alpha=0.65, label=f"{name} ({int(part.sum())})")
    if threshold is not None:
        label = f"threshold {threshold:.4g}"
        axes.axvline(threshold, color=DARK, linestyle=(0, (4, 2)), linewidth=1.3, label=label)
    if len(scores) or threshold is not None:
        axes.legend(loc="best")
    axes.set(xlabel="score", ylabel="images")
    whole_numbers(axes.yaxis)
    axes.set_title("scores of the images", loc="left")
    save(figure, path)
