"""The columns of a table with one row an object: which hold its image, its class, its box, the image's size."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from visrun.data.readers.common import Size, size_in
from visrun.numbers import number_in, number_or_none

# Names of the column of images in a table of whatever.
IMAGE_COLUMNS = ("image", "images", "file", "filename", "file_name", "path", "image_path", "filepath", "img")
# Names without marks between words: x_min, X-Min and XMin are one. Of several columns the name further up counts.
# fmt: off
IMAGE = (*(name.replace("_", "") for name in IMAGE_COLUMNS), "imagename", "imgpath", "imageid", "patientid")
CLASS = (
    "classname", "labelname", "categoryname", "class", "label", "category", "classid", "labelid", "categoryid",
)
ALSO = ("labels", "classes", "cls", "classlabel", "object", "objectname", "species", "name", "tag", "type")
# fmt: on
ONLY = "object"  # the class where a table names none
NAMED = (("xmin", "ymin", "xmax", "ymax"), ("left", "top", "right", "bottom"))  # which are boxes and nothing else
TEXT = ("bbox",)  # a cell as "[x, y, width, height]"
# What the columns of a box mean, and what they may be called; the first that a table has count.
# fmt: off
WRITTEN = (
    *(("corners", names) for names in NAMED),
    ("sides", TEXT),
    ("quad", ("x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4")),
    ("quad", ("x0", "y0", "x1", "y1", "x2", "y2", "x3", "y3")),
    ("corners", ("x1", "y1", "x2", "y2")), ("corners", ("x0", "y0", "x1", "y1")),
    *(("sides", (*first, *second))
      for first in (("x", "y"), ("bboxx", "bboxy"), ("left", "top"), ("xmin", "ymin"))
      for second in (("bboxwidth", "bboxheight"), ("w", "h"), ("width", "height"))),
    *(("middle", (*first, *second))
      for first in (("xcenter", "ycenter"), ("centerx", "centery"), ("xcentre", "ycentre"), ("cx", "cy"), ("xc", "yc"))
      for second in (("bboxwidth", "bboxheight"), ("w", "h"), ("width", "height"))),
)
# fmt: on
SIZE = (("width", "height"), ("imagewidth", "imageheight"), ("imgwidth", "imgheight"))
UNNAMED = ("image", *(f"column_{i}" for i in range(1, 6)))  # path,x1,y1,x2,y2,class without a header
UNNAMED_SIZE = ("column_6", "column_7")  # width,height behind it, as SKU-110K has them

Row = Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Where things stand in a row.

    Args:
        image: The image's name.
        box: Its numbers, or one column with all of them.
        kind: What these are: ``corners`` (left, top, right, bottom), ``sides`` (left, top, width, height), ``middle``
            (its x and y, width, height), or ``quad`` (x and y of four corners, of which the box around is taken).
        name: The class; None where there is one class.
        size: Width and height of the image, where they are written.
        split: The split, likewise.
        unread: Names of the columns that hold something else.
        likely: Whether who looks for boxes may take it for a table of them; certain: whether it can be nothing else.
    """

    image: int
    box: tuple[int, ...]
    kind: str
    name: int | None
    size: tuple[int, ...]
    split: int | None
    likely: bool
    certain: bool
    unread: tuple[str, ...] = ()

    def box_of(self, row: Row) -> tuple[float, float, float, float] | None:
        """Left, top, right, bottom; None where nothing is written, which is an image without objects.

        Raises:
            ValueError: Not four numbers.
        """
        cells = [row[i] for i in self.box]
        written = ",".join(cells)
        if len(cells) == 1:
            cells = [cell for cell in re.split(r"[\s,;]+", cells[0].strip("[](){}")) if cell]
        if not any(cells):
            return None
        try:
            numbers = [*map(number_in, cells)]
            if self.kind == "quad":
                return min(numbers[::2]), min(numbers[1::2]), max(numbers[::2]), max(numbers[1::2])
            x, y, third, fourth = numbers
        except ValueError:
            pointed = {cell: cell.replace(",", ".") for cell in cells if "," in cell}
            hint = next((f": write {a} as {b}" for a, b in pointed.items() if number_or_none(b) is not None), "")
            raise ValueError(f"no box of four numbers: {written[:60]!r}{hint}") from None
        if self.kind == "middle":
            x, y = x - third / 2, y - fourth / 2
        return (x, y, third, fourth) if self.kind == "corners" else (x, y, x + third, y + fourth)

    def size_of(self, row: Row) -> Size | None:
        """(width, height) of the image, where the table tells it."""
        return size_in(*(row[i] for i in self.size)) if self.size else None


def columns_of(names: Sequence[str], rows: Sequence[tuple[int, Row]]) -> Columns | None:
    """The columns of a table with these names and rows; None where it holds no boxes."""
    if tuple(names) in (UNNAMED, (*UNNAMED, *UNNAMED_SIZE)):
        certain = _without_header([row[: len(UNNAMED)] for _, row in rows if len(row) == len(names)])
        box, size = (1, 2, 3, 4), tuple(range(len(UNNAMED), len(names)))
        return Columns(image=0, box=box, kind="corners", name=5, size=size, split=None, likely=certain, certain=certain)
    keys = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in names]
    place = {key: i for i, key in reversed([*enumerate(keys)])}
    image, told, also = (next((place[key] for key in known if key in place), None) for known in (IMAGE, CLASS, ALSO))
    kind, written = next(((kind, names) for kind, names in WRITTEN if place.keys() >= {*names}), ("", ()))
    if image is None or not written:
        return None
    found = tuple(place[key] for key in written)
    sizes = (tuple(place[key] for key in several) for several in SIZE if place.keys() >= {*several})
    certain = told is not None or written == TEXT
    name, size = also if told is None else told, next((size for size in sizes if not {*size} & {*found}), ())
    used = {image, name, place.get("split"), *found, *size}
    return Columns(
        image=image,
        box=found,
        kind=kind,
        name=name,
        size=size,
        split=place.get("split"),
        likely=certain or written in NAMED,
        certain=certain,
        unread=tuple(column for i, column in enumerate(names) if i not in used and keys[i]),
    )


def sure(names: Sequence[str], rows: Sequence[tuple[int, Row]]) -> bool:
    """Whether a table holds boxes and can hold nothing else to learn."""
    columns = columns_of(names, rows)
    return columns is not None and columns.certain


def _without_header(rows: Sequence[Row]) -> bool:
    """Whether the first row with numbers has four and then a name, so that they are no five values to learn."""
    first = next((row for row in rows if any(row[1:])), None)
    if first is None:
        return True
    *box, name = map(number_or_none, first[1:])
    return None not in box and name is None
