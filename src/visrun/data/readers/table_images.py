"""The images that a table names: in which column, and where they lie."""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterator, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from visrun.data import files
from visrun.data.folder_names import MASKS_OF_DEFECTS
from visrun.data.readers import box_columns
from visrun.data.readers.finder import Finder, Places, placed
from visrun.data.splits import ALL

SUFFIXES = (".jpg", ".png", ".jpeg", ".JPG", ".PNG", ".JPEG", ".tif", ".bmp", ".webp")  # tried for names without one
# Further names of the column of images, without marks between words, where the first column holds none.
NAMES = (*box_columns.IMAGE, "filepaths", "filenames", "imgname", "imgid", "imgfile", "imagefile", "idcode", "photo")
TRIED = 5  # cells of a column that are looked for as images

Row = tuple[str, Path, str, list[str]]  # split, table, where, cells


def column_of(names: Sequence[str], rows: Sequence[tuple[int, list[str]]], file: Path, base: Path) -> int:
    """The column of images: one with a usual name, else the first, unless its cells name no images and another's do."""
    usual = next((i for i, name in enumerate(names) if name.lower() in box_columns.IMAGE_COLUMNS), None)
    if usual is not None:
        return usual
    find = Finder(base, [])
    bare = [re.sub(r"[\W_]", "", name.lower()) for name in names]
    likely = [i for i, name in enumerate(bare) if name in NAMES]
    for i in dict.fromkeys((0, *likely, *range(len(names)))):
        cells = [row[i] for _, row in rows[:TRIED] if row[i]]
        sure = i == 0 or i in likely or bare[i] in ("id", "name")
        if any(_is_image(file, cell, find, sure=sure) for cell in cells):
            return i
    return likely[0] if likely else 0


def named_in(rows: Sequence[tuple[int, list[str]]], file: Path, base: Path) -> bool:
    """Whether any cell of a table's first rows names an image, or looks like it; True for a table that is broken."""
    cells = [cell for _, row in rows[:TRIED] for cell in row if cell]
    if not cells or any(Path(cell).suffix.lower() in files.IMAGE_SUFFIXES for cell in cells):
        return True
    find = Finder(base, [])
    return any(_is_image(file, cell, find, sure=True) for cell in cells)


def _is_image(file: Path, cell: str, find: Finder, *, sure: bool) -> bool:
    """Whether a cell names an image; ``sure`` if its column may be meant to, as a number may be a file's name, too."""
    if not sure and Path(cell).suffix.lower() not in files.IMAGE_SUFFIXES:
        return False
    return _near(file, cell) is not None or find.knows(cell)


def images_of(rows: Sequence[Row], column: int, base: Path) -> tuple[list[Path], dict[int, str]]:
    """The file that each row names, or the first place where it should be; and of rows, by their place, whose name may
    mean several files a line.

    Where none of a table's images lies in a usual place, they are looked for below ``base``.
    """
    near = [_near(file, row[column]) for _, file, _, row in rows]
    lost: dict[str, tuple[Path, list[str]]] = {}
    settled = {split for (split, *_), path in zip(rows, near, strict=True) if path}
    used = {*near}
    near = [
        path or (_respelt(row[1], row[3][column], used) if row[0] in settled else None)
        for row, path in zip(rows, near, strict=True)
    ]
    for split, file, _, row in rows:
        if split not in settled:
            lost.setdefault(split, (file, []))[1].append(row[column])
    below = {ALL: _of_train(*lost.pop(ALL), base)} if ALL in lost else {}
    wanted = [(split, file, names) for split, (file, names) in lost.items()]
    below |= dict(zip(lost, placed(wanted, base), strict=True))
    used = {*near}
    found: list[Path] = []
    doubts: dict[int, str] = {}
    for (split, file, _, row), path in zip(rows, near, strict=True):
        other = below[split].paths[row[column]] if path is None and split in below else None
        if path is None and split in below and row[column] in below[split].doubts:
            doubts[len(found)] = below[split].doubts[row[column]]
        if other is not None and other not in used and _is_picture(other, base):
            path = other
        found.append(path or file.parent / row[column].replace("\\", "/"))
    return found, doubts


def _of_train(file: Path, names: Sequence[str], base: Path) -> Places:
    """Where the images of a table without splits lie: in the folder of train where all do, else anywhere."""
    (found,) = placed([("train", file, names)], base)
    return found if all(map(files.is_file, found.paths.values())) else placed([(ALL, file, names)], base)[0]


def _is_picture(path: Path, base: Path) -> bool:
    """Whether there is an image, and in no folder of masks."""
    inside = path.relative_to(base).parts if path.is_relative_to(base) else ()
    return files.is_file(path) and not any(part.lower() in MASKS_OF_DEFECTS for part in inside)


def _near(file: Path, cell: str) -> Path | None:
    """The file that a cell means, in the usual places."""
    places = _places(str(file.parent), PurePosixPath(cell.replace("\\", "/")), file.stem)
    found = next(filter(os.path.isfile, places), None)
    return None if found is None else Path(found)


def _respelt(file: Path, cell: str, used: Container[Path | None]) -> Path | None:
    """The file that a cell means in the usual places, its suffix in lower or upper case, unless another names it."""
    suffix = PurePosixPath(cell.replace("\\", "/")).suffix
    ends = (suffix.lower(), suffix.upper()) if suffix.lower() in files.IMAGE_SUFFIXES else ()
    found = (_near(file, cell.removesuffix(suffix) + end) for end in ends)
    return next((path for path in found if path and path not in used), None)


def _places(base: str, name: PurePosixPath, table: str) -> Iterator[str]:
    """Relative to the table, in images/, or in the folder named like the table, also with ``_images`` behind it, with
    the usual suffixes where the name has none; and of a path of another machine its ends, the longest first.

    As text, of which a million are asked for in a tenth of the time.
    """
    bare = name.name and name.suffix.lower() not in files.IMAGE_SUFFIXES
    for suffix in ("", *(SUFFIXES if bare else ())):
        for folder in ("", "images", table, f"{table}_images"):
            yield os.path.join(base, folder, f"{name}{suffix}")  # noqa: PTH118
    if name.is_absolute() or PureWindowsPath(str(name)).is_absolute():
        yield from (os.path.join(base, *name.parts[i:]) for i in range(1, len(name.parts)))  # noqa: PTH118
