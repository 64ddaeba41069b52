"""Tables with one row an object, as TensorFlow, Roboflow, RetinaNet and Kaggle have them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from visrun.data import files
from visrun.data.folder_names import LABELS_OF_SETS
from visrun.data.listing import Listing, Problem
from visrun.data.readers import common, object_rows, table, table_text
from visrun.data.readers.box_columns import ONLY, Columns, Row, columns_of
from visrun.data.readers.boxed import Picture, Pictures, class_names, listed
from visrun.data.readers.finder import bare_splits
from visrun.data.threads import mapped
from visrun.errors import DataError
from visrun.text import some

HIGHEST = 1.01  # of a share: the ends of sides that were rounded may add up to more than 1
WANTED = "image,class,xmin,ymin,xmax,ymax (or x,y,width,height), or path,x1,y1,x2,y2,class"


def recognise(root: Path) -> bool:
    """Whether ``root`` is a table of boxes, or one lies in it, annotations/, labels/, data/ or a split's folder."""
    return bool(_files(root)[0])


def read(root: Path, *, group: str | None = None) -> Listing:
    """A table with one row an object: image,class,xmin,ymin,xmax,ymax (or x,y,width,height), or path,x1,y1,x2,y2,class.

    The last has no header. Coordinates are pixels, or shares of the image's sides where none of all is above 1.
    train.csv, val.csv and test.csv, or one in each split's folder, or one for all, perhaps with a column ``split``. A
    row whose box is empty is an image without objects; without a column for the class all objects are of one. Width and
    height beside four corners are the image's.

    Args:
        root: The table, or its folder.
        group: The column that names each image's patient, clip or place, if there is one so called.

    Raises:
        DataError: For no such table, several for one split, or one that is broken; for training or validation images
            that no table names (test images are left out).
    """
    found, others = _files(root)
    if not found:
        found, others = _files(root, named=True)
    if not found:
        raise DataError(
            f"{root}: no table of boxes: expected {WANTED}, in train.csv (and val.csv, test.csv) or one .csv"
        )
    base = files.home(root)
    sources = common.one_each(root, found, "tables of boxes")
    texts = mapped(files.text, [file for _, file in sources], path=lambda file: file)
    pictures: Pictures = {}
    of_split: dict[str, Path] = {}
    problems: list[Problem] = []
    unread: dict[str, None] = {}
    for (split, file), text in zip(sources, texts, strict=True):
        parsed, wrong, rest = _pictures(file, text, split, files.shown(file, base), group)
        unread |= dict.fromkeys(rest)
        pictures |= parsed
        of_split |= dict.fromkeys(parsed, file)
        problems += wrong
    known = object_rows.named(pictures, common.class_ids(base))
    names = known or class_names(pictures)
    relative = _are_shares(pictures)
    splits, wrong, used = listed(pictures, of_split, names, base, relative=relative)
    warnings = [f"{files.shown(file, base)} has no split in its name and is left out" for file in others]
    warnings += ["no coordinate is above 1: they are taken for shares of an image's sides"] if relative else []
    warnings += [f"ids are named by the list of classes, in which 0 is {known[0]}"] if known else []
    warnings += [f"columns not read: {some(unread)}"] if unread else []
    if not root.is_file():
        warnings += bare_splits(root, splits, used, mend="add {split}.csv")
        warnings += common.left_over("image", object_rows.unnamed(used), root, lacking="a row in a table")
    return Listing(splits=splits, classes=names, problems=(*problems, *wrong), warnings=tuple(warnings))


def _files(root: Path, *, named: bool = False) -> tuple[list[tuple[str, Path]], list[Path]]:
    """The tables of boxes, as `visrun.data.readers.common.label_files`; where the layout is ``named``, every table."""
    return common.label_files(root, (*LABELS_OF_SETS, "data"), table.inside, partial(_is_table, named=named))


def _is_table(file: Path, *, named: bool) -> bool:
    if file.suffix.lower() not in table.TABLES:
        return False
    columns = None if named else columns_of(*table_text.head(file))
    return named or (columns is not None and columns.likely)


def _pictures(
    file: Path, text: str, split: str, shown: str, group: str | None
) -> tuple[Pictures, list[Problem], list[str]]:
    """The images that a table names, rows that name none, and the columns that are not read."""
    names, rows = table_text.cells_of(file, text, wanted=WANTED)
    columns = columns_of(names, rows)
    if columns is None:
        raise DataError(f"{file}: no table of boxes: expected {WANTED}")
    found, problems = object_rows.gathered(
        file,
        names,
        rows,
        split,
        shown,
        image=lambda row: row[columns.image],
        by=columns.split,
        group=group,
        add=partial(_add, columns=columns),
    )
    return found, problems, [name for name in columns.unread if name != group]


def _add(picture: Picture, line: int, row: Row, *, columns: Columns) -> None:
    """Put a row's object, if it has one, to those of its image.

    Raises:
        ValueError: What is wrong with it.
    """
    box = columns.box_of(row)
    object_rows.settle_size(picture, columns.size_of(row))
    if box is None:
        return
    name = ONLY if columns.name is None else row[columns.name]
    if not name:
        raise ValueError("no class")
    picture.spots.append(line)
    picture.names.append(name)
    picture.boxes.append(box)


def _are_shares(pictures: Pictures) -> bool:
    """Whether boxes are written as shares of their image's sides, since none of all is as large as a pixel."""
    boxes = [box for several in pictures.values() for made in several.values() for box in made.boxes]
    return bool(boxes) and all(1 - HIGHEST <= number <= HIGHEST for box in boxes for number in box)
