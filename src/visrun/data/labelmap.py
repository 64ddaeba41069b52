"""labelmap.txt: class names, and the colours of colour masks, as CVAT and others export them beside VOC folders.

# label:color_rgb:parts:actions
background:0,0,0::
road:128,64,128::

A line's place among the classes is the id. Index and palette masks need no colours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from visrun.data import files
from visrun.data.ids import IGNORE
from visrun.errors import DataError

NAME = "labelmap.txt"
HIGHEST = 4  # a mask's labelmap.txt lies in its folder or up to so many above, itself counted
BORDER = 0xE0E0C0  # VOC paints what counts for no class in (224, 224, 192)
_LINE = re.compile(r"([^:]+):(?:\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*)?(?::.*)?")


class LabelMap(NamedTuple):
    """Names by id; the ids of colours written as 0xRRGGBB."""

    names: tuple[str, ...]
    colours: dict[int, int]


def read(file: Path) -> LabelMap:
    """Parse a labelmap.txt.

    Raises:
        DataError: ``file:line`` of a line that is none, or not UTF-8.
    """
    return _parsed(file, file.stat().st_mtime_ns)


@lru_cache(maxsize=16)
def _parsed(file: Path, _changed: int) -> LabelMap:
    names: list[str] = []
    colours = {BORDER: IGNORE}
    for number, line in enumerate(files.text(file).splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        parts = [int(part) for part in match.groups()[1:] if part] if match else [256]
        if match is None or any(part > 255 for part in parts):
            raise DataError(f"{file}:{number}: expected name:r,g,b:parts:actions, found {line.strip()[:60]!r}")
        if parts:
            colours[int.from_bytes(parts)] = len(names)
        names.append(match[1].strip())
    return LabelMap(tuple(names), colours)


def class_names(folder: Path) -> tuple[str, ...]:
    """The names in ``classes.txt`` or ``labelmap.txt`` of a folder, in the order of their ids; () with neither.

    Raises:
        DataError: The file cannot be read, or a name stands twice.
    """
    names, file = files.class_names(folder), files.named(folder, NAME)
    if names or file is None:
        return names
    names = read(file).names
    files.require_once(file, names)
    return names


def ids(path: Path, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8] | None:
    """Class ids (H, W) of the colour mask ``path`` by its labelmap.txt; None where it has none.

    Args:
        pixels: (H, W, 3) uint8.

    Raises:
        DataError: A colour that the labelmap.txt does not name.
    """
    file = _of(path.parent)
    if file is None:
        return None
    table = sorted(read(file).colours.items())
    known, meant = np.array([c for c, _ in table], np.uint32), np.array([i for _, i in table], np.uint8)
    packed = pixels.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    place = np.searchsorted(known, packed).clip(max=len(known) - 1)
    strange = packed[known[place] != packed]
    if strange.size:
        red, green, blue = int(strange[0]).to_bytes(3)
        raise DataError(f"{path}: colour {red},{green},{blue} is not in {file.name}")
    return meant[place]


def of(masks: Iterable[Path]) -> list[Path]:
    """The labelmap.txt files that masks would be read by."""
    return sorted({file for folder in {mask.parent for mask in masks} if (file := _of(folder)) is not None})


def _of(folder: Path) -> Path | None:
    nearest = (files.named(place, NAME) for place in (folder, *folder.parents)[:HIGHEST])
    return next((file for file in nearest if file), None)
