"""The lines of YOLO's label files: boxes, four corners, outlines."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from visrun.data import files
from visrun.data.listing import Problem
from visrun.data.marks import Marks, around
from visrun.data.objects import corners_of
from visrun.data.outlines import Floats
from visrun.numbers import number_in

BOX, CORNERS = 4, 8  # numbers after the class
HIGHEST = 1e6  # class that a dataset may have
FEWEST_OBJECTS = 5  # different ones: a single outline may look like a box with keypoints
FEWEST_KEYPOINTS = 6  # numbers; fewer are corners, or a triangle
NEAR = 0.02  # by how much of the picture a keypoint may lie outside its box, or a box outside the picture
FILLED = 0.1  # the share of its box over which an object's keypoints spread, at least, in most
LONGEST = 1000  # bytes of a line by which a label file is told from other texts


@dataclass
class Lines:
    """One label file: of each readable line the number, the class and the numbers after it; and what is wrong."""

    file: str
    numbers: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    values: list[list[float]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def is_label(path: Path) -> bool:
    """Whether a text begins like a label file that shows something, rather than a readme or the like."""
    with contextlib.suppress(OSError, ValueError), path.open("rb") as file:
        return len([float(cell) for cell in file.readline(LONGEST).split()[1 : BOX + 1]]) == BOX
    return False


def parse(path: Path | None, base: Path, *, keypoints: int = 0) -> Lines:
    """Read a label file; None stands for one that is missing, which is an image that shows nothing.

    Args:
        path: The file.
        base: The dataset's folder.
        keypoints: How many numbers after a box are its keypoints, which are left out; 0 for none.
    """
    if path is None:
        return Lines("")
    lines = Lines(f"{files.shown(path, base)}:")
    for number, line in files.numbered_lines(path):
        cells = line.split()
        try:
            label, *values = map(number_in, cells)
            if keypoints:
                values = _without(values, keypoints)
            _require(cells, label, len(values))
        except ValueError as error:
            what = str(error) if "could not convert" not in str(error) else f"no line of numbers: {line.strip()[:60]!r}"
            lines.problems.append(Problem(f"{lines.file}{number}", what))
            continue
        lines.numbers.append(number)
        lines.labels.append(int(label))
        lines.values.append(values)
    return lines


def _without(values: list[float], keypoints: int) -> list[float]:
    if len(values) not in (BOX, BOX + keypoints):
        raise ValueError(f"{len(values)} numbers after the class: a box has 4, its keypoints {keypoints} (kpt_shape)")
    return values[:BOX]


def _require(cells: Sequence[str], label: float, count: int) -> None:
    if not label.is_integer() or abs(label) > HIGHEST:
        raise ValueError(f"class {cells[0]} is no whole number, or out of range")
    if count == BOX + 1:
        raise ValueError(
            "5 numbers after the class: a box has 4 (cx cy w h), a turned box 8 (its corners); "
            "an angle or a confidence is not read"
        )
    if count < BOX or count % 2:
        raise ValueError(
            f"{count} numbers after the class: a box has 4 (cx cy w h), an outline 2 for each point; "
            "of keypoints behind a box a data.yaml says kpt_shape: [HOW_MANY, 3]"
        )


def form(every: Sequence[Lines]) -> str:
    """What the labels of a dataset are: outlines where a line has more or fewer than four points, else turned boxes
    where a line has four, else boxes."""
    counts = {len(values) for lines in every for values in lines.values} - {BOX}
    if counts == {CORNERS}:
        return "quads"
    return "outlines" if counts else "boxes"


def keypoints_in(every: Sequence[Lines]) -> int:
    """How many numbers behind its box are the keypoints of every object, where nothing says so; 0 where they are none.

    All lines have one count, from which outlines of a dataset differ; the first four numbers are a box within the
    picture, which holds all points behind it and is not much larger than they are apart.
    """
    rows = [values for lines in every for values in lines.values]
    count = len(rows[0]) - BOX if rows else 0
    if (
        len({*map(tuple, rows)}) < FEWEST_OBJECTS
        or count < FEWEST_KEYPOINTS
        or any(len(values) != BOX + count for values in rows)
    ):
        return 0
    table = np.array(rows)
    low, high = table[:, :2] - table[:, 2:4] / 2, table[:, :2] + table[:, 2:4] / 2
    if (low < -NEAR).any() or (high > 1 + NEAR).any() or (table[:, 2:4] <= 0).any():
        return 0
    return count if any(_are_keypoints(table, low, high, step) for step in (2, 3) if count % step == 0) else 0


def _are_keypoints(table: Floats, low: Floats, high: Floats, step: int) -> bool:
    """Whether the points behind boxes, of ``step`` numbers each, lie within these and fill a fair part of most."""
    points = table[:, BOX:].reshape(len(table), -1, step)
    seen = points[..., -1] > 0  # a point that is not labelled is all zero
    if step == 3 and not np.isin(points[..., 2], (0, 1, 2)).all():
        return False
    within = (points[..., :2] >= low[:, None] - NEAR) & (points[..., :2] <= high[:, None] + NEAR)
    some = seen.sum(1) > 1
    if not within[seen].all() or not some.any():
        return False
    least = np.where(seen[..., None], points[..., :2], np.inf).min(1)[some]
    most = np.where(seen[..., None], points[..., :2], -np.inf).max(1)[some]
    return bool(np.median((most - least).prod(1) / table[some, 2:4].prod(1)) > FILLED)


def without_keypoints(lines: Lines) -> Lines:
    """The boxes alone."""
    return replace(lines, values=[values[:BOX] for values in lines.values])


def marks(lines: Lines, form: str) -> Marks:
    """The objects of one image, in the form of the dataset."""
    boxes = np.zeros((len(lines.labels), 4))
    points = [np.array(values).reshape(-1, 2) if len(values) > BOX else None for values in lines.values]
    for row, (values, corners) in enumerate(zip(lines.values, points, strict=True)):
        boxes[row] = _box(values) if corners is None else [*corners.min(0), *corners.max(0)]
    quads: Floats | None = None
    if form == "quads":
        quads = corners_of(boxes)
        for row, corners in enumerate(points):
            if corners is not None:
                quads[row] = corners
        boxes = around(quads)
    return Marks(
        labels=np.array(lines.labels, np.int64),
        boxes=boxes,
        ignored=np.zeros(len(boxes), bool),
        spots=np.array(lines.numbers, np.int64),
        file=lines.file,
        quads=quads,
        outlines=tuple(None if p is None else (p,) for p in points) if form == "outlines" else None,
        relative=True,
    )


def _box(values: Sequence[float]) -> tuple[float, float, float, float]:
    x, y, w, h = values
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2
