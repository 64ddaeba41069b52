"""Which of two configurations is better: the runs of their repeats paired by seed or fold, and how far they differ.

What a seed or a fold does to both runs of a pair cancels in their difference, so pairs tell apart what two intervals of
means, which hold it, do not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from rich.cells import cell_len

from visrun.compare.repeats import Repeat
from visrun.compare.runs import same_ruler
from visrun.compare.tables import GAP, WIDEST, cut, padding
from visrun.numbers import MISSING, number
from visrun.repetition import SPLITS, Repetition, in_order, name_of, overlap_of, split_of
from visrun.run_files import is_of_class
from visrun.spread import ROUNDING, Spread, spread
from visrun.text import some

Pair = tuple[Repetition, Repetition]  # of one seed or fold: the first repeat's run, the other's
BETTER, WORSE, UNDECIDED = "better", "worse", "undecided"
NARROWEST = 8  # letters of a repeat's name


@dataclass(frozen=True)
class PairedRow:
    """A metric of two repeats, such as ``val/accuracy``.

    Args:
        metric: As repeat.json has it.
        pairs: How many pairs have it.
        first: The first repeat's mean over its runs in them, over all of its runs where there is no pair.
        other: The other's.
        difference: The other's values less the first's; None where there is no pair.
        verdict: better or worse of the other where the interval excludes 0, higher or lower where the metric has no
            best; undecided elsewhere; MISSING where there is no interval.
    """

    metric: str
    pairs: int
    first: float
    other: float
    difference: Spread | None = None
    verdict: str = MISSING


@dataclass(frozen=True)
class Pairing:
    """A repeat beside the first one: their names, a title, the metrics that both have, what is to be said of these."""

    first: str
    other: str
    title: str
    rows: tuple[PairedRow, ...]
    notes: tuple[str, ...]

    @property
    def head(self) -> tuple[str, ...]:
        """What stands above the columns of `cells`."""
        return ("metric", "pairs", self.first, self.other, "difference", "95 % interval", "verdict")


def pairings(repeats: Sequence[Repeat]) -> list[Pairing]:
    """Each further repeat beside the first; [] of none."""
    return [paired(repeats[0], other) for other in repeats[1:]]


def paired(first: Repeat, other: Repeat) -> Pairing:
    """Two repeats beside one another; where their runs cannot be paired, the notes say why.

    The differences are one sample, as in Student's own example (Biometrika 6, 1908, illustration I). Of runs that share
    images they are correlated as the values are (Nadeau and Bengio 2003, section 3, of two algorithms' differences).
    """
    by_value = {run.value: run for run in other.runs}
    pairs = [(run, by_value[run.value]) for run in first.runs if run.value in by_value]
    comparable = {split: [pair for pair in pairs if _same_images(pair, split)] for split in SPLITS}
    keys = _shared(first, other)
    unfair = [key for key in keys if not same_ruler([first.example, other.example], name_of(key))]
    rows = [_row(key, first, other, [] if key in unfair else comparable[split_of(key)]) for key in keys]
    told = [pair[0] for pair in pairs if any(_same_images(pair, split) for split in SPLITS)]
    values = f", paired by {first.varied.word} {_listed(told)}" if told else ""
    notes = (
        *_left_out(first, other, pairs),
        *_apart(pairs, first.varied.word, keys, unfair),
        *_meaning(first, other, rows, comparable),
    )
    return Pairing(first.name, other.name, f"{other.name} against {first.name}{values}", tuple(rows), notes)


def _shared(first: Repeat, other: Repeat) -> list[str]:
    """The metrics that both have, without those of single classes or targets."""
    every = in_order((key for run in first.runs for key in run.metrics), first.example.entry.monitor)
    known = {key for run in other.runs for key in run.metrics}
    return [key for key in every if key in known and not is_of_class(name_of(key))]


def _same_data(pair: Pair) -> bool:
    return bool(pair[0].data) and pair[0].data == pair[1].data


def _same_images(pair: Pair, split: str) -> bool:
    first, other = (run.images.get(split) for run in pair)
    return _same_data(pair) and bool(first) and first == other


def _row(key: str, first: Repeat, other: Repeat, pairs: Sequence[Pair]) -> PairedRow:
    both = [pair for pair in pairs if all(key in run.metrics for run in pair)]
    sides = list(zip(*both, strict=True)) if both else [first.runs, other.runs]
    left, right = (mean(run.metrics[key] for run in side if key in run.metrics) for side in sides)
    if not both:
        return PairedRow(key, 0, left, right)
    values = [(one.metrics[key], another.metrics[key]) for one, another in both]
    found = spread(
        [0.0 if math.isclose(a, b, rel_tol=ROUNDING) else b - a for a, b in values],
        overlap=_overlap(both, split_of(key), first),
        scale=max(abs(value) for pair in values for value in pair),
    )
    larger = first.example.entry.larger_is_better(name_of(key))
    return PairedRow(key, len(both), left, right, found, verdict(found, larger))


def _overlap(pairs: Sequence[Pair], split: str, first: Repeat) -> float:
    return overlap_of([run for pair in pairs for run in pair], split, folds=first.varied.overlap)


def verdict(found: Spread, larger: bool | None) -> str:
    """Differences that are all the same decide nothing: two seeds may well differ by one and the same image."""
    if found.low is None or found.high is None:
        return MISSING
    if found.std == 0 or found.low <= 0 <= found.high:
        return UNDECIDED
    if larger is None:
        return "higher" if found.mean > 0 else "lower"
    return BETTER if (found.mean > 0) == larger else WORSE


def _left_out(first: Repeat, other: Repeat, pairs: Sequence[Pair]) -> Iterable[str]:
    if first.varied.word != other.varied.word:
        yield f"the {first.varied.word} of {first.name} and the {other.varied.word} of {other.name} make no pairs"
        return
    word, known = first.varied.word, {run.value for run, _ in pairs}
    if not pairs:
        yield f"none of their {word} is the same, so no runs are paired"
        return
    for repeat in (first, other):
        if alone := [run for run in repeat.runs if run.value not in known]:
            yield f"{word} {_listed(alone)}: in {repeat.name} alone, so not paired"


def _apart(pairs: Sequence[Pair], word: str, keys: Sequence[str], unfair: Sequence[str]) -> Iterable[str]:
    """Why runs of one seed or fold are not paired."""
    if other := [pair[0] for pair in pairs if not _same_data(pair)]:
        yield f"{word} {_listed(other)}: not on the same data, so not paired"
    for split in SPLITS if any(map(_same_data, pairs)) else ():
        other = [pair[0] for pair in pairs if _same_data(pair) and not _same_images(pair, split)]
        if other and any(split_of(key) == split for key in keys):
            yield f"{split}/ of {word} {_listed(other)}: not of the same images, so not paired"
    if unfair:
        yield f"{', '.join(unfair)}: in pixels of another size (data.image_size, data.resize), so not paired"


def _listed(runs: Iterable[Repetition]) -> str:
    return some((run.value for run in runs), 10)


def _meaning(
    first: Repeat, other: Repeat, rows: Sequence[PairedRow], comparable: Mapping[str, Sequence[Pair]]
) -> Iterable[str]:
    if any(row.pairs == 1 for row in rows):
        yield "one pair tells no interval, which needs two or more"
    told = [row for row in rows if row.verdict != MISSING]
    if not told:
        return
    decided = sum(row.verdict != UNDECIDED for row in told)
    yield (
        f"difference: {other.name} less {first.name}, with the 95 % interval of its mean (Student's t over the pairs): "
        f"{other.name} is better or worse where that excludes 0, {decided} of {len(told)} metrics"
    )
    if any(row.difference and row.difference.std == 0 != row.difference.mean for row in told):
        yield "an interval without width, of differences that are all the same, decides nothing"
    shared = [f"{split}/" for split, pairs in comparable.items() if len(pairs) > 1 and _overlap(pairs, split, first)]
    if shared:
        yield f"{' and '.join(shared)}: runs share training images, so intervals are wider (Nadeau and Bengio, 2003)"


def cells(row: PairedRow) -> tuple[str, ...]:
    """A row as texts."""
    found = row.difference
    difference = MISSING if found is None else number(found.mean)
    interval = MISSING
    if found is not None and found.low is not None and found.high is not None:
        interval = f"{number(found.low)} to {number(found.high)}"
    return (row.metric, str(row.pairs), number(row.first), number(row.other), difference, interval, row.verdict)


def as_text(pairing: Pairing, *, width: int) -> str:
    """The table and its notes for a terminal of ``width`` letters, for which the repeats' names are cut."""
    body = [cells(row) for row in pairing.rows]
    fixed = [max(map(len, column)) for column in zip(pairing.head, *body, strict=True)]
    left = width - sum(fixed[:2] + fixed[4:]) - len(GAP) * (len(fixed) - 1)
    room = min(max(left // 2, NARROWEST), WIDEST)
    head = [cut(cell, room) if i in (2, 3) else cell for i, cell in enumerate(pairing.head)]
    widths = [max(map(cell_len, column)) for column in zip(head, *body, strict=True)]
    table = [
        GAP.join(padding(cell, wide) for cell, wide in zip(line, widths, strict=True)).rstrip()
        for line in (head, *body)
    ]
    return "\n".join([pairing.title, *(table if body else ()), *pairing.notes])
