"""Images and masks: each image has a picture of class ids of the same size and name."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from visrun.data import files, images, labelmap
from visrun.data.folder_names import LABELS_AS_MASKS, MASKS, MASKS_OF_CLASSES
from visrun.data.listing import Listing, Problem, Record
from visrun.data.mask_classes import BLURRED, LOSSY
from visrun.data.readers import cityscapes, coco, common, labelme, mask_names, mask_places
from visrun.data.readers.mask_places import Part
from visrun.data.threads import mapped
from visrun.data.verdicts import CLASSES, Verdict
from visrun.errors import DataError
from visrun.text import are, plural, some


def recognise(root: Path) -> bool:
    """Whether ``root`` holds a folder of images and a folder of masks, per split or for all, or masks beside images."""
    if cityscapes.recognise(root):
        return True
    kept = files.MASK_SUFFIXES
    if mask_places.holds(root, MASKS_OF_CLASSES, kept):
        return True
    if any(place(root, kept) for place in (mask_places.siblings, mask_places.inside, mask_places.beside)):
        return True
    if not mask_places.holds(root, MASKS, LOSSY):
        return False
    # JPEGs may be black and white, or are refused by name, unless masks can be painted from outlines beside them.
    outlined = coco.recognise(root) or labelme.recognise(root)
    return not (outlined or mask_places.holds(root, LABELS_AS_MASKS, files.TEXT))


def read(root: Path, *, target: str = "mask") -> Listing:
    """images/ and masks/ (index or palette PNG), split into train/, val/, test/ above or below them, or flat.

    Or X/ and X_masks/, or NAME.jpg and NAME_mask.png together, or Cityscapes. A mask has its image's name, perhaps with
    a mark such as ``_mask``; its id 255 means "ignore". The lines of ``classes.txt`` (or ``labelmap.txt``) in ``root``
    name the ids 0, 1, ...; so do Roboflow's ``_classes.csv``, and of colours what says which class they are. JPEGs are
    read where no mask is another file, and must be black and white.

    Args:
        root: The folder.
        target: ``mask``, or ``verdict``: then an image is good where its mask marks nothing, or where it has none.

    Raises:
        DataError: Where ``root`` has no such folders, or training or validation images have no masks.
    """
    if target == "verdict":
        if cityscapes.recognise(root):
            raise DataError(f"{root}: Cityscapes' masks name what every pixel shows, and no defects")
        parts, suffixes, warnings = _parts(root)
        return verdicts_of(_listing(parts, suffixes, root, warnings, bare=True))
    if cityscapes.recognise(root):
        parts, ids, warnings = cityscapes.find(root)
        return replace(_listing(parts, files.MASK_SUFFIXES, root, warnings), classes=cityscapes.CLASSES, ids=ids)
    parts, suffixes, warnings = _parts(root)
    return replace(_listing(parts, suffixes, root, warnings), classes=_names(parts, root, suffixes))


def _parts(root: Path) -> tuple[list[Part], frozenset[str], tuple[str, ...]]:
    """The files of each split, the suffixes of masks, and lines on what is left out."""
    for suffixes in (files.MASK_SUFFIXES, LOSSY):
        parts, warnings = mask_places.find(root, suffixes)
        if parts:
            return parts, suffixes, warnings
    raise DataError(f"{root}: no images/ with masks/ beside it, neither here nor in train/, val/, test/")


def _listing(
    parts: Sequence[Part], suffixes: Collection[str], root: Path, warnings: tuple[str, ...], *, bare: bool = False
) -> Listing:
    """What the parts hold; images without a mask are problems, or where they may be ``bare`` have the target None."""
    splits: dict[str, list[Record]] = {}
    problems: list[Problem] = []
    every: set[Path] = set()
    used: set[Path] = set()  # several parts may share a folder of masks
    for part in parts:
        masks = [mask for mask in part.masks if mask.suffix.lower() in suffixes]
        records, wrong, taken = _pair(part, masks, root, bare=bare)
        splits.setdefault(part.split, []).extend(records)
        problems += wrong
        every.update(masks)
        used |= taken
    warnings += common.left_over("mask", every - used, root)
    return Listing(splits=splits, problems=tuple(problems), warnings=warnings)


def _pair(
    part: Part, masks: Sequence[Path], root: Path, *, bare: bool
) -> tuple[list[Record], list[Problem], set[Path]]:
    """The records of a part, images without exactly one mask as problems, and the masks that are an image's."""
    records, problems = [], []
    several = mask_names.by_image(part.folder, part.images, part.home, masks)
    lossy = mask_names.by_image(part.folder, part.images, part.home, {*part.masks} - {*masks})
    for image, found in several.items():
        where = files.shown(image, root)
        if len(found) == 1:
            records.append(Record(image, found[0], where))
        elif found:
            told = some(files.shown(mask, root) for mask in found)
            problems.append(Problem(where, f"several masks: {told}: save them as one"))
        elif lossy[image]:
            problems.append(Problem(where, f"{files.shown(lossy[image][0], root)} is {BLURRED}"))
        elif bare:
            records.append(Record(image, None, where))
        else:
            name = Path(common.place(image, part.folder)).name
            name = common.unmarked(name, mask_names.IMAGE_MARKS) + part.mark if part.mark else name
            problems.append(Problem(where, f"no mask {name}.png in {files.shown(part.home, root)}/"))
    return records, problems, {mask for found in several.values() for mask in found}


def verdicts_of(listing: Listing) -> Listing:
    """The same images, each good where its mask marks nothing, or where it has none, which is said."""
    every = [record for records in listing.splits.values() for record in records]
    masks = [record.target for record in every if record.target is not None]
    defective = dict(zip(masks, mapped(_marks, masks, path=lambda mask: mask), strict=True))
    splits = {
        split: [replace(record, target=_verdict(record.target, defective)) for record in records]
        for split, records in listing.splits.items()
    }
    bare = len(every) - len(masks)
    told = (f"{plural(bare, 'image')} without a mask {are(bare)} taken to be good",) if bare else ()
    return replace(listing, splits=splits, classes=CLASSES, warnings=(*listing.warnings, *told))


def _verdict(mask: Path | None, defective: Mapping[Path, bool]) -> Verdict:
    return Verdict(CLASSES[1], (mask,)) if mask is not None and defective[mask] else Verdict(CLASSES[0])


def _marks(mask: Path) -> bool:
    """Whether a mask marks something; of one that cannot be read the checks say so."""
    with contextlib.suppress(DataError):
        return bool(images.load_flags(mask).any())
    return True


def _names(parts: list[Part], root: Path, suffixes: Collection[str]) -> tuple[str, ...]:
    if names := labelmap.class_names(root) or labelmap.pixel_names([root, *(part.home for part in parts)]):
        return names
    return labelmap.colour_names(mask for part in parts for mask in part.masks if mask.suffix.lower() in suffixes)
