"""A folder of good images and nothing else."""

from __future__ import annotations

from pathlib import Path

from visrun.data import files
from visrun.data.listing import Listing, Record
from visrun.data.readers import common, inspected
from visrun.data.splits import ALL
from visrun.data.verdicts import CLASSES, Verdict
from visrun.errors import DataError

LABELS = frozenset({".json", ".xml", ".csv", ".tsv", ".txt", ".yaml", ".yml"})


def recognise(root: Path, task: str) -> bool:  # noqa: ARG001 (every reader is asked alike)
    """Whether images lie in ``root``, or in its only folder of images if that is good/, with no labels or masks beside
    them."""
    if not root.is_dir() or any(child.suffix.lower() in LABELS for child in root.iterdir()):
        return False
    inside = [folder for folder in files.folders(root) if files.holds_images(folder)]
    if not inside:
        return files.holds_images(root, deep=False) and not _masked(root)
    return len(inside) == 1 and inspected.is_good(inside[0].name) and not files.holds_images(root, deep=False)


def _masked(folder: Path) -> bool:
    """Whether one image's name is another's with a mask's mark behind it."""
    stems = {path.stem for path in files.images(folder, deep=False)}
    return any((bare := common.unmarked(stem, inspected.MARKS)) != stem and bare in stems for stem in stems)


def read(root: Path) -> Listing:
    """A folder of good images only: *.jpg, or good/*.jpg.

    Raises:
        DataError: Where there is no image.
    """
    records = [Record(path, Verdict(CLASSES[0]), files.shown(path, root)) for path in files.images(root)]
    if not records:
        raise DataError(f"{root}: no images")
    return Listing(splits={ALL: records}, classes=CLASSES)
