"""The lines of YOLO's label files: boxes, four corners, outlines."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
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
        raise ValueError(f"{count} numbers after the class: a box has 4 (cx cy w h), an outline 2 for each point")


def form(every: Sequence[Lines]) -> str:
    """What the labels of a dataset are: outlines where a line has more or fewer than four points, else turned boxes
    where a line has four, else boxes."""
    counts = {len(values) for lines in every for values in lines.values} - {BOX}
    if counts == {CORNERS}:
        return "quads"
    return "outlines" if counts else "boxes"


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
