"""ICDAR's text in photographs (Karatzas et al., "ICDAR 2015 Competition on Robust Reading", challenge 4): four corners
and what is written on each line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from visrun.data import files
from visrun.data.listing import Listing, Problem, Record
from visrun.data.marks import around
from visrun.data.readers import common
from visrun.data.readers.shapes import Shape, Shapes, marks_of
from visrun.data.splits import ALL
from visrun.data.threads import mapped
from visrun.errors import DataError
from visrun.numbers import number_in
from visrun.text import composed, some

MARK = "gt_"  # before an image's name in that of its text
FIRST = "gt_img_1.txt"  # of each part of ICDAR 2015 and 2017
LIKELY = re.compile(r"gts?|truth|localization")  # words in the names of folders with such texts
LINE = re.compile(rb"\s*-?\d+(\s*,\s*-?\d+){7}\s*,")
NUMBERS = 8  # of the corners
CARELESS = "###"  # what stands for a text that cannot be read
CLASS = "text"


class Pair(NamedTuple):
    """A folder of texts, whose they are, and that of their images."""

    split: str
    texts: Path
    images: Path


def recognise(root: Path) -> bool:
    """Whether folders in ``root`` or in those of splits hold gt_NAME.txt whose first lines are such."""
    return any(LINE.match(files.head(file).removeprefix(b"\xef\xbb\xbf")) for _, file in _first(root))


def read(root: Path) -> Listing:
    """ICDAR 2015's text: gt_NAME.txt for NAME.jpg, in two folders whose names speak of training or test, or in one.

    A line is ``x1,y1,x2,y2,x3,y3,x4,y4,text`` in pixels, perhaps with a script before the text (ICDAR 2017). There is
    one class, ``text``; what reads ``###`` is ignored.

    Raises:
        DataError: Where ``root`` has no such texts, or nobody can say in which folder their images lie.
    """
    pairs = [_pair(split, file, root) for split, file in _first(root)]
    if not pairs:
        raise DataError(f"{root}: no texts {MARK}NAME.txt, neither here nor in a folder such as train_gts/ or test_gt/")
    jobs: list[tuple[str, Path, Path]] = []
    lost: list[Path] = []
    bare: list[Path] = []
    for split, texts, folder in pairs:
        images = {composed(image.stem): image for image in files.images(folder, deep=False)}
        found = {composed(path.stem.removeprefix(MARK)): path for path in _texts(texts)}
        jobs += ((split, images[name], path) for name, path in found.items() if name in images)
        lost += (path for name, path in found.items() if name not in images)
        bare += (image for name, image in images.items() if name not in found)
    splits: dict[str, list[Record]] = {split: [] for split, *_ in pairs}
    problems: list[Problem] = []
    parsed = mapped(partial(_parse, root=root), [path for *_, path in jobs], path=lambda path: path)
    for (split, image, _), shapes in zip(jobs, parsed, strict=True):
        problems += shapes.problems
        if not shapes.problems:
            splits[split].append(Record(image, marks_of(shapes, "quads", {CLASS: 0}), files.shown(image, root)))
    warnings = common.left_over("text", lost, root)
    warnings += common.left_over("image", bare, root, lacking=f"a text {MARK}NAME.txt")
    return Listing(splits=splits, classes=(CLASS,), problems=tuple(problems), warnings=warnings)


def _homes(root: Path) -> Iterator[tuple[str, Path]]:
    """(split, folder): ``root`` and the folders in it, and those in folders of splits."""
    inner = [(split, folder) for split, top in common.by_split(root) for folder in files.folders(top)]
    yield from ((ALL, root), *((common.split_in(folder.name), folder) for folder in files.folders(root)), *inner)


def _first(root: Path) -> Iterator[tuple[str, Path]]:
    """(split, file): the first text of each folder that has some."""
    for split, folder in _homes(root):
        likely = any(map(LIKELY.fullmatch, re.findall(r"[a-z]+", folder.name.lower())))
        if files.is_file(folder / FIRST):
            yield split, folder / FIRST
        elif likely:
            yield from ((split, file) for file in islice(_texts(folder), 1))


def _texts(folder: Path) -> Iterator[Path]:
    return (path for path in files.of_suffix(folder, files.TEXT, deep=False) if path.name.startswith(MARK))


def _pair(split: str, file: Path, root: Path) -> Pair:
    """The folder of images that holds the one of a text: beside it, else the only one, or the only one of its split.

    Raises:
        DataError: There is none, or several.
    """
    stem = file.stem.removeprefix(MARK)
    found = [(whose, folder) for whose, folder in _homes(root) if _holds(folder, stem)]
    same = [folder for _, folder in found if folder == file.parent]
    same = same or [folder for whose, folder in found if whose == split] or [folder for _, folder in found]
    if len(same) != 1:
        names = some(f"{files.shown(folder, root)}/" for folder in same)
        what = f"several folders have an image {stem}: {names}" if same else f"no folder has an image {stem}"
        raise DataError(f"{file}: {what}: call them alike, such as train_images/ and train_gts/")
    return Pair(split, file.parent, same[0])


def _holds(folder: Path, stem: str) -> bool:
    likely = any(files.is_file(folder / f"{stem}{suffix}") for suffix in (".jpg", ".png"))
    return likely or any(path.stem == stem for path in files.images(folder, deep=False))


def _parse(path: Path, root: Path) -> Shapes:
    found = Shapes(f"{files.shown(path, root)}:")
    for number, line in files.numbered_lines(path):
        *cells, text = [*line.split(",", NUMBERS), ""][: NUMBERS + 1]
        try:
            quad = np.array([number_in(cell.strip()) for cell in cells]).reshape(4, 2)
        except ValueError:
            what = f"no line of 8 coordinates and a text, parted by commas: {line.strip()[:60]!r}"
            found.problems.append(Problem(f"{found.file}{number}", what))
            continue
        ignored = text.strip() == CARELESS or text.rstrip().endswith(f",{CARELESS}")
        found.objects.append(Shape(number, CLASS, around(quad[None])[0], quad=quad, ignored=ignored))
    return found
