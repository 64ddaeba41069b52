"""The text of a table as rows of cells, whatever it is about."""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from visrun.data import files
from visrun.data.readers import label_lists
from visrun.errors import DataError
from visrun.text import some

Rows = list[tuple[int, list[str]]]  # line number, cells
_SEP = re.compile(r'\A"?sep=[^\n]{1,2}"?\r?(?=\n)')  # a first line by which Excel is told the mark


def head(file: Path) -> tuple[tuple[str, ...], Rows]:
    """`cells_of` the first lines of a file; of one that is no table nothing."""
    with contextlib.suppress(DataError):
        raw = files.head(file)
        text = raw.decode("utf-8-sig", "replace")
        return cells_of(file, text[: text.rfind("\n") + 1] if len(raw) == files.HEAD else text, wanted="", closed=False)
    return (), []


def first_line(file: Path) -> str:
    """The line that names a table's columns: a row of it may be longer than what is looked at."""
    return files.head(file).partition(b"\n")[0].decode("utf-8-sig", "replace")


def cells_of(
    file: Path, text: str, *, wanted: str, least: int = 2, closed: bool = True
) -> tuple[tuple[str, ...], Rows]:
    """The names of a table's columns, and its rows.

    Args:
        file: Its name, for messages; text: what it holds.
        wanted: The rows that are expected in it; least: how many columns.
        closed: Whether a quote that is left open is refused, as it is not in the first lines of a table.

    Raises:
        DataError: It is broken, or has too few columns or no rows.
    """
    if file.suffix.lower() in files.TEXT:
        return label_lists.cells_of(text)
    text = _SEP.sub("", text)
    if not text.strip():
        raise DataError(f"{file}: empty table")
    rows = _rows(file, text, closed=closed)
    columns = tuple(rows[0][1])
    if any(Path(cell).suffix.lower() in files.IMAGE_SUFFIXES for cell in columns):
        columns = ("image", *(f"column_{i}" for i in range(1, len(columns))))  # no header: the first row is an image
    else:
        columns, rows = _without_blank(columns, rows[1:])
    if len(columns) < least or not rows:
        what = "one column" if len(columns) < least else "no rows below the header"
        raise DataError(f"{file}: {what}: expected {wanted} rows, parted by , ; or tab")
    return columns, rows


def _rows(file: Path, text: str, *, closed: bool) -> Rows:
    """The rows with anything in them. An open quote would swallow those below it, up to the next quote or the end."""
    lines, rows, done = [*io.StringIO(text, newline="")], [], 0
    try:
        mark = mark_in(text)
        reader = csv.reader(lines, delimiter=mark)
        for row in reader:
            if closed and reader.line_num > done + 1:
                _require_closed(lines[done : reader.line_num], mark, where=f"{file}:{done + 1}")
            done = reader.line_num
            if any(map(str.strip, row)):
                rows.append((done, [cell.strip() for cell in row]))
    except csv.Error as error:
        raise DataError(f"{file}:{done + 1}: broken table ({error})") from error
    return rows


def _require_closed(lines: Sequence[str], mark: str, *, where: str) -> None:
    """Refuse a row of several lines of which a cell begins with a quote and does not end with one."""
    try:
        for _ in csv.reader(lines, delimiter=mark, strict=True):
            pass
    except csv.Error:
        raise DataError(f'{where}: a cell begins with a quote (") that does not end it: close or remove it') from None


def mark_in(text: str) -> str:
    """The mark that parts the first line in most cells."""
    start = next(line for line in text.splitlines() if line.strip())
    return max(",;\t", key=lambda mark: len(next(csv.reader([start], delimiter=mark))))


def names_in(line: str) -> tuple[str, ...]:
    """The names of columns in a table's first line."""
    return tuple(cell.strip() for cell in next(csv.reader([line], delimiter=mark_in(line)), [])) if line.strip() else ()


def _without_blank(columns: tuple[str, ...], rows: Rows) -> tuple[tuple[str, ...], Rows]:
    """Without columns of neither a name nor any cell, as a mark at the end of each line makes one."""
    blank = {i for i, name in enumerate(columns) if not name and not any(i < len(row) and row[i] for _, row in rows)}
    if not blank:
        return columns, rows
    kept = [(line, [cell for i, cell in enumerate(row) if i not in blank]) for line, row in rows]
    return tuple(name for i, name in enumerate(columns) if i not in blank), kept


def no_split(cell: str) -> str:
    """What is wrong with a row whose cell names no split."""
    return f"split {cell!r} is none of train, val, test"


def require_splits(file: Path, cells: Iterable[str]) -> None:
    """Refuse a column of splits in which several rows say another: a split as a whole is no mistake to be skipped.

    Raises:
        DataError: With what they say, and how many rows do.
    """
    counts = Counter(cell for cell in cells if files.split_of(cell) is None)
    several = [f"{cell!r} ({n} rows)" for cell, n in counts.most_common() if n > 1]
    if several:
        raise DataError(
            f"{file}: column split: {some(several)}: none of train, val, test: write one of these there, take the rows "
            "out, or remove the column"
        )
