"""A folder of good images and nothing else."""

from __future__ import annotations

from pathlib import Path

from visrun.data import files
from visrun.data.listing import Listing, Record
from visrun.data.readers import common, inspected
from visrun.data.splits import ALL
from visrun.data.verdicts import CLASSES, Verdict, is_good
from visrun.errors import DataError

LABELS = frozenset({".json", ".xml", ".csv", ".tsv", ".txt", ".yaml", ".yml"})


def recognise(root: Path) -> bool:
    """Whether images lie in ``root``, or in its only folder of images if that is good/, with no labels or masks beside
    them."""
    if not root.is_dir() or any(child.suffix.lower() in LABELS for child in root.iterdir()):
        return False
    inside = [folder for folder in files.folders(root) if files.holds_images(folder)]
    if not inside:
        return files.holds_images(root, deep=False) and not _masked(root)
    if len(inside) > 1 or not is_good(inside[0].name) or files.holds_images(root, deep=False):
        return False
    return not _masked(inside[0])


def _masked(folder: Path) -> bool:
    """Whether the name of an image, or of an array as Cellpose's, is an image's with a mask's mark behind it."""
    images = {common.place(path, folder) for path in files.images(folder)}
    bare = images | {common.unmarked(name, inspected.IMAGE_MARKS) for name in images}
    every = images | {common.place(path, folder) for path in files.of_suffix(folder, frozenset({".npy"}))}
    return any((own := common.unmarked(name, inspected.BESIDE)) != name and own in bare for name in every)


def read(root: Path) -> Listing:
    """A folder of good images only: *.jpg, or good/*.jpg.

    Raises:
        DataError: Where there is no image.
    """
    images, beside = inspected.parted(files.images(root))
    if not images:
        raise DataError(f"{root}: no images")
    records = [Record(path, Verdict(CLASSES[0]), files.shown(path, root)) for path in images]
    lines = inspected.left_out([mask for masks in beside.values() for mask in masks], root)
    return Listing(splits={ALL: records}, classes=CLASSES, warnings=lines)
