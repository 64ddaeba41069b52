"""Images and their objects, as tables and CreateML's jsons name them: found near their files, and made records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visrun.data.listing import Problem, Record
from visrun.data.marks import Marks
from visrun.data.readers import common
from visrun.data.readers.finder import placed


@dataclass
class Picture:
    """What label files say of one image: ``file`` and ``spots`` as in `visrun.data.marks.Marks`, of each object the
    class and the box, or in place of all boxes the runs; what is wrong; and the image's ``member``, see
    `visrun.data.listing.Record`."""

    where: str
    file: str
    spots: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    boxes: list[tuple[float, ...]] = field(default_factory=list)
    runs: list[NDArray[np.int32]] | None = None
    size: common.Size | None = None
    problems: list[Problem] = field(default_factory=list)
    member: str | None = None


Pictures = dict[str, dict[str, Picture]]  # by split and name as written


def class_names(pictures: Pictures) -> tuple[str, ...]:
    """The classes of all objects, in natural order."""
    every = (made for several in pictures.values() for made in several.values())
    return common.sorted_names({name for made in every for name in made.names})


def listed(
    pictures: Pictures, of_split: Mapping[str, Path], classes: Sequence[str], base: Path, *, relative: bool = False
) -> tuple[dict[str, list[Record]], list[Problem], set[Path]]:
    """The records of each split, what is wrong with other images, and where all of them lie.

    Args:
        pictures: What was read.
        of_split: A label file of each split.
        classes: The names of all classes.
        base: The dataset's folder.
        relative: Whether coordinates are shares of the image's width and height.
    """
    splits: dict[str, list[Record]] = {split: [] for split in pictures}
    problems: list[Problem] = []
    places = placed([(split, of_split[split], several) for split, several in pictures.items()], base)
    for (split, several), place in zip(pictures.items(), places, strict=True):
        for name, made in several.items():
            strange = [common.no_class(known, classes) for known in made.names if known not in classes][:1]
            doubts = [place.doubts[name]] if name in place.doubts else []
            wrong = [*made.problems, *(Problem(made.where, what) for what in (*strange, *doubts))]
            problems += wrong
            if not wrong:
                splits[split].append(
                    Record(place.paths[name], _marks(made, classes, relative), made.where, made.member)
                )
    return splits, problems, {path for place in places for path in place.paths.values()}


def _marks(made: Picture, classes: Sequence[str], relative: bool) -> Marks:
    boxes = made.boxes if made.runs is None else [(np.nan,) * 4] * len(made.runs)
    return Marks(
        labels=np.array([classes.index(name) for name in made.names], np.int64),
        boxes=np.array(boxes, np.float64).reshape(-1, 4),
        ignored=np.zeros(len(made.names), bool),
        spots=np.array(made.spots),
        file=made.file,
        runs=None if made.runs is None else tuple(made.runs),
        size=made.size,
        relative=relative,
    )
