"""A folder for each image, with a mask for each object: the Data Science Bowl's nuclei (Caicedo et al., 2019)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from visrun.data import files, images
from visrun.data.listing import Listing, Problem, Record
from visrun.data.marks import Marks, no_marks
from visrun.data.outlines import boxes_of, rle_of
from visrun.data.readers import common
from visrun.data.splits import ALL
from visrun.data.threads import mapped
from visrun.errors import DataError

IMAGES, MASKS = "images", "masks"
LOOKED_AT = 50  # folders, to tell what they hold

Home = tuple[str, Path]  # split, folder of an image


def recognise(root: Path) -> bool:
    """Whether most folders in ``root`` or a split's hold images/ with one image and masks/, some with several."""
    for _, top in _tops(root):
        homes = [*islice(files.folders(top), LOOKED_AT)]
        found = [home for home in homes if _is_home(home)]
        if found and 2 * len(found) >= len(homes) and any(_masks(home)[1:] for home in found):
            return True
    return False


def read(root: Path, classes: Sequence[str]) -> Listing:
    """ID/images/ID.png with ID/masks/*.png, white where the object is, below ``root`` or its stage1_train/.

    Args:
        root: The folder.
        classes: The one class that all objects are of; several are not used, which is said.

    Raises:
        DataError: Training or validation images without masks.
    """
    homes: list[Home] = []
    warnings: list[str] = []
    if len(classes) > 1:
        warnings.append(f"the {len(classes)} class names are not used: masks of single objects do not say their class")
        classes = ("object",)
    for split, top in _tops(root):
        inside = files.folders(top)
        if any(map(_masks, inside)):
            homes += ((split, home) for home in inside)
        elif files.holds_images(top):
            mend = f"put them into {files.shown(top, root)}/*/{MASKS}/"
            warnings.append(common.bare_folder(top, split, root, mend=mend))
    splits: dict[str, list[Record]] = {split: [] for split, _ in homes}
    problems: list[Problem] = []
    found = mapped(lambda home: _record(home[1], root), homes, path=lambda home: home[1])
    for (split, _), one in zip(homes, found, strict=True):
        if isinstance(one, Problem):
            problems.append(one)
        else:
            splits[split].append(one)
    return Listing(splits=splits, classes=tuple(classes), problems=tuple(problems), warnings=tuple(warnings))


def _tops(root: Path) -> Iterator[Home]:
    """The folders of splits, also such as stage1_train; else ``root``."""
    named = [(split, top) for top in files.folders(root) if (split := common.split_in(top.name)) != ALL]
    yield from named or [(ALL, root)]


def _images(home: Path) -> list[Path]:
    return [*islice(files.images(home / IMAGES, deep=False), 2)]


def _masks(home: Path) -> list[Path]:
    return [*files.of_suffix(home / MASKS, files.MASK_SUFFIXES, deep=False)]


def _is_home(home: Path) -> bool:
    return len(_images(home)) == 1 and (home / MASKS).is_dir()


def _record(home: Path, root: Path) -> Record | Problem:
    if not _is_home(home):
        return Problem(files.shown(home, root), f"expected one image in {IMAGES}/ and its objects in {MASKS}/")
    image = _images(home)[0]
    where = files.shown(image, root)
    try:
        return Record(image, _marks(_masks(home), where), where)
    except DataError as error:
        return Problem(where, str(error).replace(f"{root}/", ""))


def _marks(masks: Sequence[Path], where: str) -> Marks:
    """Raises DataError for a mask that is broken, blank or of another size than the first."""
    if not masks:
        return no_marks(where, form="outlines")
    flags = [images.load_flags(mask) for mask in masks]
    for mask, several in zip(masks, flags, strict=True):
        if several.shape != flags[0].shape or not several.any():
            blank, differs = "no pixel is white: remove it", "of another size than others: save all at one size"
            raise DataError(f"{mask}: {differs if several.any() else blank}")
    height, width = flags[0].shape
    outlines = [rle_of(np.flatnonzero(several.T), (height, width)) for several in flags]
    return Marks(
        labels=np.zeros(len(masks), np.int64),
        boxes=boxes_of(outlines),
        ignored=np.zeros(len(masks), bool),
        spots=np.array([mask.name for mask in masks]),
        file=f"{where}: mask",
        outlines=tuple(outlines),
        size=(width, height),
    )
