"""Where masks lie: in a folder beside that of the images, in one named after it, or each beside its image."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from visrun.data import files
from visrun.data.folder_names import AFTER_IMAGES, IMAGES_OF_MASKS, MASKS_OF_CLASSES
from visrun.data.mask_classes import LOSSY
from visrun.data.readers import common
from visrun.data.readers.mask_names import BESIDE, IMAGE_MARKS, by_image, first_of
from visrun.data.splits import ALL
from visrun.errors import DataError
from visrun.text import some

_OF_MASKS = re.compile(rf"(.+?)(?:[-_ ]?(?:{'|'.join(AFTER_IMAGES)}|ground[-_ ]?truth)|[-_ ]gt)")
_OF_IMAGES = re.compile(r"(.*?)(?:images?|imgs?|input)")
LOOKED_AT = 1000  # files of a folder, to tell what it holds


@dataclass(frozen=True, kw_only=True)
class Part:
    """The files of a split: images, and what may be their masks, with the folders in which their names are compared.

    Args:
        mark: That all masks' stems carry after their images', if so.
    """

    split: str
    folder: Path
    home: Path
    images: Sequence[Path]
    masks: Sequence[Path]
    mark: str = ""


def find(root: Path, suffixes: frozenset[str]) -> tuple[list[Part], tuple[str, ...]]:
    """The parts of the first way that any masks of these suffixes lie in, and lines on what is left out.

    Raises:
        DataError: Training images have no masks, or validation images where folders hold the masks.
    """
    if holds(root, MASKS_OF_CLASSES, suffixes):
        pairs, lines = common.labelled_pairs(root, MASKS_OF_CLASSES, IMAGES_OF_MASKS)
        return [_part(*pair, suffixes) for pair in pairs], lines
    if pairs := siblings(root, suffixes):
        parts = [_part(*pair, suffixes) for pair in _single(pairs, root)]
        return parts, _without(root, pairs, ("train", "val"))
    if parts := inside(root, suffixes):
        pairs = [(part.split, part.folder, part.home) for part in parts]
        return parts, (*_without(root, pairs, ("train", "val")), *_deeper(parts, root))
    if parts := beside(root, suffixes):
        pairs = [(part.split, part.folder, part.home) for part in parts]
        return parts, _without(root, pairs, ("train",))  # challenges show their validation images alone
    return [], ()


def holds(root: Path, names: Sequence[str], suffixes: frozenset[str]) -> bool:
    """Whether a folder of one of the names, beside images, holds such a file."""
    return any(files.holds(folder, suffixes) for _, _, folder in common.pairs(root, names, IMAGES_OF_MASKS))


def _part(split: str, folder: Path, home: Path, suffixes: frozenset[str]) -> Part:
    home = _innermost(home, folder, suffixes)
    masks = [*files.of_suffix(home, suffixes | LOSSY)]
    return Part(split=split, folder=folder, home=home, images=[*files.images(folder)], masks=masks)


def _innermost(home: Path, images: Path, suffixes: frozenset[str]) -> Path:
    """The folder of masks, or the only one with some in it, as annotations/trimaps, if images/ has none of its name."""
    if files.holds(home, suffixes, deep=False):
        return home
    held = [folder for folder in files.folders(home) if files.holds(folder, suffixes)]
    known = {files.folded(folder.name) for folder in files.folders(images)}
    return held[0] if len(held) == 1 and files.folded(held[0].name) not in known else home


def siblings(root: Path, suffixes: frozenset[str]) -> list[common.Pair]:
    """Folders X and X_masks, X_labels or Xannot, some of whose files share a name; so are X_images and X_masks."""
    inside = files.folders(root)
    of_masks = {folder: match[1] for folder in inside if (match := _OF_MASKS.fullmatch(folder.name.lower()))}
    pictures = [folder for folder in inside if folder not in of_masks] if of_masks else []
    return [
        (files.split_of(name) or common.split_in(folder.name), folder, masks)
        for masks, name in of_masks.items()
        if (folder := _sibling(name, pictures)) and _share_a_name(folder, masks, suffixes)
    ]


def _sibling(name: str, pictures: Sequence[Path]) -> Path | None:
    """The folder of images of a name, perhaps with ``images`` behind it; else the only one that speaks of its split."""
    found = [folder for folder in pictures if folder.name.lower() == name]
    found = found or [folder for folder in pictures if _bare(folder.name.lower()) == _bare(name)]
    split = common.split_in(name)
    if not found and split != ALL:
        found = [folder for folder in pictures if common.split_in(folder.name) == split]
    return found[0] if len(found) == 1 else None


def _bare(name: str) -> str:
    plain = re.sub("[-_ ]", "", name)
    return match[1] if (match := _OF_IMAGES.fullmatch(plain)) else plain


def _share_a_name(folder: Path, home: Path, suffixes: frozenset[str], *, deep: bool = True) -> bool:
    masks = [*islice(files.of_suffix(home, suffixes), LOOKED_AT)]
    images = files.images(folder, deep=deep) if masks else ()
    return any(by_image(folder, images, home, masks).values())


def inside(root: Path, suffixes: frozenset[str]) -> list[Part]:
    """The splits' folders, or ``root``, with images right in them and a folder for the masks of these inside."""
    for folders in (common.by_split(root), [(ALL, root)]):
        held = ((split, folder, common.child(folder, MASKS_OF_CLASSES)) for split, folder in folders)
        parts = [
            replace(_part(split, folder, home, suffixes), images=[*files.images(folder, deep=False)])
            for split, folder, home in held
            if home is not None and _share_a_name(folder, home, suffixes, deep=False)
        ]
        if parts:
            return parts
    return []


def _deeper(parts: Sequence[Part], root: Path) -> tuple[str, ...]:
    """A line on images in other folders beside those of masks, if any."""
    used = {image for part in parts for image in part.images}
    homes = [part.home for part in parts]
    below = (image for part in parts for image in files.images(part.folder) if image not in used)
    rest = (image for image in below if not any(image.is_relative_to(home) for home in homes))
    return common.left_over("image", rest, root, lacking="a mask")


def _single(pairs: Sequence[common.Pair], root: Path) -> Sequence[common.Pair]:
    for _, folder, _ in pairs:
        several = [files.shown(masks, root) for _, other, masks in pairs if other == folder]
        if len(several) > 1:
            raise DataError(f"{root}: masks of {files.shown(folder, root)}/ in {some(several)}: move all but one out")
    return pairs


def beside(root: Path, suffixes: frozenset[str]) -> list[Part]:
    """The splits' folders, or all below ``root``, where most images have a mask NAME_mask.png beside them."""
    for folders in (common.by_split(root), [(ALL, root)]):
        if any(_mostly_masked(folder, suffixes) for _, folder in folders):
            parts = [_beside(split, folder, files.images(folder), suffixes) for split, folder in folders]
            return [part for part in parts if part.masks]
    return []


def _mostly_masked(folder: Path, suffixes: frozenset[str]) -> bool:
    part = _beside(ALL, folder, islice(files.images(folder), LOOKED_AT), suffixes)
    return bool(part.masks) and 2 * len(part.masks) >= len(part.images)


def _beside(split: str, folder: Path, paths: Iterable[Path], suffixes: frozenset[str]) -> Part:
    every = {common.place(path, folder): path for path in paths}
    names = {*every, *(common.unmarked(name, IMAGE_MARKS) for name in every)}
    masks = {
        name: path
        for name, path in every.items()
        if path.suffix.lower() in suffixes
        and (bare := common.unmarked(first_of(name), BESIDE)) != name
        and bare in names
    }
    images = [path for name, path in every.items() if name not in masks]
    return Part(split=split, folder=folder, home=folder, images=images, masks=[*masks.values()], mark=BESIDE[0])


def _without(root: Path, pairs: Sequence[common.Pair], needed: Collection[str]) -> tuple[str, ...]:
    """A line on folders of images that no masks are for.

    Raises:
        DataError: It is that of a split which needs them.
    """
    used = {path for _, *several in pairs for path in several}
    rest = [] if root in used else [path for path in files.folders(root) if path not in used]
    bare = [path.name for path in rest if files.holds_images(path)]
    for name in bare:
        if (split := files.split_of(_bare(name.lower()))) in needed:
            raise DataError(
                f"{root / name}: images of {split} without masks: add them, or move the images out of {root}"
            )
    return (f"folders whose images have no masks are left out: {some(bare)}",) if bare else ()
