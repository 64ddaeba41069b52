"""DOTA's label files (Xia et al., arXiv 1711.10398): four corners, a class and a difficulty on each line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from visrun.data import files
from visrun.data.folder_names import DOTA_LABELS
from visrun.data.listing import Listing, Problem, Record
from visrun.data.marks import Marks, around
from visrun.data.readers import common
from visrun.data.threads import mapped
from visrun.errors import DataError
from visrun.numbers import number_in, number_or_none
from visrun.text import composed, some

UPRIGHT = "_hbb"  # ends the names of DOTA v1.5's folders that hold the same objects as upright boxes
Rows = Sequence[tuple[Path, Sequence[Path]]]  # images with the label files that may be theirs
HEADER = ("imagesource", "gsd", "acquisition")  # lines before the first object
NUMBERS = 8  # of the corners
DIFFICULTIES = ("0", "1", "2")  # the last is that of the smallest objects in DOTA v1.5


@dataclass
class Lines:
    """One label file: each object's line, corners, class and whether it is difficult; and what is wrong."""

    file: str
    numbers: list[int] = field(default_factory=list)
    corners: list[list[float]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    difficult: list[bool] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def recognise(root: Path) -> bool:
    """Whether ``root`` holds images/ with labelTxt/ beside it, per split or for all."""
    return any(_texts(labels) for _, _, labels in common.pairs(root, DOTA_LABELS))


def read(root: Path) -> Listing:
    """DOTA text labels: images/ and labelTxt/ (or labelTxt-v1.5/, annfiles/), split into train/, val/, test/ or not.

    A line is ``x1 y1 x2 y2 x3 y3 x4 y4 class difficult`` in pixels; lines ``imagesource:`` and ``gsd:`` may stand
    first. Difficult objects are ignored. An image without a label file, or with an empty one, shows nothing.

    A label file has its image's place in its folder, or its name alone where no other label file and no other image has
    that. A folder named as one beside it with ``_hbb`` behind (DOTA v1.5's upright boxes) is not read.

    Raises:
        DataError: Where ``root`` has no such folders, or training or validation images have no label file at all.
    """
    pairs, warnings = common.labelled_pairs(root, DOTA_LABELS, holds=lambda folder: bool(_texts(folder)))
    if not pairs:
        raise DataError(f"{root}: no images/ with labelTxt/ beside it, neither here nor in train/, val/, test/")
    parsed: dict[str, list[tuple[Path, Lines]]] = {}
    problems: list[Problem] = []
    used: set[Path] = set()
    for split, images, labels in pairs:
        rows = _label_files(images, labels)
        if rows and not any(found for _, found in rows):
            raise DataError(f"{root}: no image of {split} has a label file, such as {labels / rows[0][0].stem}.txt")
        used.update(path for _, found in rows for path in found)
        doubts = _doubts(rows, root)
        problems += doubts.values()
        certain = {image: next(iter(found), None) for image, found in rows if image not in doubts}
        parts = mapped(partial(_parse, root=root), list(certain.values()), path=lambda path: path or root)
        parsed.setdefault(split, []).extend(zip(certain, parts, strict=True))
    rest = {path for _, _, labels in pairs for path in _texts(labels)} - used
    warnings += common.left_over("label file", filter(_holds_objects, rest), root)
    every = [lines for rows in parsed.values() for _, lines in rows]
    names = common.class_names(root) or common.sorted_names({name for lines in every for name in lines.names})
    splits: dict[str, list[Record]] = {}
    for split, several in parsed.items():
        splits[split] = []
        for image, lines in several:
            strange = next((i for i, name in enumerate(lines.names) if name not in names), None)
            if strange is not None:
                what = common.no_class(lines.names[strange], names)
                lines.problems.append(Problem(f"{lines.file}{lines.numbers[strange]}", what))
            problems += lines.problems
            if not lines.problems:
                splits[split].append(Record(image, _marks(lines, names), files.shown(image, root)))
    return Listing(splits=splits, classes=names, problems=tuple(problems), warnings=warnings)


def _texts(folder: Path) -> list[Path]:
    inside = files.folders(folder)
    names = {inner.name for inner in inside}
    found = sorted(files.of_suffix(folder, files.TEXT, deep=False))
    for inner in inside:
        upright = inner.name.endswith(UPRIGHT) and inner.name.removesuffix(UPRIGHT) in names
        found += [] if upright else _texts(inner)
    return found


def _label_files(images: Path, labels: Path) -> Rows:
    """Each image with its label file: at its place, else those of its name that are at no image's place."""
    pictures = {image: common.place(image, images) for image in files.images(images)}
    at_place = {common.place(path, labels): path for path in _texts(labels)}
    of_stem: dict[str, list[Path]] = defaultdict(list)
    for place in at_place.keys() - set(pictures.values()):
        of_stem[composed(at_place[place].stem)].append(at_place[place])
    found = {
        image: [at_place[place]] if place in at_place else sorted(of_stem.get(composed(image.stem), ()))
        for image, place in pictures.items()
    }
    used = {path for several in found.values() for path in several}
    bare = ((place, image) for image, place in pictures.items() if not found[image])
    rest = ((place, path) for place, path in at_place.items() if path not in used)
    return [*(found | {image: [path] for image, path in common.respelt(bare, rest)}).items()]


def _doubts(rows: Rows, root: Path) -> dict[Path, Problem]:
    """Why nobody can say which label file is an image's, for each such image."""
    pictures: dict[Path, set[Path]] = defaultdict(set)  # of each label file; one picture in two formats is one
    for image, found in rows:
        for path in found:
            pictures[path].add(image.with_suffix(""))
    doubts = {}
    for image, found in rows:
        shared = [path for path in found if len(pictures[path]) > 1]
        if len(found) > 1:
            doubts[image] = f"several label files: {some(files.shown(path, root) for path in found)}"
        elif shared:
            doubts[image] = f"{files.shown(shared[0], root)} has the name of several images, at the place of none"
    return {image: Problem(files.shown(image, root), what) for image, what in doubts.items()}


def _holds_objects(path: Path) -> bool:
    """Whether a text is a label file that shows something, rather than a readme or the like."""
    try:
        return bool(_parse(path, path.parent).names)
    except DataError:
        return False


def _parse(path: Path | None, root: Path) -> Lines:
    if path is None:
        return Lines("")
    lines = Lines(f"{files.shown(path, root)}:")
    for number, line in files.numbered_lines(path):
        cells = line.split()
        if not lines.numbers and line.lower().startswith(HEADER):
            continue
        try:
            corners = [number_in(cell) for cell in cells[:NUMBERS]]
            name, difficult = _ending(cells[NUMBERS:])
        except ValueError:
            what = f"no line of 8 coordinates, a class and a difficulty: {line.strip()[:60]!r}"
            lines.problems.append(Problem(f"{lines.file}{number}", what))
            continue
        lines.numbers.append(number)
        lines.corners.append(corners)
        lines.names.append(name)
        lines.difficult.append(difficult)
    return lines


def _ending(cells: Sequence[str]) -> tuple[str, bool]:
    """The class, which may have spaces, and whether the object is difficult; a missing difficulty is none.

    Raises:
        ValueError: There is no class, or a number behind it that is no difficulty.
    """
    flagged = len(cells) > 1 and number_or_none(cells[-1]) is not None
    name = composed(" ".join(cells[:-1] if flagged else cells))
    if not name or (flagged and cells[-1] not in DIFFICULTIES):
        raise ValueError("no class or no difficulty")
    return name, flagged and cells[-1] != "0"


def _marks(lines: Lines, names: tuple[str, ...]) -> Marks:
    quads = np.array(lines.corners, np.float64).reshape(-1, 4, 2)
    return Marks(
        labels=np.array([names.index(name) for name in lines.names], np.int64),
        boxes=around(quads),
        ignored=np.array(lines.difficult, bool),
        spots=np.array(lines.numbers, np.int64),
        file=lines.file,
        quads=quads,
    )
