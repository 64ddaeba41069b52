"""Rows of a table with one object each, put to the images that they name; what tables of boxes and of runs share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from visrun.data import files
from visrun.data.listing import Problem
from visrun.data.readers import common, table_text
from visrun.data.readers.boxed import Picture, Pictures
from visrun.data.readers.table_text import Rows
from visrun.data.splits import ALL
from visrun.text import plural

_ODD = re.compile(r"\\|//|/$|(^|/)\.(/|$)")  # in a path that is not written in the plainest way

Add = Callable[[Picture, int, Sequence[str]], None]


def gathered(
    file: Path,
    names: Sequence[str],
    rows: Rows,
    split: str,
    shown: str,
    *,
    image: Callable[[Sequence[str]], str],
    by: int | None,
    group: str | None,
    add: Add,
) -> tuple[Pictures, list[Problem]]:
    """The images that a table names, and the rows that name none.

    Args:
        file: The table; names, rows: its columns and rows; split: whose it is; shown: its name in messages.
        image: The name of an image in a row, "" where it has none.
        by: The column of splits, which counts where the table is of none.
        group: The column that names each image's patient, clip or place, if there is one so called.
        add: Puts the object of a row, with its line, to those of its image; raises ValueError for a wrong one.

    Raises:
        DataError: A column of splits in which several rows name none.
    """
    by_row = split == ALL and by is not None
    member = names.index(group) if group in names else None
    found: Pictures = {} if by_row else {split: {}}
    problems: list[Problem] = []
    if by_row:
        table_text.require_splits(file, [(row[by or 0 :] or [""])[0] for _, row in rows])
    for line, row in rows:
        where, cells = f"{shown}:{line}", [*row, *[""] * len(names)]
        whose = files.split_of(cells[by or 0]) if by_row else split
        named = image(cells)
        if whose is None or not named:
            problems.append(Problem(where, "no image" if whose else table_text.no_split(cells[by or 0])))
            continue
        name = PurePosixPath(named.replace("\\", "/")).as_posix() if _ODD.search(named) else named
        picture = found.setdefault(whose, {}).setdefault(name, Picture(where, f"{shown}:"))
        if member is not None:
            picture.member = picture.member or cells[member]
        try:
            if len(row) != len(names):
                raise ValueError(f"{plural(len(row), 'cell')}, the header has {len(names)}")
            add(picture, line, row)
        except ValueError as error:
            picture.problems.append(Problem(where, str(error)))
    return found, problems


def settle_size(picture: Picture, size: common.Size | None) -> None:
    """Note the size of an image as a row tells it.

    Raises:
        ValueError: A row above tells another.
    """
    if size and picture.size and picture.size != size:
        raise ValueError(f"width and height {size[0]}x{size[1]}, in a row above {picture.size[0]}x{picture.size[1]}")
    picture.size = size or picture.size


def named(pictures: Pictures, classes: tuple[str, ...]) -> tuple[str, ...]:
    """Put names in place of ids, where the table has ids alone and ``classes`` names them all; the names, or ()."""
    every = [made for several in pictures.values() for made in several.values()]
    ids = {name for made in every for name in made.names}
    if not ids or ids <= {*classes} or not all(name.isdecimal() and int(name) < len(classes) for name in ids):
        return ()
    for made in every:
        made.names = [classes[int(name)] for name in made.names]
    return classes


def unnamed(used: set[Path]) -> Iterator[Path]:
    """Images beside those that tables name."""
    for folder in {path.parent for path in used}:
        yield from (path for path in files.images(folder, deep=False) if path not in used)
