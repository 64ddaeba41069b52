"""Images whose names say their class: cat.0.jpg, beagle_12.jpg, 7-rose.png."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from visrun.data import files
from visrun.data.folder_names import IMAGES
from visrun.data.listing import Listing, Problem, Record
from visrun.data.readers import common
from visrun.data.splits import ALL
from visrun.errors import DataError
from visrun.text import are, composed, plural

_NUMBER = r"[ ._-]*(?:\(\d+\)|(?<!\d)\d+)"  # whole: parts of numbers would be tried without end
_CLASS = re.compile(rf"(?:\d+[ ._-]+)?(?P<name>.*?[^\W\d_].*?)(?:{_NUMBER})*")
LOOKED_AT = 1000  # images, to tell whether names say anything
FEWEST = 2  # images of a class, in the mean


def recognise(root: Path) -> bool:  # noqa: ARG001
    """Never: cameras, too, number what they name. `may_say` is for who looks for the classes."""
    return False


def may_say(root: Path) -> bool:
    """Whether the names of images that lie in ``root`` or in the folders of splits may be those of classes."""
    for _, folder in _folders(root):
        images = islice(files.images(folder), LOOKED_AT)
        counts = Counter(name for image in images if (name := class_of(image)) is not None)
        if len(counts) > 1 and counts.total() >= FEWEST * len(counts):
            return True
    return False


def read(root: Path) -> Listing:
    """Images named for their class and numbered: train/cat.0.jpg, train/dog.0.jpg, in train/, val/, test/ or not.

    A name ends, or begins, with its number; what is left is the class. Those of test that say none are left out.

    Raises:
        DataError: Where ``root`` holds no images.
    """
    splits: dict[str, list[Record]] = {}
    problems: list[Problem] = []
    bare: Counter[str] = Counter()
    for split, folder in _folders(root):
        for image in files.images(folder):
            name, where = class_of(image), files.shown(image, root)
            if name is not None:
                splits.setdefault(split, []).append(Record(image, name, where))
            elif split == "test":
                bare[files.shown(folder, root)] += 1
            else:
                problems.append(Problem(where, "its name says no class: it is a number alone"))
    if not splits:
        raise DataError(f"{root}: no images named for their class, as cat.0.jpg, neither here nor in train/, val/")
    classes = common.sorted_names({row.target for rows in splits.values() for row in rows})
    index = {name: i for i, name in enumerate(classes)}
    found = {split: [Record(row.image, index[row.target], row.where) for row in rows] for split, rows in splits.items()}
    lines = [
        f"{plural(count, 'image')} in {place}/ whose names say no class {are(count)} left out"
        for place, count in bare.items()
    ]
    return Listing(splits=found, classes=classes, problems=tuple(problems), warnings=tuple(lines))


def class_of(image: Path) -> str | None:
    """What an image's name says beside its number; None where it says nothing."""
    found = _CLASS.fullmatch(composed(image.stem))
    return found["name"].strip(" ._-") if found else None


def _folders(root: Path) -> Iterator[tuple[str, Path]]:
    """(split, folder) of each folder of images: those of splits, else images/, else ``root``."""
    inside = common.child(root, IMAGES)
    for top in [root, *([inside] if inside else [])]:
        splits = [(split, folder) for split, folder in common.by_split(top) if files.holds_images(folder)]
        if splits:
            yield from splits
            return
    yield ALL, inside if inside is not None and files.holds_images(inside) else root
