"""Where runs differ: their settings, and their results side by side; as rows, and as text that fits a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, chop_cells

from visrun.compare.runs import Run, contenders, judging, same_images, same_ruler
from visrun.hyperparameters import Hyperparameters
from visrun.numbers import MISSING, number
from visrun.run_files import is_of_class
from visrun.text import plural

WIDEST = 28  # letters of a value on the terminal
LABELS = 32  # letters of what stands before the values
GAP = "  "
EQUAL = 6  # digits that differ where a metric is better: single precision, in which it is computed, has seven
LONG_NUMBER = re.compile(r"-?\d+\.\d{5,}(e[-+]?\d+)?")


@dataclass(frozen=True)
class Row:
    """A line of a table: what it is, a text for each run (None = has no such value), and the runs that are best."""

    label: str
    cells: tuple[str | None, ...]
    best: frozenset[int] = frozenset()


def differences(runs: Sequence[Run]) -> list[Row]:
    """The settings in which the runs differ, None where a run does not read one."""
    return [Row(key, rounded(cells)) for key, cells in _settings(runs) if len(set(cells)) > 1]


def rounded(cells: Sequence[str | None]) -> tuple[str | None, ...]:
    """Numbers to five digits, as long as different ones still differ: a sweep's samples have seventeen."""
    short = tuple(f"{float(cell):.5g}" if cell and LONG_NUMBER.fullmatch(cell) else cell for cell in cells)
    return short if len(set(short)) == len(set(cells)) else tuple(cells)


def common(runs: Sequence[Run]) -> dict[str, str]:
    """The settings in which all runs agree."""
    return {key: str(cells[0]) for key, cells in _settings(runs) if len(set(cells)) == 1}


def _settings(runs: Sequence[Run]) -> Iterable[tuple[str, tuple[str | None, ...]]]:
    order = [*Hyperparameters.model_fields, *dict.fromkeys(key for run in runs for key in run.settings)]
    for key in dict.fromkeys(order):
        if any(key in run.settings for run in runs):
            yield key, tuple(run.settings.get(key) for run in runs)


def metrics(runs: Sequence[Run]) -> list[Row]:
    """The metrics of each run's best epoch on val, then those on test; the monitored one first.

    None is the best of figures that are not of the same images, or of pixels of another size.
    """
    judge = judging(runs)
    first, better = judge.monitor, judge.entry.larger_is_better
    able = contenders(runs)
    rows = []
    for split, values in (("val", [run.val for run in runs]), ("test", [run.test for run in runs])):
        among = [i for i, run in enumerate(runs) if run in able] if same_images(able, split) else []
        for key in sorted(dict.fromkeys(key for each in values for key in each), key=lambda key: key != first):
            fair = among if same_ruler(able, key) else []
            rows.append(metric_row(f"{split} {key}", [each.get(key) for each in values], better(key), among=fair))
    return rows


def metric_row(
    label: str, values: Sequence[float | None], larger: bool | None, *, among: Collection[int] | None = None
) -> Row:
    """One metric; the best is marked where its direction is known and the runs differ in it.

    Args:
        among: The runs that may be the best; None = all.
    """
    rounded = [None if value is None else float(f"{value:.{EQUAL}g}") for value in values]
    known = [value for value in rounded if value is not None]
    able = {i: value for i, value in enumerate(rounded) if value is not None and (among is None or i in among)}
    best: frozenset[int] = frozenset()
    if larger is not None and able and len(set(known)) > 1:
        top = max(able.values()) if larger else min(able.values())
        best = frozenset(i for i, value in able.items() if value == top)
    return Row(label, tuple(None if value is None else number(value) for value in values), best)


def outcomes(runs: Sequence[Run]) -> list[Row]:
    """How the runs went: status, epochs, seconds."""
    facts: dict[str, Callable[[Run], str | None]] = {
        "status": lambda run: run.status,
        "epochs": lambda run: str(run.epochs),
        "best epoch": lambda run: str(run.best_epoch) if run.best_epoch else None,
        "seconds": lambda run: None if run.seconds is None else f"{run.seconds:,.{1 if run.seconds < 100 else 0}f}",
    }
    return [Row(label, tuple(fact(run) for run in runs)) for label, fact in facts.items()]


def notes(runs: Sequence[Run]) -> list[str]:
    """What a reader of the tables must know: ends other than good ones, and data that are not the same."""
    lines = [f"{run.name}: {run.status}, {run.reason}" for run in runs if run.reason]
    other = len({run.fingerprint for run in runs if run.fingerprint}) > 1
    lines += ["the runs were trained on different data"] if other else []
    for split in ("val", "test"):
        if not same_images(contenders(runs), split):
            why = "" if other or split == "test" else " (another seed or share of val holds out others)"
            lines.append(f"the runs' metrics on {split} are not of the same images{why}, so none is best there")
    able = contenders(runs)
    unfair = [key for key in dict.fromkeys(key for run in able for key in run.val) if not same_ruler(able, key)]
    if names := ", ".join(key for key in unfair if not is_of_class(key)):
        told = "measured on pixels of data.image_size and data.resize, in which the runs differ, so none is best there"
        lines.append(f"{names}: {told}; predict writes masks of the files' size")
    return lines


def as_text(runs: Sequence[Run], *, width: int) -> str:
    """Both tables for a terminal of ``width`` letters: side by side as many runs as fit, the others below."""
    measured = metrics(runs)
    shown = [row for row in measured if not is_of_class(row.label)]
    blocks = [differences(runs) or [Row("no difference", tuple(None for _ in runs))], shown, outcomes(runs)]
    lines: list[str] = []
    for columns in _pages(runs, blocks, width):
        lines += [*_page(runs, blocks, columns), ""]
    if any(row.best for row in shown):
        finished = sum(run.finished for run in runs)
        lines.append("* best of its row" + (" among finished runs" if 0 < finished < len(runs) else ""))
    hidden = len(measured) - len(shown)
    if hidden:
        lines.append(f"{hidden} rows of single classes or targets stand on the page")
    return "\n".join([f"{plural(len(runs), 'run')} of task={runs[0].task}", "", *lines, *notes(runs)]).rstrip()


def _pages(runs: Sequence[Run], blocks: Sequence[Sequence[Row]], width: int) -> list[list[int]]:
    """The runs' columns, cut into groups that fit; a single one always does."""
    room = width - _label_width(blocks)
    pages: list[list[int]] = []
    left = 0
    for i in range(len(runs)):
        needed = len(GAP) + _column_width(runs, blocks, i)
        if not pages or needed > left:
            pages.append([])
            left = room
        pages[-1].append(i)
        left -= needed
    return pages


def _page(runs: Sequence[Run], blocks: Sequence[Sequence[Row]], columns: Sequence[int]) -> list[str]:
    labels = _label_width(blocks)
    widths = [_column_width(runs, blocks, i) for i in columns]
    table = [("", [cut(runs[i].name, WIDEST) for i in columns])]
    for block in blocks:
        table += [("", []), *((cut(row.label, LABELS), [_cell(row, i) for i in columns]) for row in block)]
    lines = []
    for label, cells in table:
        padded = [padding(label, labels), *(padding(cell, w) for cell, w in zip(cells, widths, strict=False))]
        lines.append(GAP.join(padded).rstrip())
    return [line for line, after in zip(lines, [*lines[1:], "end"], strict=True) if line or after]


def _label_width(blocks: Sequence[Sequence[Row]]) -> int:
    return max(cell_len(cut(row.label, LABELS)) for block in blocks for row in block)


def _column_width(runs: Sequence[Run], blocks: Sequence[Sequence[Row]], i: int) -> int:
    cells = [_cell(row, i) for block in blocks for row in block]
    return max(map(cell_len, [cut(runs[i].name, WIDEST), *cells]))


def _cell(row: Row, i: int) -> str:
    cell = row.cells[i]
    shown = MISSING if cell is None else cut(cell, WIDEST)
    return f"{shown} *" if i in row.best else shown


def cut(text: str, width: int) -> str:
    """``text`` in at most ``width`` columns of a terminal; what is left out of a long one is its middle."""
    if cell_len(text) <= width:
        return text
    begin = chop_cells(text, width // 3)[0]
    end = chop_cells(text[::-1], width - cell_len(begin) - 1)[0][::-1]
    return f"{begin}…{end}"


def padding(text: str, width: int) -> str:
    """``text`` filled up to ``width`` columns."""
    return text + " " * (width - cell_len(text))
