"""What readers of labelled objects share: folders in pairs, images found by name, lines of text, class names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from visrun.data import files, labelmap
from visrun.data.derive import BACKGROUND
from visrun.data.marks import Marks
from visrun.data.splits import ALL
from visrun.errors import DataError

IMAGES = ("images", "image", "imgs", "img")
Pair = tuple[str, Path, Path]  # split, folder of images, folder of labels


def pairs(root: Path, labels: Sequence[str], images: Sequence[str] = IMAGES) -> list[Pair]:
    """(split, folder of images, folder of labels) in either nesting; the split is ``all`` where there are none.

    A split may have several folders, such as train2014 and train2017.

    Args:
        root: The dataset's folder.
        labels: Names that a folder of labels may have, as `child` takes them; images: likewise.
    """
    return [pair for pair in _expected(root, labels, images) if pair[2].is_dir()]


def labelled_pairs(
    root: Path,
    labels: Sequence[str],
    images: Sequence[str] = IMAGES,
    *,
    holds: Callable[[Path], bool] = Path.is_dir,
) -> tuple[list[Pair], tuple[str, ...]]:
    """The `pairs` that a reader reads, and a warning for each folder of test images without labels, which it does not.

    Args:
        root: The dataset's folder.
        labels: As in `pairs`; images: likewise.
        holds: Whether a folder holds labels.

    Raises:
        DataError: Other images have no labels, while some have; or they lie right in the folder of a split.
    """
    every = _expected(root, labels, images)
    found = [pair for pair in every if holds(pair[2])]
    bare = [pair for pair in every if pair not in found and files.holds_images(pair[1])] if found else []
    warnings = []
    for split, folder, wanted in bare:
        if split != "test":
            where = f"put them into {files.shown(wanted, root)}/"
            raise DataError(f"{folder}: images of {split} without labels: {where}, or move the images out of {root}")
        warnings.append(f"{files.shown(folder, root)}/: test images without labels are left out")
    return found, (*warnings, *(_loose(root, images, found[0]) if found else ()))


def _loose(root: Path, images: Sequence[str], pattern: Pair) -> list[str]:
    """A warning for each folder of a split with images right in it, where those of others have a folder of their own.

    Raises:
        DataError: It is not of test images.
    """
    warnings = []
    for split, folder in by_split(root):
        if child(folder, images) or not files.holds_images(folder, deep=False):
            continue
        like = " and ".join(f"{files.shown(path, root)}/" for path in pattern[1:])
        if split != "test":
            raise DataError(f"{folder}: images lie right in it: arrange them as {like} are, or move them out of {root}")
        warnings.append(f"{files.shown(folder, root)}/: test images that lie right in it are left out; others: {like}")
    return warnings


def _expected(root: Path, labels: Sequence[str], images: Sequence[str]) -> list[Pair]:
    """Every folder of images with that of its labels, or with the place where that should be."""
    pictures, others = child(root, images), child(root, labels)
    if pictures and others:
        inner = _partners(by_split(pictures), others)
        return inner if any(folder.is_dir() for _, _, folder in inner) else [(ALL, pictures, others)]
    outer = [(split, child(folder, images), child(folder, labels)) for split, folder in by_split(root)]
    usual = next((m.name for _, _, m in outer if m), labels[0])
    return [(split, i, m or i.with_name(usual)) for split, i, m in outer if i]


def _partners(pictures: Sequence[tuple[str, Path]], others: Path) -> list[Pair]:
    """To each folder of images that of its name, else the only one of its split that has no other's name."""
    names, theirs = {folder.name for _, folder in pictures}, by_split(others)
    found = []
    for split, folder in pictures:
        same = others / folder.name
        free = [other for name, other in theirs if name == split and other.name not in names]
        found.append((split, folder, same if same.is_dir() or len(free) != 1 else free[0]))
    return found


def child(folder: Path, names: Sequence[str]) -> Path | None:
    """The folder inside with the first of these names, in lower case and perhaps with ``*``; of several the last."""
    inside = files.folders(folder)
    found = ([c for c in inside if fnmatchcase(c.name.lower(), name)] for name in names)
    return next((several[-1] for several in found if several), None)


def by_split(folder: Path) -> list[tuple[str, Path]]:
    """The folders inside that are named for a split; ``trainval`` counts as train where there is no train."""
    named = [(split, child) for child in files.folders(folder) if (split := files.split_of(child.name))]
    if "train" not in dict(named):
        named += [("train", child) for child in files.folders(folder) if child.name.lower() == "trainval"]
    return named


def place(path: Path, folder: Path) -> str:
    """Where a file lies in its folder, without suffix: what an image and its label file or mask share."""
    return path.relative_to(folder).with_suffix("").as_posix()


class Finder:
    """Finds the images that label files name: in one of the ``near`` folders, else anywhere below ``root``."""

    def __init__(self, root: Path, near: Sequence[Path]) -> None:
        self.root, self.near = root, [folder for folder in dict.fromkeys(near) if folder.is_dir()]
        self._below: dict[str, list[Path]] | None = None

    def named(self, name: str, split: str = ALL) -> Path | None:
        """The image of a name as label files write it: with folders in front, of this machine or another, or none."""
        parts = name.replace("\\", "/")
        for place, folder in enumerate(self.near):
            path = folder / parts
            if files.is_file(path):
                self.near.insert(0, self.near.pop(place))  # the next one is likely there, too
                return path
        stem, dot, suffix = Path(parts).name.rpartition(".")
        found = [path for path in self._stems().get(stem, []) if path.name == f"{stem}{dot}{suffix}"]
        return _closest(found, Path(parts).parts, split)

    def of_stem(self, stem: str, parts: Sequence[str] = (), split: str = ALL) -> Path | None:
        """The image of a name without suffix; of several the one that shares most of the last ``parts`` of its path."""
        return _closest(self._stems().get(stem, []), parts, split)

    def _stems(self) -> dict[str, list[Path]]:
        if self._below is None:
            self._below = {}
            for path in files.images(self.root):
                self._below.setdefault(path.stem, []).append(path)
        return self._below


def _closest(found: Sequence[Path], parts: Sequence[str], split: str) -> Path | None:
    """The only path, or the only one that shares most at its end with ``parts``, or that lies in the split's folder."""
    if len(found) <= 1:
        return found[0] if found else None
    shared = [_shared(path.parts, parts) for path in found]
    best = [path for path, count in zip(found, shared, strict=True) if count == max(shared)]
    inside = [path for path in best if any(files.split_of(part) == split for part in path.parts[:-1])]
    chosen = best if len(best) == 1 else inside
    return chosen[0] if len(chosen) == 1 else None


def _shared(path: Sequence[str], parts: Sequence[str]) -> int:
    pairs_from_end = zip(reversed(path), reversed(parts), strict=False)
    count = 0
    for mine, other in pairs_from_end:
        if mine != other:
            break
        count += 1
    return count


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text of labels that hold something, with their numbers from 1.

    Raises:
        DataError: It is not UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text") from None
    return ((number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip())


def class_ids(*folders: Path) -> tuple[str, ...]:
    """The names that classes.txt or labelmap.txt gives to the ids 0, 1, ... in the first folder that has one."""
    return next((names for folder in folders if (names := labelmap.class_names(folder))), ())


def class_names(*folders: Path) -> tuple[str, ...]:
    """The names of `class_ids` for labels that are names, which no line of the background shifts: it is left out."""
    return tuple(name for name in class_ids(*folders) if name.lower() != BACKGROUND)


def sorted_names(found: set[str]) -> tuple[str, ...]:
    """Class names in natural order, where no file gives them one."""
    return tuple(sorted(found, key=files.natural))


def relabelled(marks: Marks, labels: Sequence[int]) -> Marks:
    """The same objects, their classes known at last."""
    return replace(marks, labels=np.asarray(labels, np.int64))
