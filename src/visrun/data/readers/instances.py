"""Images and pictures of object numbers, as Penn-Fudan (Wang et al., ACCV 2007) and Cityscapes have them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from visrun.data import files, images
from visrun.data.derive import object_labels, object_names
from visrun.data.folder_names import IMAGES_OF_NUMBERS, NUMBERS, NUMBERS_IF_NAMED
from visrun.data.listing import Listing, Problem, Record
from visrun.data.marks import Marks
from visrun.data.outlines import Numbers, Rle, boxes_of, rle_between
from visrun.data.readers import common, instance_folders
from visrun.data.readers.mask_names import by_image
from visrun.data.threads import mapped
from visrun.errors import DataError
from visrun.text import some

MARKS = ("_mask", "_instanceids", "_instances", "_instance")  # that a map's stem may carry after its image's
PER_CLASS = 1000  # with several classes an id is class * 1000 + number, as in Cityscapes


def recognise(root: Path) -> bool:
    """Whether ``root`` holds a folder of images and one whose name says that it holds objects' numbers, or folders of
    one image and a mask for each of its objects."""
    pairs = common.pairs(root, NUMBERS, IMAGES_OF_NUMBERS)
    numbered = any(files.holds(maps, files.MASK_SUFFIXES) for _, _, maps in pairs)
    return numbered or instance_folders.recognise(root)


def read(root: Path) -> Listing:
    """Object numbers as pictures: PNGImages/ and PedMasks/, or images/ and instances/ (masks/ with data=instances).

    A map has its image's size and name, perhaps with ``_mask`` behind it; 0 is nothing, every other number (8 or 16
    bits) or colour one object; 255 of a palette image is no object but the border between them. The line of
    ``classes.txt`` names the class; with several a number is class * 1000 + object, where the first line is class 0,
    also one that says ``background``, which no object has. Or ID/images/ with one image, ID/masks/ with a mask for each
    object.

    Raises:
        DataError: Where ``root`` has no such folders, or training or validation images have no maps.
    """
    ids = common.class_ids(root)
    names = object_names(ids) or ("object",)
    pairs, warnings = common.labelled_pairs(root, (*NUMBERS, *NUMBERS_IF_NAMED), IMAGES_OF_NUMBERS)
    if not pairs and instance_folders.recognise(root):
        return instance_folders.read(root, names)
    if not pairs:
        raise DataError(f"{root}: no images/ with instances/ beside it (or PNGImages/ with PedMasks/)")

    def classes_of(numbers: Numbers, _: object) -> Numbers:
        return object_labels(numbers // PER_CLASS, ids) if len(names) > 1 else 0 * numbers

    splits: dict[str, list[Record]] = {}
    problems: list[Problem] = []
    jobs: list[tuple[str, Path, Path, str]] = []
    for split, pictures, maps in pairs:
        splits.setdefault(split, [])
        numbers = files.of_suffix(maps, files.MASK_SUFFIXES)
        for image, several in by_image(pictures, files.images(pictures), maps, numbers, marks=MARKS).items():
            where = files.shown(image, root)
            if len(several) == 1:
                jobs.append((split, image, several[0], where))
            elif several:
                problems.append(Problem(where, f"several maps: {some(files.shown(path, root) for path in several)}"))
            else:
                problems.append(Problem(where, f"no map {image.stem}.png in {files.shown(maps, root)}/"))
    found = mapped(lambda job: _marks(job[2], root, classes_of), jobs, path=lambda job: job[2])
    for (split, image, _, where), marks in zip(jobs, found, strict=True):
        if isinstance(marks, Problem):
            problems.append(marks)
        else:
            splits[split].append(Record(image, marks, where))
    return Listing(splits=splits, classes=names, problems=tuple(problems), warnings=warnings)


def _marks(path: Path, root: Path, classes_of: Callable[[Numbers, object], Numbers]) -> Marks | Problem:
    shown = files.shown(path, root)
    try:
        ids = images.load_ids(path)
    except DataError as error:
        return Problem(shown, str(error).replace(str(path), shown))
    return marks_of(ids, f"{shown}: object", classes_of)


def marks_of(ids: Numbers, file: str, labels: Callable[[Numbers, Sequence[Rle]], Numbers]) -> Marks:
    """The objects of a map (h, w), with what ``labels`` says of their numbers and outlines."""
    numbers, outlines = split_ids(ids)
    return Marks(
        labels=labels(numbers, outlines),
        boxes=boxes_of(outlines),
        ignored=np.zeros(len(numbers), bool),
        spots=numbers,
        file=file,
        outlines=tuple(outlines),
        size=(ids.shape[1], ids.shape[0]),
    )


def split_ids(ids: Numbers) -> tuple[Numbers, list[Rle]]:
    """The numbers above 0 in a map (h, w), ascending, and the runs of each."""
    flat = ids.T.ravel()
    starts = np.flatnonzero(np.diff(flat, prepend=-1))
    ends = np.append(starts[1:], len(flat))
    of_run = flat[starts]
    order = np.argsort(of_run, kind="stable")
    numbers, first = np.unique(of_run[order], return_index=True)
    size = (ids.shape[0], ids.shape[1])
    outlines = [rle_between(starts[rows], ends[rows], size) for rows in np.split(order, first[1:])]
    kept = np.flatnonzero(numbers > 0)
    return numbers[kept], [outlines[i] for i in kept]
