"""Cityscapes (Cordts et al., CVPR 2016): leftImg8bit/train/CITY/*.png, and masks and more in gtFine/."""

from __future__ import annotations

from pathlib import Path

from visrun.data import files
from visrun.data.readers import common
from visrun.data.readers.mask_places import Part

IMAGES, MASKS = "leftImg8bit", "gtFine"
MARKS = ("_gtFine_labelIds", "_gtFine_labelTrainIds")
# The classes that are evaluated, in the order of their train ids, and their ids (cityscapesScripts, helpers/labels.py).
# fmt: off
LABEL_IDS = {
    "road": 7, "sidewalk": 8, "building": 11, "wall": 12, "fence": 13, "pole": 17, "traffic light": 19,
    "traffic sign": 20, "vegetation": 21, "terrain": 22, "sky": 23, "person": 24, "rider": 25, "car": 26, "truck": 27,
    "bus": 28, "train": 31, "motorcycle": 32, "bicycle": 33,
}
# fmt: on
CLASSES = tuple(LABEL_IDS)


def recognise(root: Path) -> bool:
    """Whether ``root`` holds both folders, and a mask of ids in the second."""
    return (root / IMAGES).is_dir() and bool(_mark(root))


def find(root: Path) -> tuple[list[Part], tuple[int, ...], tuple[str, ...]]:
    """The splits, the ids of `CLASSES` in their masks, and lines on what is left out.

    Raises:
        DataError: Training or validation images without masks.
    """
    mark = _mark(root)
    parts, lines = [], []
    for split, folder in common.by_split(root / IMAGES):
        home = root / MASKS / folder.name
        masks = [path for path in files.of_suffix(home, files.MASK_SUFFIXES) if _is_marked(path, mark)]
        images = [*files.images(folder)]
        if masks:
            parts.append(Part(split=split, folder=folder, home=home, images=images, masks=masks, mark=mark))
        else:
            lines.append(common.bare_folder(folder, split, root, mend=f"put them into {files.shown(home, root)}/"))
    ids = LABEL_IDS.values() if mark == MARKS[0] else range(len(CLASSES))
    return parts, tuple(ids), tuple(lines)


def _mark(root: Path) -> str:
    """The first of ``MARKS`` that a mask bears; "" where none does."""
    folders = [root / MASKS / folder.name for _, folder in common.by_split(root / IMAGES)]
    masks = [path for folder in folders for path in files.of_suffix(folder, files.MASK_SUFFIXES)]
    return next((mark for mark in MARKS if any(_is_marked(path, mark) for path in masks)), "")


def _is_marked(path: Path, mark: str) -> bool:
    return path.stem.lower().endswith(mark.lower())
