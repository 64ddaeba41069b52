"""Precision, recall and average precision of detections that have been judged right or wrong.

Legend: n detections of one class, best first; N of all classes, M objects, K classes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from visrun.detection.matching import Bools, Floats, Ints

COCO_POINTS = np.linspace(0.0, 1.0, 101)  # recalls at which COCO reads the precision
VOC_POINTS = np.arange(0.0, 1.1, 0.1)  # and Pascal VOC up to 2007; the devkit's own rounding


class Curve(NamedTuple):
    """``precision`` reached at ``recall`` or beyond it, both (n,), and its ``average`` over the recalls read."""

    recall: Floats
    precision: Floats
    average: float


class WorkingPoint(NamedTuple):
    """The score from which on detections are best kept, and the F1 that this gives over all classes."""

    score: float
    f1: float


def curve(right: Bools, total: int, *, points: Floats = COCO_POINTS) -> Curve:
    """The precision-recall curve of one class.

    Args:
        right: (n,) bool, best score first, without the detections of ignored objects.
        total: Objects to be found, at least 1.
        points: Recalls at which the precision is read for its average; beyond what is reached it is 0.
    """
    hits = np.cumsum(right)
    recall, precision = hits / total, hits / np.arange(1, len(right) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return Curve(recall, precision, float(read_at(points, recall, precision).mean()))


def read_at(points: Floats, recall: Floats, precision: Floats) -> Floats:
    """The precision of a curve at recalls ``points``; 0 beyond what it reaches."""
    return np.append(precision, 0.0)[np.searchsorted(recall, points)]


def curves(
    match: Ints, labels: Ints, truth_labels: Ints, ignored: Bools, classes: int, *, points: Floats = COCO_POINTS
) -> dict[int, Curve]:
    """The curve of each class that has objects to be found.

    Args:
        match: (N,) the object that each detection found, -1 = none; best score first.
        labels: (N,) classes of the detections; truth_labels: (M,) of the objects.
        ignored: (M,).
        classes: K.
    """
    right, counted = verdicts(match, ignored)
    totals = np.bincount(truth_labels[~ignored], minlength=classes)
    order = np.argsort(labels[counted], kind="stable")
    right, labels = right[counted][order], labels[counted][order]
    ends = np.searchsorted(labels, np.arange(classes + 1))
    return {
        k: curve(right[ends[k] : ends[k + 1]], int(totals[k]), points=points) for k in range(classes) if totals[k] > 0
    }


def verdicts(match: Ints, ignored: Bools) -> tuple[Bools, Bools]:
    """(N,) which detections are right, and (N,) which count at all: those of ignored objects are neither right nor
    wrong. Arguments as for :func:`curves`."""
    found = match >= 0
    dropped = np.zeros(len(match), bool)
    dropped[found] = ignored[match[found]]
    return found & ~dropped, ~dropped


def working_point(match: Ints, scores: Floats, ignored: Bools) -> WorkingPoint | None:
    """The score with the best F1 over all classes together; None where no detection is right.

    Args:
        match: (N,) as in :func:`curves`.
        scores: (N,), falling.
        ignored: (M,).
    """
    right, counted = verdicts(match, ignored)
    hits, scores = np.cumsum(right[counted]), scores[counted]
    if not len(hits) or not hits[-1]:
        return None
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + int((~ignored).sum()))
    f1[np.append(scores[1:] == scores[:-1], False)] = 0  # equal scores are kept together
    best = int(f1.argmax())
    return WorkingPoint(float(scores[best]), float(f1[best]))
