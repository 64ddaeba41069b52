"""KITTI's label files of objects (Geiger et al., CVPR 2012; https://www.cvlibs.net/datasets/kitti, the object devkit's
readme): one line an object, of which its type and its box in the left colour image are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from visrun.data import files
from visrun.data.folder_names import IMAGES, LABELS
from visrun.data.listing import Listing, Problem, Record
from visrun.data.readers import common
from visrun.data.readers.shapes import Shape, Shapes, marks_of
from visrun.data.threads import mapped
from visrun.errors import DataError
from visrun.numbers import number_in
from visrun.text import composed

LABEL_FOLDERS = ("label_2",)  # of the left colour camera; label_02/ of the tracking set has other lines
IMAGE_FOLDERS = ("image_2",)
FIELDS = (15, 16)  # type, truncated, occluded, alpha, box, 3 sizes, 3 places, angle; perhaps a score
BOX = slice(4, 8)  # left, top, right, bottom
REGION = "dontcare"  # a region in which objects are too far away to be labelled


def recognise(root: Path) -> bool:
    """Whether ``root`` holds image_2/ with label_2/ beside it, per split (training/) or for all."""
    return any(map(_holds_texts, (labels for _, _, labels in common.pairs(root, LABEL_FOLDERS, IMAGE_FOLDERS))))


def read(root: Path, *, boxed: bool = True) -> Listing:
    """KITTI's labels: training/image_2/*.png with training/label_2/*.txt (images/ and labels/ with data=kitti).

    Boxes are pixels as written. Regions of type DontCare are ignored, whatever is found there. An image without a label
    file shows nothing, which is said.

    Args:
        root: The folder.
        boxed: Whether boxes are learnt; else regions of no class say nothing.

    Raises:
        DataError: Where ``root`` has no such folders, or training or validation images have no label file at all.
    """
    names, pictures = (*LABEL_FOLDERS, *LABELS), (*IMAGE_FOLDERS, *IMAGES)
    pairs, warnings = common.labelled_pairs(root, names, pictures, holds=_holds_texts)
    if not pairs:
        raise DataError(f"{root}: no image_2/ with label_2/ beside it, neither here nor in training/")
    jobs: list[tuple[str, Path, Path | None]] = []
    rest: set[Path] = set()
    for split, folder, labels in pairs:
        paired, left = _paired(folder, labels)
        if not any(label for _, label in paired):
            raise DataError(f"{root}: no image of {split} has a label file, such as {labels / paired[0][0].stem}.txt")
        jobs += ((split, *pair) for pair in paired)
        rest |= left
    parsed = mapped(partial(_parse, root=root), [label for *_, label in jobs], path=lambda path: path or root)
    known = {shape.name for shapes in parsed for shape in shapes.objects if not _is_region(shape)}
    classes = common.class_names(root) or common.sorted_names(known)
    index = {name: i for i, name in enumerate(classes)}
    splits: dict[str, list[Record]] = {split: [] for split, *_ in jobs}
    problems: list[Problem] = []
    for (split, image, _), shapes in zip(jobs, parsed, strict=True):
        made = _with_regions(shapes, classes if boxed else ())
        strange = next((shape for shape in made.objects if shape.name not in index), None)
        if strange is not None:
            made.problems.append(Problem(f"{made.file}{strange.spot}", common.no_class(strange.name, classes)))
        problems += made.problems
        if not made.problems:
            splits[split].append(Record(image, marks_of(made, "boxes", index), files.shown(image, root)))
    bare = [image for _, image, label in jobs if label is None]
    warnings += common.left_over("image", bare, root, lacking="a label file", fate=common.BLANK)
    warnings += common.left_over("label file", rest, root)
    return Listing(splits=splits, classes=classes, problems=tuple(problems), warnings=warnings)


def _holds_texts(folder: Path) -> bool:
    return files.holds(folder, files.TEXT)


def _paired(folder: Path, labels: Path) -> tuple[list[tuple[Path, Path | None]], set[Path]]:
    """Each image with the label file at its place, and label files without an image."""
    texts = {common.place(path, labels): path for path in files.of_suffix(labels, files.TEXT)}
    images = {image: common.place(image, folder) for image in files.images(folder)}
    found = {image: texts.get(place) for image, place in images.items()}
    taken = {*images.values()}
    rest = {place: path for place, path in texts.items() if place not in taken}
    bare = ((place, image) for image, place in images.items() if found[image] is None)
    found |= dict(common.respelt(bare, rest.items()))
    return [*found.items()], {*rest.values()} - {*found.values()}


def _parse(path: Path | None, root: Path) -> Shapes:
    """What a label file holds; nothing where there is none."""
    if path is None:
        return Shapes("")
    found = Shapes(f"{files.shown(path, root)}:")
    for number, line in files.numbered_lines(path):
        cells = line.split()
        try:
            if len(cells) not in FIELDS:
                raise ValueError
            box = np.array([number_in(cell) for cell in cells[BOX]])
        except ValueError:
            what = f"no line of a type and 14 numbers, the box the 4th to 7th: {line.strip()[:60]!r}"
            found.problems.append(Problem(f"{found.file}{number}", what))
            continue
        found.objects.append(Shape(number, composed(cells[0]), box))
    return found


def _is_region(shape: Shape) -> bool:
    return shape.name.lower() == REGION


def _with_regions(shapes: Shapes, classes: Sequence[str]) -> Shapes:
    """The objects, and each region as one to be ignored of every one of ``classes``, since any may be there."""
    objects = [shape for shape in shapes.objects if not _is_region(shape)]
    regions = [shape for shape in shapes.objects if _is_region(shape)]
    objects += (replace(region, name=name, ignored=True) for region in regions for name in classes)
    return replace(shapes, objects=objects)
