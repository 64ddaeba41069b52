"""The comparison as one HTML file that needs nothing else: no network, no other file, and scripts only for comfort.

Everything that comes from a run (names, classes, paths, reasons) is text, escaped where it enters the page; the page's
own policy forbids any other script and any request.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from itertools import groupby
from pathlib import Path

from visrun.compare.charts import as_svg, charts
from visrun.compare.gallery import Cell, Gallery
from visrun.compare.pairs import BETTER, PairedRow, Pairing, cells
from visrun.compare.runs import Run, judging, ranked, same_images, same_ruler
from visrun.compare.tables import Row, common, differences, metrics, notes, outcomes
from visrun.figures.palette import COLOURS
from visrun.numbers import MISSING, number
from visrun.repetition import split_of
from visrun.run_files import is_of_class
from visrun.text import are, plural

LONG = 20  # letters from which a value gets a wider column
WIDE = 1.7  # width by height from which a picture gets a wide place
NOTHING = '<td class="none"><span aria-hidden="true">–</span><span class="unseen">no value</span></td>'


def page(
    runs: Sequence[Run],
    gallery: Gallery,
    *,
    pairings: Sequence[Pairing] = (),
    remarks: Sequence[str] = (),
    made: datetime | None = None,
) -> str:
    """The whole page.

    Args:
        runs: Two or more, of one task.
        gallery: Their predictions, or why there are none.
        pairings: The repeats that the runs are of, each beside the first.
        remarks: Further lines for the reader, such as which trials were chosen.
        made: Time of the comparison; None = now.
    """
    task = runs[0].task
    style, script = _asset("page.css"), _asset("page.js")
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
    )
    when = (made or datetime.now().astimezone()).strftime("%Y-%m-%d %H:%M")
    title = f"{plural(len(runs), 'run')} compared"
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{title}: {escape(task)}</title>\n<style>{style}{_styles(len(runs))}</style>\n</head>\n<body>",
            f'<header><p class="kind">{escape(task.replace("_", " "))}</p><h1>{title}</h1>',
            f"{_verdict(runs)}</header>\n<main>",
            *_pairings(pairings),
            _remarks([*notes(runs), *remarks]),
            *_differences(runs),
            *_results(runs),
            *_curves(runs),
            *_gallery(runs, gallery),
            *_folders(runs),
            f"</main>\n<footer>made by visrun compare, {when}</footer>",
            f"<script>{script}</script>\n</body>\n</html>\n",
        ]
    )


def _asset(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _styles(count: int) -> str:
    """How many runs there are, and each one's colour; from the eleventh on they come again, as dashed lines."""
    rules = [f".samples {{ --runs: {count}; }}"]
    rules += [f".run-{i} {{ --colour: {COLOURS[i % len(COLOURS)]}; }}" for i in range(count)]
    rules += [f".run-{i} .line {{ stroke-dasharray: 6 3; }}" for i in range(len(COLOURS), count)]
    return "\n".join(rules)


def _verdict(runs: Sequence[Run]) -> str:
    """One sentence: which run is best by the monitored metric."""
    known, judge = ranked(runs), judging(runs)
    entry, monitor = judge.entry, judge.monitor
    if not known:
        return f'<p class="verdict">No run has a value of {escape(monitor)} yet.</p>'
    if len(judges := {run.entry.monitor: None for run in known}) > 1:
        return (
            f'<p class="verdict">They chose by different metrics ({escape(", ".join(judges))}), so no run is best.</p>'
        )
    values = [run.value for run in known if run.value is not None]
    top = max(values) if entry.maximize else min(values)
    best = [run for run in known if run.value == top]
    if not same_images(known, "val"):
        return f'<p class="verdict">{escape(monitor)} on val is not of the same images, so no run is best.</p>'
    if not same_ruler(known, monitor):
        return f'<p class="verdict">{escape(monitor)} is of images of another size, so no run is best.</p>'
    names = ", ".join(f"<strong>{escape(run.name)}</strong>" for run in best)
    if len({number(value) for value in values}) == 1 and len(known) == len(runs):
        return f'<p class="verdict">All reach {escape(monitor)} <strong>{number(top)}</strong> on val.</p>'
    tested = ""
    if len(best) == 1 and entry.monitor in best[0].test:
        name = "" if monitor == entry.monitor else f"{entry.monitor} "
        tested = f", {name}{number(best[0].test[entry.monitor])} on test"
    verb = "is" if len(best) == 1 else "are"
    return (
        f'<p class="verdict">{names} {verb} best: {escape(monitor)} <strong>{number(top)}</strong> on val{tested}.</p>'
    )


def _remarks(lines: Sequence[str]) -> str:
    return f'<ul class="remarks">{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul>' if lines else ""


def _pairings(pairings: Sequence[Pairing]) -> Iterable[str]:
    if not pairings:
        return
    yield '<section aria-labelledby="repeats"><h2 id="repeats">Repeats, pair by pair</h2>'
    for pairing in pairings:
        yield f"<p>{escape(pairing.title)}</p>"
        if pairing.rows:
            heads = "".join(f'<th scope="col" class="{_long(name)}">{escape(name)}</th>' for name in pairing.head[1:])
            splits = groupby(pairing.rows, key=lambda row: split_of(row.metric))
            bodies = "".join(f"<tbody>{''.join(map(_pairing_row, rows))}</tbody>" for _, rows in splits)
            yield _framed(f"<thead><tr><td></td>{heads}</tr></thead>{bodies}", pairing.title)
        yield "".join(f'<p class="note">{escape(line)}</p>' for line in pairing.notes)
    yield "</section>"


def _pairing_row(row: PairedRow) -> str:
    label, *values = cells(row)
    shown = [NOTHING if cell == MISSING else f'<td class="value">{escape(cell)}</td>' for cell in values]
    if row.verdict == BETTER:
        shown[-1] = f'<td class="top">{BETTER}</td>'
    return f'<tr><th scope="row">{_breakable(label)}</th>{"".join(shown)}</tr>'


def _differences(runs: Sequence[Run]) -> Iterable[str]:
    rows, same = differences(runs), common(runs)
    yield '<section aria-labelledby="settings"><h2 id="settings">What differs</h2>'
    if rows:
        yield _table(runs, [rows], "Settings that differ; a run without a value does not read the setting")
    else:
        yield "<p>All settings are the same.</p>"
    pairs = "".join(f"<div><dt>{escape(key)}</dt><dd>{escape(value)}</dd></div>" for key, value in same.items())
    count = f"{plural(len(same), 'setting')} {are(len(same))}"
    yield f"<details><summary>{count} the same</summary><dl>{pairs}</dl></details></section>"


def _results(runs: Sequence[Run]) -> Iterable[str]:
    rows = metrics(runs)
    whole = [row for row in rows if not is_of_class(row.label)]
    single = [row for row in rows if is_of_class(row.label)]
    groups = [[row for row in whole if row.label.startswith(split)] for split in ("val ", "test ")]
    yield '<section aria-labelledby="results"><h2 id="results">Results</h2>'
    yield _table(runs, [*groups, outcomes(runs)], "Metrics of the best epoch on val, and of its checkpoint on test")
    if single:
        yield f"<details><summary>{plural(len(single), 'row')} of single classes or targets</summary>"
        yield f"{_table(runs, [single], 'Metrics of single classes or targets')}</details>"
    yield "</section>"


def _table(runs: Sequence[Run], groups: Sequence[Sequence[Row]], caption: str) -> str:
    heads = "".join(
        f'<th scope="col" class="run-{i}{_long(run.name)}">{_swatch(run.name)}</th>' for i, run in enumerate(runs)
    )
    bodies = "".join(f"<tbody>{''.join(map(_table_row, rows))}</tbody>" for rows in groups if rows)
    return _framed(f"<thead><tr><td></td>{heads}</tr></thead>{bodies}", caption)


def _framed(content: str, caption: str) -> str:
    """A table that scrolls by itself where it is too wide."""
    told = escape(caption, quote=True)
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{told}"><table>'
        f'<caption class="unseen">{escape(caption)}</caption>{content}</table></div>'
    )


def _table_row(row: Row) -> str:
    cells = []
    for i, cell in enumerate(row.cells):
        if cell is None:
            cells.append(NOTHING)
        elif i in row.best:
            cells.append(f'<td class="top">{escape(cell)}<span class="unseen"> (best)</span></td>')
        else:
            cells.append(f'<td class="value{_long(cell)}">{escape(cell)}</td>')
    return f'<tr><th scope="row">{_breakable(row.label)}</th>{"".join(cells)}</tr>'


def _long(value: str) -> str:
    return " long" if len(value) > LONG else ""


def _breakable(key: str) -> str:
    """A key that may go on in the next line after each of its parts."""
    return re.sub("([._/])", r"\1<wbr>", escape(key))


def _swatch(name: str) -> str:
    return f'<span class="swatch" aria-hidden="true"></span>{escape(name)}'


def _curves(runs: Sequence[Run]) -> Iterable[str]:
    drawn = charts(runs)
    yield '<section aria-labelledby="curves"><h2 id="curves">Curves</h2>'
    if not drawn:
        yield "<p>No run has finished an epoch.</p></section>"
        return
    names = [run.name for run in runs]
    buttons = "".join(
        f'<button type="button" class="run-{i}" data-toggle="{i}" aria-pressed="true">{_swatch(name)}</button>'
        for i, name in enumerate(names)
    )
    yield f'<div class="legend" role="group" aria-label="Runs shown in curves and pictures">{buttons}</div>'
    yield f'<div class="charts">{"".join(as_svg(chart, names) for chart in drawn)}</div>'
    yield '<p class="hint">A ring marks the best epoch. Point at a curve, or focus it and press the arrow keys, to read'
    yield " its values; the names above hide and show runs.</p></section>"


def _gallery(runs: Sequence[Run], gallery: Gallery) -> Iterable[str]:
    yield '<section aria-labelledby="pictures"><h2 id="pictures">Predictions</h2>'
    if gallery.samples:
        count = len(gallery.samples)
        yield f"<p>{count} image{'s' * (count > 1)} of the {gallery.split} split, as each run's best checkpoint sees "
        yield f"{'them' if count > 1 else 'it'}.</p>"
    if gallery.reasons:
        yield f'<p class="hint">Left out: {escape("; ".join(gallery.reasons))}.</p>'
    yield '<div class="samples">'
    for sample in gallery.samples:
        truth = f' <span class="truth">truth: <strong>{escape(sample.truth)}</strong></span>' if sample.truth else ""
        cells = "".join(_picture(runs[i].name, i, cell) for i, cell in enumerate(sample.cells) if cell)
        yield f'<article><h3><span class="path">{escape(sample.name)}</span>{truth}</h3><div>{cells}</div></article>'
    yield "</div></section>"


def _picture(name: str, i: int, cell: Cell) -> str:
    wide = " wide" if cell.width > WIDE * cell.height else ""
    told = escape(f"{name}: {cell.words}", quote=True)
    return (
        f'<figure class="run-{i}{wide}" data-run="{i}"><figcaption>{_swatch(name)}</figcaption>'
        f'<img src="{cell.address}" width="{cell.width}" height="{cell.height}" alt="{told}"></figure>'
    )


def _folders(runs: Sequence[Run]) -> Iterable[str]:
    yield '<section aria-labelledby="folders"><h2 id="folders">Where they are</h2><dl>'
    for i, run in enumerate(runs):
        yield f'<div class="run-{i}"><dt>{_swatch(run.name)}</dt><dd>{escape(str(run.folder))}</dd></div>'
    yield "</dl></section>"
