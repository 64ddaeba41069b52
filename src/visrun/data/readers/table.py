"""Tables: one row per image, in UTF-8 (a byte-order mark and any line ends are fine), cells parted by , ; or tab."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from visrun.data import cells, files
from visrun.data.listing import Listing, Problem, Record
from visrun.data.readers import box_columns, common, label_lists, run_columns, table_images
from visrun.data.readers.table_images import Row
from visrun.data.readers.table_text import Rows, cells_of, head, mark_in, no_split, require_splits
from visrun.data.splits import ALL
from visrun.errors import DataError
from visrun.near import did_you_mean
from visrun.text import plural, some

TABLES = frozenset({".csv", ".tsv"})
_SPLIT_COLUMN = "split"
_SPLIT_COLUMNS = ("set", "dataset", "subset", "partition")  # likewise, where they hold names of splits alone


@dataclass(frozen=True)
class Table:
    """One file, its name as it is shown, column names, rows as (line number, cells), the rows ``cut`` for their number
    of cells, and the mark that parts cells."""

    file: Path
    shown: str
    columns: tuple[str, ...]
    rows: Rows
    cut: list[Problem]
    mark: str


def recognise(root: Path) -> bool:
    """Whether ``root`` is a table or holds train.csv, val.csv, test.csv or exactly one table, the folders of splits
    hold one each, beside its images, or lists name images and their classes; but not where a table holds boxes or runs,
    with which `visrun.data.readers.box_tables` and `run_tables` deal, nor where one that no split's name tells from
    others names no image, as class_names.csv does."""
    found = _tables(root)
    if not found or any(box_columns.sure(*head(file)) or run_columns.holds_runs(file) for file in found.values()):
        return False
    unsure = [file for split, file in found.items() if root.is_dir() and (split == ALL or file.parent != root)]
    return not unsure or any(table_images.named_in(head(file)[1], file, root) for file in unsure)


def read(root: Path, *, target: str, targets: Sequence[str] | None = None, group: str | None = None) -> Listing:
    """A table image,label or image,target[,target2...]: train.csv with val.csv and test.csv, or one .csv.

    Or a table in each of train/, val/ and test/, beside the images, such as Roboflow's _classes.csv. Or lists
    train.txt, val.txt and test.txt with an image and its class on each line, also in meta/ or splits/.

    Image paths are relative to the table; images may lie in images/ or in a folder named like the table, as train/ or
    train_images/. One table may have a column ``split``. A label cell may hold several labels (``cat|dog`` or
    ``cat;dog``), or every label has a column of 0 and 1. ``classes.txt`` beside the table fixes the classes' names and
    order.

    Args:
        root: The table, or its folder.
        target: ``label`` or ``value``.
        targets: The columns to learn; None = those beside the image that neither number the rows nor hold nothing, or
            text where numbers are learnt.
        group: The column that names each image's patient, clip or place, and is not learnt, if there is one so called.

    Raises:
        DataError: For a missing or broken table; wrong rows are the listing's problems.
    """
    found = _tables(root)
    if not found:
        raise DataError(f"{root}: no table: expected train.csv (and val.csv, test.csv) or exactly one .csv")
    base = files.home(root)
    several = len(found) > 1
    opened = {
        split: _open(file, files.shown(file, base), least=1 if split == "test" and several else 2)
        for split, file in found.items()
    }
    first = next(iter(opened.values()))
    opened = {split: _with_blanks(table, first.columns, group) for split, table in opened.items()}
    lines = _drop_unlabelled(opened, first)
    for table in opened.values():
        if table.columns != first.columns:
            raise DataError(
                f"{table.file}: columns {', '.join(table.columns)}, but {first.file.name} has others: give all the same"
            )
    made = _listing(opened, base, target, targets, group)
    return replace(made, warnings=(*lines, *made.warnings))


def _with_blanks(table: Table, columns: tuple[str, ...], group: str | None) -> Table:
    """A table with blanks in the column of groups, where that is all that it lacks of the ``columns``."""
    place = columns.index(group) if group in columns else None
    if place is None or table.columns != (*columns[:place], *columns[place + 1 :]):
        return table
    return replace(table, columns=columns, rows=[(line, [*row[:place], "", *row[place:]]) for line, row in table.rows])


def _drop_unlabelled(opened: dict[str, Table], first: Table) -> list[str]:
    """Take a test table out of ``opened`` that lacks columns of the first; a line that says so."""
    test = opened.get("test", first)
    if len(test.columns) > 1 and not {*test.columns} < {*first.columns}:
        return []
    del opened["test"]
    lacking = [name for name in first.columns if name not in test.columns]
    return [f"{test.shown}: test images without labels are left out (no column {some(lacking)})"]


def _tables(root: Path) -> dict[str, Path]:
    if root.is_file():
        return {ALL: root} if root.suffix.lower() in TABLES else {}
    if not root.is_dir():
        return {}
    every = [file for file in inside(root) if not is_sample(file)]
    named = {split: file for file in every if (split := files.split_of(file.stem))}
    if not every:
        inner = [(split, folder, inside(folder)) for split, folder in common.by_split(root)]
        named = {s: own[0] for s, folder, own in inner if len(own) == 1 and files.holds_images(folder, deep=False)}
    if not every and not named:
        return label_lists.inside(root)
    if len(every) == 2 and [*named] == ["test"]:
        (other,) = {*every} - {named["test"]}
        if {*head(named["test"])[0]} < {*head(other)[0]}:  # a test.csv of ids, beside labels.csv
            named["train"] = other
    return {s: named[s] for s in files.SPLITS if s in named} or ({ALL: every[0]} if len(every) == 1 else {})


def is_sample(file: Path) -> bool:
    """Whether a file is one of Kaggle's samples of what to hand in: its labels are made up."""
    return re.search(r"submission(?!s)", file.stem.lower()) is not None


def inside(folder: Path) -> list[Path]:
    """The tables right in a folder."""
    return sorted(filter(files.is_file, files.of_suffix(folder, TABLES, deep=False)))  # no broken links


def _open(file: Path, shown: str, *, least: int) -> Table:
    text = files.text(file)
    columns, rows = cells_of(file, text, wanted="image,label or image,target", least=least)
    whole: Rows = []
    cut = []
    for line, row in rows:
        if len(row) == len(columns):
            whole.append((line, row))
            continue
        what = f"{plural(len(row), 'cell')}, the header has {len(columns)}"
        if file.suffix.lower() in files.TEXT:
            what = f"no line of an image and its class: {row[0][:60]!r}"
        cut.append(Problem(f"{shown}:{line}", what))
    return Table(file, shown, columns, whole, cut, mark_in(text) if file.suffix.lower() in TABLES else " ")


def _listing(
    opened: dict[str, Table], base: Path, target: str, targets: Sequence[str] | None, group: str | None
) -> Listing:
    first = next(iter(opened.values()))
    file, columns = first.file, first.columns
    image = table_images.column_of(columns, first.rows, file, base)
    split, lines = _split_column(first) if ALL in opened else (None, ())
    member = columns.index(group) if group in columns else None
    others = [i for i in range(len(columns)) if i not in (image, split, None if targets else member)]
    if not others:
        raise DataError(f"{file}: no column beside {', '.join(columns)} to learn: add one")
    if target == "value":
        opened, told = _with_points(opened, others)
        lines = (*lines, *told)
    chosen = _learnable(opened, others, target) if targets is None else _named(columns, others, targets, file)
    rows, problems = _rows(opened, split)
    inner = [[row[i] for i in chosen] for _, _, _, row in rows]
    names = [columns[i] for i in chosen]
    wheres = [where for _, _, where, _ in rows]
    if target == "value":
        made = cells.values(names, inner, wheres, file=file)
    else:
        known = _known(file, base)
        made = cells.labels(names, inner, wheres, known=known, file=file, chosen=targets is not None)
    twice = next((name for name in made.columns if columns.count(name) > 1), None)
    if twice is not None:  # what is learnt is told apart by its name
        raise DataError(f"{file}: several columns are called {twice!r}: give each a name of its own")
    splits: dict[str, list[Record]] = {name: [] for name in opened if split is None}
    images, doubts = table_images.images_of(rows, image, base)
    problems += [Problem(wheres[i], doubt) for i, doubt in doubts.items() if made.targets[i] is not None]
    for i, ((name, _, where, _), path, value) in enumerate(zip(rows, images, made.targets, strict=True)):
        splits.setdefault(name, [])
        if value is not None and i not in doubts:
            splits[name].append(Record(path, value, where, None if member is None else rows[i][3][member]))
    return Listing(
        splits=splits,
        classes=made.classes,
        targets=tuple(names) if target == "value" else (),
        multilabel=made.multilabel,
        problems=(*problems, *made.problems),
        warnings=(
            *lines,
            *made.notes,
            *(_unread([columns[i] for i in others], made.columns) if targets is None else ()),
        ),
    )


def _known(file: Path, base: Path) -> tuple[str, ...]:
    """The names of the classes by id, where a text says them."""
    return label_lists.class_names(file, base) if file.suffix.lower() in files.TEXT else files.class_names(base)


def _split_column(table: Table) -> tuple[int | None, tuple[str, ...]]:
    """The column that says each row's split, and a line on one that is not simply called so."""
    lower = [name.lower() for name in table.columns]
    if _SPLIT_COLUMN in lower:
        return lower.index(_SPLIT_COLUMN), ()
    for i, name in enumerate(lower):
        if re.sub(r"[\W_]", "", name) in _SPLIT_COLUMNS:
            found = {files.split_of(row[i]) for _, row in table.rows}
            if None not in found and "train" in found and len(found) > 1:
                return i, (f"the column {table.columns[i]!r} says which split an image is of",)
    return None, ()


def _with_points(opened: dict[str, Table], others: list[int]) -> tuple[dict[str, Table], tuple[str, ...]]:
    """The tables with 1.5 where a column's numbers are written as 1,5, and a line on such columns."""
    first = next(iter(opened.values()))
    column = {i: [row[i] for table in opened.values() for _, row in table.rows] for i in others}
    found = [i for i in others if cells.has_decimal_commas(column[i], first.mark)]
    if not found:
        return opened, ()
    names = some(first.columns[i] for i in found)
    made = {
        split: replace(table, rows=[(line, _pointed(row, found)) for line, row in table.rows])
        for split, table in opened.items()
    }
    return made, (f"commas in numbers are taken for decimal points, as 1,5 is 1.5, in: {names}",)


def _pointed(row: list[str], places: list[int]) -> list[str]:
    return [cell.replace(",", ".") if i in places else cell for i, cell in enumerate(row)]


def _learnable(opened: dict[str, Table], others: list[int], target: str) -> list[int]:
    """The columns among ``others`` that may be meant to be learnt; all where none is left."""
    several = [{i: [row[i] for _, row in table.rows] for i in others} for table in opened.values()]
    names = next(iter(opened.values())).columns
    kept = [i for i in others if not all(cells.numbers_rows(names[i], column[i]) for column in several)]
    kept = [i for i in kept if any(cell for column in several for cell in column[i])] or kept
    if target == "value":
        kept = [i for i in kept if not cells.is_text([cell for column in several for cell in column[i]])] or kept
    return kept or others


def _named(columns: Sequence[str], others: list[int], targets: Sequence[str], file: Path) -> list[int]:
    """The places of the columns that a user chose."""
    known = {columns[i]: i for i in others}
    missing = [name for name in targets if name not in known]
    if missing:
        hint = did_you_mean(missing[0], known) or f"; columns here: {some(known, 20)}"
        raise DataError(f"data.targets: no column {missing[0]!r} in {file.name}{hint}")
    return [known[name] for name in targets]


def _unread(names: list[str], read: Sequence[str]) -> tuple[str, ...]:
    """A line on the columns that are not learnt, if any."""
    unread = [name or "one without a name" for name in names if name not in read]
    return (f"columns not read: {some(unread)}; data.targets=[NAME,...] chooses",) if unread else ()


def _rows(opened: dict[str, Table], split: int | None) -> tuple[list[Row], list[Problem]]:
    """All rows as (split, table, where, cells), and what is wrong before their content is looked at."""
    rows: list[Row] = []
    problems = [problem for table in opened.values() for problem in table.cut]
    for name, table in opened.items():
        if split is not None:
            require_splits(table.file, [row[split] for _, row in table.rows])
        for line, row in table.rows:
            where = f"{table.shown}:{line}"
            place = name if split is None else files.split_of(row[split])
            if place is None and split is not None:
                problems.append(Problem(where, no_split(row[split])))
            else:
                rows.append((str(place), table.file, where, row))
    return rows, problems
