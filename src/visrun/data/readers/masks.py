"""Images and masks: each image has a picture of class ids of the same size and name."""

from __future__ import annotations

from pathlib import Path

from visrun.data import files, labelmap
from visrun.data.listing import Listing, Problem, Record
from visrun.data.readers import common
from visrun.errors import DataError

_MASKS = ("masks", "mask", "labels", "annotations")
_MARK = "_mask"  # that a mask's stem may carry after its image's


def recognise(root: Path, task: str) -> bool:  # noqa: ARG001 (every reader is asked alike)
    """Whether ``root`` holds a folder of images and a folder of masks, per split or for all."""
    return any(next(files.images(masks, files.MASK_SUFFIXES), None) for _, _, masks in common.pairs(root, _MASKS))


def read(root: Path) -> Listing:
    """images/ and masks/ (index or palette PNG), split into train/, val/, test/ above or below them, or flat.

    A mask has its image's name, with or without ``_mask``; its id 255 means "ignore". The lines of ``classes.txt`` (or
    ``labelmap.txt``) in ``root`` name the ids 0, 1, ...

    Raises:
        DataError: Where ``root`` has no such folders, or training or validation images have no masks.
    """
    parts, warnings = common.labelled_pairs(root, _MASKS)
    if not parts:
        raise DataError(f"{root}: no images/ with masks/ beside it, neither here nor in train/, val/, test/")
    splits: dict[str, list[Record]] = {}
    problems: list[Problem] = []
    unused = 0
    for split, images, masks in parts:
        records, wrong, left = _pair(images, masks, root)
        splits.setdefault(split, []).extend(records)
        problems += wrong
        unused += left
    if unused:
        warnings += (f"{unused} masks without an image are left out",)
    return Listing(splits=splits, classes=labelmap.class_names(root), problems=tuple(problems), warnings=warnings)


def _pair(images: Path, masks: Path, root: Path) -> tuple[list[Record], list[Problem], int]:
    """The records of one split, images without exactly one mask as problems, and the number of masks left over."""
    by_name: dict[str, list[Path]] = {}
    for mask in files.images(masks, files.MASK_SUFFIXES):
        by_name.setdefault(common.place(mask, masks).removesuffix(_MARK), []).append(mask)
    records, problems, used = [], [], set()
    for image in files.images(images):
        where, name = files.shown(image, root), common.place(image, images)
        found = by_name.get(name, [])
        used.add(name)
        if len(found) == 1:
            records.append(Record(image, found[0], where))
        elif found:
            problems.append(Problem(where, f"several masks: {files.some(files.shown(m, root) for m in found)}"))
        else:
            problems.append(Problem(where, f"no mask {Path(name).name}.png in {files.shown(masks, root)}/"))
    return records, problems, sum(len(found) for name, found in by_name.items() if name not in used)
