"""Names of files and folders as the readers understand them: image suffixes, split folders, natural order."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path

from visrun.errors import DataError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm"})
MASK_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".bmp", ".gif"})  # lossless: JPEG would blur class ids

_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


def split_of(name: str) -> str | None:
    """``train``, ``val`` or ``test`` for a folder, file stem or cell that names a split (in any case, or with a year as
    in train2017), else None."""
    return _SPLITS.get(re.sub(r"[-_]?(19|20)\d\d$", "", name.strip().lower()))


def natural(text: str) -> tuple[object, ...]:
    """A sort key under which numbers inside names count by value: class_2 stands before class_10."""
    parts = re.split(r"([0-9]+)", text.lower())
    return (*[(int(p), "") if i % 2 else (-1, p) for i, p in enumerate(parts)], (-2, text))


def folders(root: Path) -> list[Path]:
    """The visible folders directly inside ``root``, in natural order; [] where it is no folder."""
    if not root.is_dir():
        return []
    with os.scandir(root) as entries:  # knows without asking again what is a folder, among a million files
        found = [entry.name for entry in entries if _visible(entry.name) and entry.is_dir()]
    return [root / name for name in sorted(found, key=natural)]


def images(folder: Path, suffixes: frozenset[str] = IMAGE_SUFFIXES) -> Iterator[Path]:
    """The visible files with an image's suffix in ``folder`` and below it, in a fixed order."""
    for current, inner, names in os.walk(folder, followlinks=True):
        inner[:] = sorted((name for name in inner if _visible(name)), key=natural)
        for name in sorted((name for name in names if _is_image(name, suffixes)), key=natural):
            yield Path(current, name)


def holds_images(folder: Path, *, deep: bool = True) -> bool:
    """Whether at least one image lies in ``folder`` (``deep``: or below it)."""
    for _, inner, names in os.walk(folder, followlinks=True):
        inner[:] = [name for name in inner if deep and _visible(name)]
        if any(_is_image(name, IMAGE_SUFFIXES) for name in names):
            return True
    return False


def exists(path: Path) -> bool:
    """Whether there is a file or folder; False too for names that none can have."""
    try:
        return path.exists()
    except OSError:  # a name that is too long
        return False


def is_file(path: Path) -> bool:
    """Whether there is a file; False too for names that none can have."""
    return exists(path) and path.is_file()


def shown(path: Path, root: Path) -> str:
    """``path`` as people know it: relative to the dataset's root where it lies inside, with forward slashes."""
    text, top = str(path), str(root)  # of a million files, relative_to takes long
    return "." if text == top else text.removeprefix(top + os.sep).replace(os.sep, "/")


def require_root(root: Path) -> None:
    """Refuse a dataset that is not there.

    Raises:
        DataError: No such folder or file; with a suggestion where one beside it has nearly this name.
    """
    if not root.exists():
        near = folders(root.parent) if root.parent.is_dir() else []
        close = get_close_matches(root.name, [folder.name for folder in near], n=1)
        raise DataError(f"data.root={root}: no such folder" + (f"; did you mean {close[0]}?" if close else ""))


def some(items: Iterable[str], most: int = 5) -> str:
    """The first few of ``items`` for a message: ``a, b, c and 7 more``."""
    every = list(items)
    rest = len(every) - most
    return ", ".join(every[:most]) + (f" and {rest} more" if rest > 0 else "")


def class_names(folder: Path) -> tuple[str, ...]:
    """The names in ``classes.txt``, one a line in the order of their ids; () where there is no such file."""
    file = folder / "classes.txt"
    if not file.is_file():
        return ()
    lines = file.read_text(encoding="utf-8-sig").splitlines()
    return tuple(line.strip() for line in lines if line.strip())


def _visible(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"


def _is_image(name: str, suffixes: frozenset[str]) -> bool:
    return _visible(name) and os.path.splitext(name)[1].lower() in suffixes  # noqa: PTH122 (a million names)
