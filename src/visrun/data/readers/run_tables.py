"""Tables with one row an object as runs of pixels, as Kaggle's challenges have them (Airbus's ships, Severstal's steel,
clouds): https://www.kaggle.com/competitions/airbus-ship-detection, Evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from visrun.data import files
from visrun.data.folder_names import LABELS_OF_SETS
from visrun.data.listing import Listing, Problem, Record
from visrun.data.marks import no_marks
from visrun.data.readers import common, object_rows, table, table_text
from visrun.data.readers.boxed import Picture, Pictures, class_names, listed
from visrun.data.readers.finder import bare_splits
from visrun.data.readers.run_columns import RENAME, Columns, columns_of, holds_runs, runs_in
from visrun.data.threads import mapped
from visrun.errors import DataError
from visrun.text import in_a_line, plural, some

NOTHING = ("", "-1", "nan")  # cells of an image, or of a class in it, that shows nothing
WANTED = "ImageId,EncodedPixels (or ImageId,ClassId,EncodedPixels, or Image_Label,EncodedPixels)"


def recognise(root: Path) -> bool:
    """Whether ``root`` is a table of runs, or one lies in it, annotations/, labels/, data/ or a split's folder."""
    return bool(_files(root)[0])


def read(root: Path, *, group: str | None = None) -> Listing:
    """A table with one row an object in runs: ImageId,EncodedPixels, perhaps ClassId; or Image_Label,EncodedPixels.

    Runs are first pixel and length, parted by spaces; pixels count from 1, down the columns. A row without runs shows
    nothing. Where no row is such, images beside those that rows name show nothing, too. train.csv, val.csv and
    test.csv, or one in each split's folder, or one for all, perhaps with a column ``split``. Width and height are the
    image's.

    Args:
        root: The table, or its folder.
        group: The column that names each image's patient, clip or place, if there is one so called.

    Raises:
        DataError: For no such table, several for one split, or one that is broken; for training or validation images
            that no table names (test images are left out).
    """
    found, others = _files(root)
    if not found:
        raise DataError(
            f"{root}: no table of runs: expected {WANTED}, in train.csv (and val.csv, test.csv) or one .csv"
            + _of_others(root)
        )
    base = files.home(root)
    sources = common.one_each(root, found, "tables of runs")
    texts = mapped(files.text, [file for _, file in sources], path=lambda file: file)
    pictures: Pictures = {}
    of_split: dict[str, Path] = {}
    problems: list[Problem] = []
    blank = False
    for (split, file), text in zip(sources, texts, strict=True):
        parsed, wrong, some_blank = _pictures(file, text, split, files.shown(file, base), group)
        pictures |= parsed
        of_split |= dict.fromkeys(parsed, file)
        problems += wrong
        blank |= some_blank
    known = object_rows.named(pictures, common.class_ids(base))
    names = known or class_names(pictures)
    splits, wrong, used = listed(pictures, of_split, names, base)
    warnings = [f"{files.shown(file, base)} has no split in its name and is left out" for file in others]
    warnings += [f"ids are named by the list of classes, in which 0 is {known[0]}"] if known else []
    if blank:
        warnings += common.left_over("image", object_rows.unnamed(used), base, lacking="a row in a table")
    else:
        warnings += _add_blank(splits, used, base)
    warnings += bare_splits(root, splits, used, mend="add {split}.csv")
    return Listing(splits=splits, classes=names, problems=(*problems, *wrong), warnings=tuple(warnings))


def _files(root: Path) -> tuple[list[tuple[str, Path]], list[Path]]:
    return common.label_files(root, (*LABELS_OF_SETS, "data"), table.inside, _is_table)


def _of_others(root: Path) -> str:
    """A line on the first table there, which is none of runs; "" where there is none."""
    tables = common.label_files(root, (*LABELS_OF_SETS, "data"), table.inside, _may_be)[0]
    if not tables:
        return ""
    file = tables[0][1]
    names = ", ".join(map(in_a_line, table_text.names_in(table_text.first_line(file))))
    return f". {files.shown(file, files.home(root))} has the columns {names}: {RENAME}"


def _may_be(file: Path) -> bool:
    return file.suffix.lower() in table.TABLES and not table.is_sample(file)


def _is_table(file: Path) -> bool:
    """Whether a file is a table of runs, and no sample of what to hand in."""
    return _may_be(file) and holds_runs(file)


def _pictures(file: Path, text: str, split: str, shown: str, group: str | None) -> tuple[Pictures, list[Problem], bool]:
    """The images that a table names, rows that name none, and whether a row says that its image shows nothing."""
    names, rows = table_text.cells_of(file, text, wanted=WANTED)
    columns = columns_of(names)
    if columns is None:
        raise DataError(f"{file}: no table of runs: expected {WANTED}")
    add = partial(_add, columns=columns)
    found, problems = object_rows.gathered(
        file, names, rows, split, shown, image=columns.image_of, by=columns.split, group=group, add=add
    )
    every = (made for several in found.values() for made in several.values())
    return found, problems, any(not made.names and not made.problems for made in every)


def _add(picture: Picture, line: int, row: Sequence[str], *, columns: Columns) -> None:
    """Put a row's object, if it has one, to those of its image.

    Raises:
        ValueError: What is wrong with it.
    """
    if picture.runs is None:
        picture.runs = []
    if columns.size:
        object_rows.settle_size(picture, common.size_in(*(row[i] for i in columns.size)))
    if row[columns.runs].lower() in NOTHING:
        return
    name = columns.class_of(row)
    if not name:
        raise ValueError("no class")
    picture.runs.append(runs_in(row[columns.runs]))
    picture.spots.append(line)
    picture.names.append(name)


def _add_blank(splits: dict[str, list[Record]], used: set[Path], base: Path) -> tuple[str, ...]:
    """Put images that no row names to those beside them, where each row shows something; and a line on them, and on
    those that lie beside images of several splits, so that nobody can say whose they are."""
    of_folder: dict[Path, set[str]] = {}
    for split, records in splits.items():
        for record in records:
            of_folder.setdefault(record.image.parent, set()).add(split)
    found, unsure = [], []
    for path in sorted(object_rows.unnamed(used), key=str):
        own = of_folder.get(path.parent, set())
        if len(own) == 1:
            found.append(path)
            where = files.shown(path, base)
            splits[min(own)].append(Record(path, no_marks(where, form="outlines"), where))
        elif own:
            unsure.append(path)
    warnings = common.left_over("image", unsure, base, lacking="a row, beside those of several splits,")
    if not found:
        return warnings
    told = some((files.shown(path, base) for path in found), 1)
    count = plural(len(found), "image")
    return (*warnings, f"{count} without a row, such as {told}, show nothing: no row is without runs")
