"""Images and masks: each image has a picture of class ids of the same size and name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from visrun.data import files, labelmap
from visrun.data.listing import Listing, Problem, Record
from visrun.data.mask_classes import BLURRED, LOSSY
from visrun.data.readers import coco, common, labelme
from visrun.errors import DataError
from visrun.text import some

_MASKS = ("masks", "mask", "labels", "annotations")
_MARK = "_mask"  # that a mask's stem may carry after its image's


def recognise(root: Path, task: str) -> bool:
    """Whether ``root`` holds a folder of images and a folder of masks, per split or for all."""
    if _holds(root, _MASKS, files.MASK_SUFFIXES):
        return True
    if not _holds(root, _MASKS[:2], LOSSY):
        return False
    # JPEGs may be black and white, or are refused by name, unless masks can be painted from outlines beside them.
    outlined = coco.recognise(root, task) or labelme.recognise(root, task) or _holds(root, _MASKS[2:], files.TEXT)
    return not outlined


def _holds(root: Path, names: Sequence[str], suffixes: frozenset[str]) -> bool:
    """Whether a folder of one of the names, beside images, holds such a file."""
    return any(next(files.of_suffix(folder, suffixes), None) for _, _, folder in common.pairs(root, names))


def read(root: Path) -> Listing:
    """images/ and masks/ (index or palette PNG), split into train/, val/, test/ above or below them, or flat.

    A mask has its image's name, with or without ``_mask``; its id 255 means "ignore". The lines of ``classes.txt`` (or
    ``labelmap.txt``) in ``root`` name the ids 0, 1, ... JPEGs are read where no mask is another file, and must be
    black and white.

    Raises:
        DataError: Where ``root`` has no such folders, or training or validation images have no masks.
    """
    parts, warnings = common.labelled_pairs(root, _MASKS)
    if not parts:
        raise DataError(f"{root}: no images/ with masks/ beside it, neither here nor in train/, val/, test/")
    splits: dict[str, list[Record]] = {}
    problems: list[Problem] = []
    every: set[Path] = set()
    used: set[Path] = set()
    lossless = any(next(files.of_suffix(masks, files.MASK_SUFFIXES), None) for _, _, masks in parts)
    for split, images, masks in parts:
        by_name = _by_name(masks, files.MASK_SUFFIXES if lossless else LOSSY)
        records, wrong, taken = _pair(images, masks, by_name, root)
        splits.setdefault(split, []).extend(records)
        problems += wrong
        every.update(mask for several in by_name.values() for mask in several)
        used |= taken
    warnings += common.left_over("masks", every - used, root)
    return Listing(splits=splits, classes=labelmap.class_names(root), problems=tuple(problems), warnings=warnings)


def _by_name(masks: Path, suffixes: frozenset[str]) -> dict[str, list[Path]]:
    by_name: dict[str, list[Path]] = {}
    for mask in files.of_suffix(masks, suffixes):
        by_name.setdefault(common.unmarked(common.place(mask, masks), [_MARK]), []).append(mask)
    return by_name


def _pair(
    images: Path, masks: Path, by_name: Mapping[str, Sequence[Path]], root: Path
) -> tuple[list[Record], list[Problem], set[Path]]:
    """The records of one folder, images without exactly one mask as problems, and the masks that are an image's."""
    records, problems, taken = [], [], set[Path]()
    lossy = {common.unmarked(common.place(path, masks), [_MARK]): path for path in files.of_suffix(masks, LOSSY)}
    for image in files.images(images):
        where, name = files.shown(image, root), common.place(image, images)
        found = by_name.get(name, [])
        taken.update(found)
        if len(found) == 1:
            records.append(Record(image, found[0], where))
        elif found:
            problems.append(Problem(where, f"several masks: {some(files.shown(m, root) for m in found)}"))
        elif name in lossy:
            problems.append(Problem(where, f"{files.shown(lossy[name], root)} is {BLURRED}"))
        else:
            problems.append(Problem(where, f"no mask {Path(name).name}.png in {files.shown(masks, root)}/"))
    return records, problems, taken
