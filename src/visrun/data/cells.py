"""The cells of a table become targets: class names to indices, numbers to floats."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from visrun.data import files
from visrun.data.listing import Problem
from visrun.errors import DataError
from visrun.numbers import number_or_none
from visrun.text import are, composed, plural, some

_NUMBERING = ("", "index", "id", "unnamed: 0")  # names of a column that numbers the rows; pandas writes "" or index
# fmt: off
_LABEL_COLUMNS = (  # without marks between words, the most telling first
    "label", "labels", "class", "classes", "classname", "category", "target", "choice", "labelname", "categoryname",
    "classid", "labelid", "categoryid",
)
# fmt: on
_MINUS = ("-1", "-1.0")  # in columns of flags
_COMMA = re.compile(r"[-+]?\d+(?:,\d+)?(?:[eE][-+]?\d+)?")  # a number whose decimal mark may be a comma
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2},\d{3}")  # which may be one of a thousand and more, too
_LARGEST = 3.4e38  # of float32, whose very last, 3.4028e38, stands for "no data" in maps
_LIST = re.compile(r"\[\s*(?:(['\"]).*\1\s*|[-+\d.][-+\d.,\s]*)?\]")  # of names or numbers, as pandas writes it
_MARKS = {",": "commas", " ": "spaces"}  # that may part the labels in a cell, besides | and ;


@dataclass(frozen=True)
class Targets:
    """A target for each row (None where the row is a problem), and what they mean.

    ``columns`` are the names of those that were read, ``notes`` what people should know.
    """

    targets: list[Any]
    classes: tuple[str, ...] = ()
    multilabel: bool = False
    columns: tuple[str, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    notes: tuple[str, ...] = ()


def numbers_rows(name: str, column: Sequence[str]) -> bool:
    """Whether a column of one table only numbers its rows: named so or not at all, and integers, each once."""
    return name.lower() in _NUMBERING and all(map(_is_integer, column)) and len(set(column)) == len(column)


def names_label(name: str) -> bool:
    """Whether a column is named as those of classes are; ``target`` may as well be a value."""
    return _bare(name) in {*_LABEL_COLUMNS} - {"target"}


def is_text(column: Sequence[str]) -> bool:
    """Whether a column holds no numbers to learn: nothing, or mostly other words."""
    written = [cell for cell in column if cell]
    return not written or 2 * sum(number_or_none(cell) is None for cell in written) > len(written)


def has_decimal_commas(column: Sequence[str], mark: str) -> bool:
    """Whether a column's numbers are written as 1,5, in a table whose cells are parted by ``mark``.

    Beside tabs 1,500 alone may be 1500, too, which is none.
    """
    written = [cell for cell in column if cell]
    commas = [cell for cell in written if "," in cell]
    if mark == "," or not commas or not all(map(_COMMA.fullmatch, written)):
        return False
    return mark == ";" or not all(map(_THOUSANDS.fullmatch, commas))


def values(names: Sequence[str], rows: Sequence[Sequence[str]], wheres: Sequence[str], *, file: Path) -> Targets:
    """Each row's cells as a tuple of floats that are finite in float32, too.

    Raises:
        DataError: A column of several cells has no number at all; ``file`` is the table, for the message.
    """
    for name, column in zip(names, zip(*rows, strict=True), strict=False):
        written = [cell for cell in column if cell]
        if len(written) > 1 and all(number_or_none(cell) is None for cell in written):
            raise DataError(
                f"{file}: column {name!r}: none of {len(written)} cells is a number, such as {written[0]!r}: "
                "write bare numbers such as 1500 or 1.5, without units or commas"
            )
    made = Targets([], columns=tuple(names))
    for row, where in zip(rows, wheres, strict=True):
        numbers = [number_or_none(cell) for cell in row]
        wrong = next((i for i, x in enumerate(numbers) if _fault(x)), None)
        if wrong is not None:
            made.problems.append(Problem(where, f"{names[wrong]} {row[wrong]!r} {_fault(numbers[wrong])}"))
        made.targets.append(tuple(numbers) if wrong is None else None)
    return made


def _fault(number: float | None) -> str:
    """What keeps a number from being learnt, or nothing."""
    if number is None:
        return "is no number"
    if not math.isfinite(number):
        return "is not finite"
    return "is beyond float32, in which networks learn: write another unit" if abs(number) > _LARGEST else ""


def labels(
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    wheres: Sequence[str],
    *,
    known: tuple[str, ...],
    file: Path,
    chosen: bool = False,
) -> Targets:
    """Each row's class index, or a tuple of them where labels can be several.

    Of columns of 0 and 1 a blank cell means no, and so does -1 where 1 is the only other; beside others it may mean
    that nobody is sure, which is refused.

    Args:
        names: The columns beside the image.
        rows: Their cells.
        wheres: Each row's file and line.
        known: Class names by id where ``classes.txt`` fixes them, else ().
        file: The table, for messages.
        chosen: Whether somebody named the columns: all of several are labels then.

    Raises:
        DataError: Where several columns stand beside the image and it is not clear which is the label; where they do
            not all hold 0 and 1, hold nothing, or hold a -1 that may mean anything.
    """
    place = 0 if len(names) == 1 else None if chosen else _label_column(names)
    if place is not None:
        return replace(_from_column([row[place] for row in rows], wheres, known), columns=(names[place],))
    flags = [name for name, column in zip(names, zip(*rows, strict=True), strict=False) if _holds_flags(column)]
    if len(flags) == len(names) and any(map(any, rows)):
        flagged, notes = _settled(names, rows, wheres)
        made = _from_flags(names, flagged, wheres)
        return replace(made, notes=(*made.notes, *notes))
    if chosen and not any(map(any, rows)):
        raise DataError(f"{file}: data.targets={[*names]}: no row holds a value there")
    if chosen:
        other = next(name for name in names if name not in flags)
        raise DataError(
            f"{file}: data.targets={[*names]}: each of several columns holds 0 and 1, and {other!r} does not: "
            "write 1 for yes and 0 for no there, or choose one column"
        )
    hint = f"; of 0 and 1 are {some(flags, 8)}" if len(flags) > 1 else ""
    raise DataError(
        f"{file}: which column is the label? choose it with data.targets=[NAME] (found: {some(names, 8)}{hint}), "
        "name it 'label', or give every label a column of 0 and 1"
    )


def _holds_flags(column: Sequence[str]) -> bool:
    """Whether at least half of what is written in a column is 0, 1 or -1."""
    written = [cell for cell in column if cell]
    return 2 * sum(cell in _MINUS or files.flag(cell) is not None for cell in written) >= len(written)


def _settled(
    names: Sequence[str], rows: Sequence[Sequence[str]], wheres: Sequence[str]
) -> tuple[Sequence[Sequence[str]], tuple[str, ...]]:
    """The cells of columns of flags with 0 for blanks, and for -1 where it means no; a line on each.

    Raises:
        DataError: A -1 may mean anything.
    """
    every = [cell for row in rows for cell in row]
    blank, minus = every.count(""), sum(cell in _MINUS for cell in every)
    if not blank and not minus:
        return rows, ()
    if minus and not all(cell in _MINUS or files.flag(cell) for cell in every):  # else as CelebA has them
        where, row = next((where, row) for where, row in zip(wheres, rows, strict=True) if {*row} & {*_MINUS})
        name = next(name for name, cell in zip(names, row, strict=True) if cell in _MINUS)
        raise DataError(
            f"{where}: {name!r} is -1, as {minus:,} of {len(every):,} cells in columns of 0 and 1 are, which may mean "
            "no or not sure: write 0 for no and 1 for yes, or take such rows out"
        )
    notes = ["-1 in the columns of labels means no"] if minus else []
    if blank:
        notes.append(f"{blank:,} of {len(every):,} cells in the columns of labels are blank, which means no")
    return [["0" if cell in ("", *_MINUS) else cell for cell in row] for row in rows], tuple(notes)


def _label_column(names: Sequence[str]) -> int | None:
    bare = [*map(_bare, names)]
    return next((bare.index(name) for name in _LABEL_COLUMNS if name in bare), None)


def _bare(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())


def _from_flags(names: Sequence[str], rows: Sequence[Sequence[str]], wheres: Sequence[str]) -> Targets:
    made = Targets([], classes=tuple(names), multilabel=True, columns=tuple(names))
    for row, where in zip(rows, wheres, strict=True):
        wrong = next((i for i, cell in enumerate(row) if files.flag(cell) is None), None)
        if wrong is not None:
            made.problems.append(Problem(where, f"{names[wrong]} {row[wrong]!r} is neither 0 nor 1"))
        on = tuple(i for i, cell in enumerate(row) if files.flag(cell))
        made.targets.append(on if wrong is None else None)
    usable = [on for on in made.targets if on is not None]
    if len(names) < 2 or not usable or any(len(on) != 1 for on in usable):
        return made
    single = [None if on is None else on[0] for on in made.targets]
    return replace(made, targets=single, multilabel=False, notes=("each row has a single 1: one class an image",))


def _from_column(column: Sequence[str], wheres: Sequence[str], known: tuple[str, ...]) -> Targets:
    column = [composed(cell) for cell in column]  # as the known names are
    mark, notes = _mark(column, known)
    several = [_parts(cell, known, mark) for cell in column]
    multilabel = any(len(parts) > 1 for parts in several)
    classes, index = _classes({part for parts in several for part in parts}, known)
    made = Targets([], classes=classes, multilabel=multilabel, notes=notes)
    for parts, where in zip(several, wheres, strict=True):
        wrong = next((part for part in parts if part not in index), None)
        listed = next((part for part in parts if _LIST.fullmatch(part) and part not in known), None)
        if listed is not None:
            made.problems.append(Problem(where, f"label {listed!r} is a Python list: part labels by |, as cat|dog"))
        elif wrong is not None:
            made.problems.append(Problem(where, _out_of_range(wrong, known)))
        elif not parts and not multilabel:
            made.problems.append(Problem(where, "no label"))
        usable = wrong is None and listed is None and (multilabel or parts)
        found = tuple(sorted({index[part] for part in parts})) if usable else None
        made.targets.append(found if multilabel or found is None else found[0])
    return made


def _classes(written: set[str], known: tuple[str, ...]) -> tuple[tuple[str, ...], dict[str, int]]:
    """The classes of a column with these labels, and which of them each label is that may stand there."""
    numbered = all(map(_is_integer, written)) and written != {"-1", "1"}  # which are two names
    if known and numbered and not written & {*known}:
        return known, {str(i): i for i in range(len(known))}  # ids into classes.txt
    names = (name for name in written if not (numbered and name.startswith("-")))
    classes = known or tuple(sorted(names, key=files.natural))
    return classes, {name: i for i, name in enumerate(classes)}


def _mark(column: Sequence[str], known: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The mark that parts several labels in a cell, ``""`` for none but those of `_parts`, and a line on it.

    A comma does where each part stands alone in another cell or in classes.txt; a space, too, in more than one such
    cell; and a space between whole numbers. Names such as "Washington, DC" and "fire truck" stay whole.
    """
    whole = {*column} - {"", *known}
    if any(len(_parts(cell, known, "")) > 1 for cell in whole):
        return "", ()
    for mark, named in _MARKS.items():
        several = [cell for cell in sorted(whole) if len(_parts(cell, known, mark)) > 1]
        parts = {part for cell in several for part in _parts(cell, known, mark)}
        written = whole.difference(several)
        alone = written.union(known)
        numbers = bool(written) and all(map(_is_integer, parts | written))
        if mark == " ":
            sure = numbers or (parts <= alone and (len(several) > 1 or bool(known)))
        else:
            sure = parts <= alone and (not numbers or all(", " in cell for cell in several))  # 3,5 is a number
        if several and sure:
            told = f"several labels in a cell are parted by {named}, such as {several[0]!r}"
            return mark, (told if known else f"{told}; where that is one name, list the classes in classes.txt",)
        if 2 * len(parts & alone) > len(parts):
            return "", (f"{several[0]!r} is one class: part several labels in a cell by |",)
    return "", ()


def _parts(cell: str, known: tuple[str, ...], mark: str) -> list[str]:
    """The labels in a cell: parted by ``mark``; else by ``|``, or by ``;`` without spaces (``cats; dogs`` is one
    name)."""
    mark = mark or ("|" if "|" in cell else ";")
    if cell in known or (mark == ";" and any(sign in cell for sign in ("; ", " ;"))):
        return [cell]
    return [part.strip() for part in cell.split(mark) if part.strip()]


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _out_of_range(label: str, known: tuple[str, ...]) -> str:
    if known:
        count = f"{are(len(known))} {plural(len(known), 'class')}"
        return f"label {label!r} is out of range: there {count}, counted from 0 ({some(known)})"
    return f"label {label!r} is out of range: class ids start at 0"
