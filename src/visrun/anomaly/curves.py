"""Numbers of scores against truth: AUROC, average precision, the best F1 and its threshold, AUPRO. NumPy only.

Scores are higher for what is more likely defective; whatever scores at least a threshold is called defective. Equal
scores are never told apart, so the order of samples changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
POINTS = 500  # thresholds of a table
DIGITS = 6  # of a threshold that people read, where these are enough
STEPS = 4000  # thresholds at which pixels are counted, where they have more values than that
SAMPLED = 400_000  # values from which these are chosen
MOST_FALSE = 0.3  # false positive rate up to which AUPRO is taken


@dataclass(frozen=True)
class Counts:
    """How many positives and negatives reach each threshold, from the highest one down.

    Args:
        thresholds: (n,) descending.
        hits: (n,) positives that reach it; false: negatives.
        positives: How many there are; negatives: likewise.
    """

    thresholds: Floats
    hits: Floats
    false: Floats
    positives: float
    negatives: float

    def points(self) -> list[dict[str, float]]:
        """What each threshold gives, the highest first, of more than ``POINTS`` evenly some: recall, false positive
        rate, precision and F1, without those that are undefined."""
        count = len(self.thresholds)
        chosen = np.unique(np.linspace(0, count - 1, min(count, POINTS)).round().astype(int))
        return [self._point(i, place=1.0) for i in chosen.tolist()]

    def at_recall(self, least: float) -> dict[str, float] | None:
        """What the highest threshold gives that this share of the positives reaches, 0 < ``least`` <= 1, midway to the
        next lower score; None without positives."""
        if not self.positives:
            return None
        return self._point(int(np.argmax(self.hits / self.positives >= least)), place=0.5)

    def _point(self, i: int, *, place: float) -> dict[str, float]:
        hits, false = float(self.hits[i]), float(self.false[i])
        row = {"threshold": shortest(self._parting(i, place), *self._gap(i)), "precision": hits / (hits + false)}
        row |= {"recall": hits / self.positives} if self.positives else {}
        row |= {"false_positive_rate": false / self.negatives} if self.negatives else {}
        return row | {"f1": 2 * hits / (hits + false + self.positives)}

    def _gap(self, i: int) -> tuple[float, float]:
        """Between which scores the i-th threshold may lie: above the next lower one, if any, and not above its own."""
        return float(self.thresholds[i + 1]) if i + 1 < len(self.thresholds) else -np.inf, float(self.thresholds[i])

    def _parting(self, i: int, place: float) -> float:
        """The i-th threshold moved down towards the next lower score, from its own at a ``place`` of 1 to that at 0."""
        low, high = self._gap(i)
        between = low + place * (high - low) if np.isfinite(low) else high
        return between if np.float32(between) > low else high  # in which scores are compared

    def auroc(self) -> float:
        """Area under the ROC curve; NaN where one of both is missing."""
        if not (self.positives and self.negatives):
            return float("nan")
        return area(self.false / self.negatives, self.hits / self.positives)

    def average_precision(self) -> float:
        """The mean precision over all recalls, without interpolation, as scikit-learn has it; NaN without positives."""
        if not self.positives:
            return float("nan")
        precision = self.hits / np.maximum(self.hits + self.false, 1)
        return float(np.sum(np.diff(self.hits, prepend=0.0) * precision) / self.positives)

    def best_f1(self, *, place: float = 0.5) -> tuple[float, float]:
        """The largest F1 and a threshold that gives it, of several the highest, as `shortest` writes it, so that
        it means the same where it is read and typed again; NaN without positives.

        Args:
            place: Where the threshold lies between the scores that it parts, from 0 at the lower to 1 at the higher.
        """
        if not (self.positives and len(self.thresholds)):
            return float("nan"), float("nan")
        f1 = 2 * self.hits / (self.hits + self.false + self.positives)
        best = int(np.argmax(f1))
        return float(f1[best]), shortest(self._parting(best, place), *self._gap(best))

    def f1_at(self, threshold: float) -> float:
        """F1 at ``threshold``, one of those that were counted, or any where all scores were; NaN without positives."""
        if not self.positives:
            return float("nan")
        reached = int(np.searchsorted(-self.thresholds, -threshold, side="right"))
        hits, false = (float(part[reached - 1]) if reached else 0.0 for part in (self.hits, self.false))
        return 2 * hits / (hits + false + self.positives)


def counts(scores: Floats, truth: NDArray[np.bool_]) -> Counts:
    """Of single samples, (N,) each: every score is a threshold."""
    thresholds = np.unique(scores)[::-1].astype(np.float64)
    return _counts(thresholds, *(_reaching(thresholds, scores[part]) for part in (truth, ~truth)))


def by_class(classes: Sequence[str], scores: Floats, truth: NDArray[np.bool_]) -> dict[str, Counts]:
    """Those of each class, by its name; both (N, K)."""
    each = zip(classes, scores.T, truth.T, strict=True)
    return {name: counts(column, true) for name, column, true in each}


def shortest(value: float, low: float, high: float) -> float:
    """``value`` of (low, high] with as few digits, six or more, as keep it there, also in single precision: rounded to
    the nearest number, else down; rounded up past a score it would lose that."""
    for digits in range(DIGITS, 17) if math.isfinite(value) else ():
        near = float(f"{value:.{digits}g}")
        below = near - 10.0 ** (math.floor(math.log10(abs(near))) + 1 - digits) if near else near
        for one in (near, float(f"{below:.{digits}g}")):
            if low < one <= high and np.float32(one) > low:
                return one
    return value


def reaching(scores: Floats, threshold: float) -> float:
    """The share of ``scores`` (N,) that is at least ``threshold``; NaN of none."""
    return float((scores >= threshold).mean()) if len(scores) else float("nan")


def area(x: Floats, y: Floats, *, limit: float = 1.0) -> float:
    """The mean of ``y`` over ``x`` in [0, limit], both (n,), ascending from the origin to 1, joined by lines."""
    x, y = np.concatenate([[0.0], x]), np.concatenate([[0.0], y])
    past = int(np.argmax(x >= limit))  # the first of several at the limit: a step there has no area
    end = y[past - 1] + (y[past] - y[past - 1]) * (limit - x[past - 1]) / (x[past] - x[past - 1])
    x, y = np.append(x[:past], limit), np.append(y[:past], end)
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2) / limit)


class Pixels:
    """Counts over the pixels of many maps, and over each connected region of defects.

    Args:
        values: All maps' values, or a sample of them, from which half of the thresholds are chosen.
        defects: Those in defects, or a sample, for the other half: they are few, and the best F1 lies among them.
        asked: More thresholds to count at.
    """

    def __init__(self, values: Floats, defects: Floats, *, asked: Sequence[float] = ()) -> None:
        every = np.unique(np.concatenate([_spread(values), _spread(defects), np.asarray(asked, np.float64)]))
        self.thresholds = every[::-1].astype(np.float64)
        self.hits, self.false, self.overlap = (np.zeros(len(every)) for _ in range(3))
        self.regions = 0

    def add(self, heat: Floats, truth: NDArray[np.integer]) -> None:
        """A map (H, W) and where defects are: 1 in one, 0 outside, anything else counts for nothing."""
        inside = truth == 1
        self.hits += _reaching(self.thresholds, heat[inside])
        self.false += _reaching(self.thresholds, heat[truth == 0])
        shares, regions = _shares(inside)
        self.overlap += _weight_reaching(self.thresholds, heat[inside], shares)
        self.regions += regions

    def counts(self) -> Counts:
        """Of all pixels."""
        return _counts(self.thresholds, self.hits, self.false)

    def aupro(self) -> float:
        """Mean overlap with the regions over false positive rates up to 0.3, as a share of that range (Bergmann et
        al., CVPR 2020, "Uninformed students", section 4.1); NaN without a region or without good pixels."""
        if not self.regions or not self.false[-1:].any():
            return float("nan")
        return area(self.false / self.false[-1], self.overlap / self.regions, limit=MOST_FALSE)


def _spread(values: Floats) -> Floats:
    """At most half of STEPS of the values, from the lowest to the highest."""
    every = np.unique(values)
    return every if len(every) <= STEPS // 2 else np.quantile(every, np.linspace(0, 1, STEPS // 2), method="lower")


def sampled(maps: Sequence[Floats]) -> Floats:
    """(n,) at most about SAMPLED values of ``maps`` of any shapes, evenly spread, with the extremes of all."""
    total = sum(one.size for one in maps)
    stride = max(1, total // SAMPLED)
    ends: Iterable[Floats] = (np.array([one.min(), one.max()]) for one in maps if one.size)
    return np.concatenate([*(one.ravel()[::stride] for one in maps), *ends])


def _shares(inside: NDArray[np.bool_]) -> tuple[Floats, int]:
    """Which share of its connected region (corners touching) each pixel inside is (n,), and how many regions are."""
    if not inside.any():
        return np.zeros(0), 0
    from skimage.measure import label

    numbers = label(inside, connectivity=2)[inside]
    return 1.0 / np.bincount(numbers)[numbers], int(numbers.max())


def _reaching(thresholds: Floats, values: Floats) -> Floats:
    """(n,) how many of ``values`` are at least each of the descending ``thresholds``."""
    return (len(values) - _below(thresholds, np.sort(values))).astype(np.float64)


def _weight_reaching(thresholds: Floats, values: Floats, weights: Floats) -> Floats:
    """(n,) the weight of those of ``values`` that are at least each of the descending ``thresholds``."""
    order = np.argsort(values)
    above = np.append(np.cumsum(weights[order][::-1])[::-1], 0.0)
    return above[_below(thresholds, values[order])]


def _below(thresholds: Floats, ascending: Floats) -> NDArray[np.intp]:
    return np.searchsorted(ascending, thresholds[::-1], side="left")[::-1]


def _counts(thresholds: Floats, hits: Floats, false: Floats) -> Counts:
    last = (float(part[-1]) if len(part) else 0.0 for part in (hits, false))
    return Counts(thresholds, hits, false, *last)
