"""Class folders: an image's class is the name of the folder that it lies in."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from visrun.data import files
from visrun.data.listing import Listing, Record
from visrun.data.splits import ALL
from visrun.errors import DataError
from visrun.text import some

# Folders of other layouts, never classes: images beside their masks, labels or tables.
# fmt: off
_NO_CLASSES = {
    "images", "image", "imgs", "img", "data", "masks", "labels", "annotations", "labeltxt", "jpegimages", "pngimages",
    "segmentationclass", "segmentationobject", "pedmasks", "instances",
}
# fmt: on


def recognise(root: Path, task: str) -> bool:  # noqa: ARG001 (every reader is asked alike)
    """Whether ``root`` holds class folders, with or without split folders above them."""
    root = _top(root)
    if _split_folders(root):
        return True
    names = {folder.name.lower() for folder in _class_folders(root)}
    return bool(names) and not names & _NO_CLASSES and not all(map(_is_split, names))


def read(root: Path) -> Listing:
    """Class folders train/CLASS/*.jpg with val/ and test/ beside train/, or CLASS/*.jpg alone.

    ``valid``, ``validation``, ``training`` and ``testing`` are understood, too; so is a single folder above train/, as
    many a zip has. Classes stand in natural order over all splits (class_2 before class_10); images may lie deeper
    inside a class's folder.

    Raises:
        DataError: Where ``root`` has no folder with images.
    """
    top = _top(root)
    parts = _split_folders(top) or {ALL: [top]}
    found = [(split, folder) for split, tops in parts.items() for one in tops for folder in _class_folders(one)]
    if not found or (ALL in parts and all(_is_split(folder.name) for _, folder in found)):
        raise DataError(f"{root}: no class folders with images: expected train/CLASS/*.jpg or CLASS/*.jpg")
    classes = tuple(sorted({files.composed(folder.name) for _, folder in found}, key=files.natural))
    index = {name: i for i, name in enumerate(classes)}
    splits: dict[str, list[Record]] = {split: [] for split in parts}
    for split, folder in found:
        label = index[files.composed(folder.name)]
        splits[split] += [Record(path, label, files.shown(path, root)) for path in files.images(folder)]
    return Listing(splits=splits, classes=classes, warnings=(*_strays(top, parts), *_doubtful(parts, classes)))


def _is_split(name: str) -> bool:
    """Whether a folder is named for a split, perhaps as train_images, which lies beside a table."""
    return files.split_of(name.lower().removesuffix("_images")) is not None


def _top(root: Path) -> Path:
    """The only folder of images in ``root`` where that holds the splits, else ``root``."""
    inside = _class_folders(root)
    return inside[0] if len(inside) == 1 and _split_folders(inside[0]) else root


def _split_folders(root: Path) -> dict[str, list[Path]]:
    """Split -> its folders, where folders named like splits hold class folders; {} where ``root`` has no splits."""
    named = [(split, folder) for folder in files.folders(root) if (split := files.split_of(folder.name))]
    found: dict[str, list[Path]] = {}
    for split, folder in named:
        found.setdefault(split, []).append(folder)
    inside = [child for _, folder in named for child in _class_folders(folder)]
    return found if inside and not _NO_CLASSES & {child.name.lower() for child in inside} else {}


def _class_folders(top: Path) -> list[Path]:
    return [folder for folder in files.folders(top) if files.holds_images(folder)]


def _doubtful(parts: dict[str, list[Path]], classes: tuple[str, ...]) -> tuple[str, ...]:
    """Lines on folders that are no class, files that are not read, and classes that may be meant to be one."""
    lines = []
    inside = [folder for several in parts.values() for top in several for folder in files.folders(top)]
    empty = dict.fromkeys(name for folder in inside if (name := files.composed(folder.name)) not in classes)
    if empty:
        lines.append(f"folders without images that can be read are no classes: {some(empty)}")
    tops = dict.fromkeys(top for several in parts.values() for top in several)
    unread = [path for top in tops for path in files.of_suffix(top, files.UNREAD_SUFFIXES)]
    if unread:
        counts = Counter(path.suffix.lower() for path in unread).most_common()
        lines.append(f"left out, since these files are not read: {some(f'{n:,} {suffix}' for suffix, n in counts)}")
    folded = Counter(name.casefold() for name in classes)
    alike = [name for name in classes if folded[name.casefold()] > 1]
    if alike:
        lines.append(f"classes that differ in upper and lower case only: {some(alike)}")
    return tuple(lines)


def _strays(root: Path, parts: dict[str, list[Path]]) -> tuple[str, ...]:
    """What lies where no class is: images beside class folders, folders beside the splits."""
    lines = []
    tops = [top for several in parts.values() for top in several]
    loose = [files.shown(top, root) for top in tops if files.holds_images(top, deep=False)]
    if loose:
        lines.append(f"images outside class folders are left out, in: {some(loose)}")
    others = [] if ALL in parts else [f.name for f in _class_folders(root) if files.split_of(f.name) is None]
    if others:
        lines.append(f"folders that are no split are left out: {some(others)}")
    return tuple(lines)
