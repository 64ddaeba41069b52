"""Class names, and the colours of colour masks: labelmap.txt, as CVAT and others export it beside VOC folders.

# label:color_rgb:parts:actions
background:0,0,0::
road:128,64,128::

A line's place among the classes is the id. Index and palette masks need no colours. class_dict.csv (name,r,g,b) and
label_colors.txt (r g b name) say the same of colour masks; Roboflow's _classes.csv names the ids of others.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from visrun.data import files
from visrun.data.ids import IGNORE
from visrun.data.opening import opened
from visrun.errors import DataError

NAME = "labelmap.txt"
NEEDED = (
    "one channel of class ids (index or palette), a class_dict.csv whose first line is name,r,g,b, "
    f"or a {NAME} with a line name:r,g,b for every class"
)
HIGHEST = 4  # a mask's labelmap.txt lies in its folder or up to so many above, itself counted
BORDER = 0xE0E0C0  # VOC paints what counts for no class in (224, 224, 192)
_MARK = r"\s*[,;\t]\s*"
_COLOUR = rf"(?P<r>\d+){_MARK}(?P<g>\d+){_MARK}(?P<b>\d+)"
# By name of the file, each of which goes before the next: what a line is, for people and by its parts.
_LINES = {
    NAME: ("name:r,g,b:parts:actions", re.compile(rf"(?P<name>[^:]+):(?:\s*{_COLOUR}\s*)?(?::.*)?")),
    "class_dict.csv": ("name,r,g,b", re.compile(rf'"?(?P<name>.+?)"?{_MARK}{_COLOUR}')),
    "label_colors.txt": ("r g b name", re.compile(r"(?P<r>\d+)\s+(?P<g>\d+)\s+(?P<b>\d+)\s+(?P<name>.+)")),
}
_HEAD = re.compile(_MARK.join(("name", "r", "g", "b")), re.IGNORECASE)  # of class_dict.csv
_PIXELS = re.compile(r"(?P<id>\d+)\s*,\s*(?P<name>.+)")  # a line of Roboflow's _classes.csv for masks
_PIXELS_HEAD = re.compile(r"pixel value\s*,\s*class", re.IGNORECASE)


class LabelMap(NamedTuple):
    """Names by id; the ids of colours written as 0xRRGGBB."""

    names: tuple[str, ...]
    colours: dict[int, int]


def read(file: Path) -> LabelMap:
    """Parse a labelmap.txt, class_dict.csv or label_colors.txt.

    Raises:
        DataError: ``file:line`` of a line that is none, or not UTF-8.
    """
    return _parsed(file, file.stat().st_mtime_ns)


@lru_cache(maxsize=16)
def _parsed(file: Path, _changed: int) -> LabelMap:
    wanted, pattern = _LINES[file.name.lower()]
    names: list[str] = []
    colours = {BORDER: IGNORE}
    for number, line in files.numbered_lines(file):
        if line.lstrip().startswith("#") or _HEAD.fullmatch(line.strip()):
            continue
        match = pattern.fullmatch(line.strip())
        parts = [int(part) for part in match.group("r", "g", "b") if part] if match else [256]
        if match is None or any(part > 255 for part in parts):
            raise DataError(f"{file}:{number}: expected {wanted}, found {line.strip()[:60]!r}")
        if parts:
            colours[int.from_bytes(parts)] = len(names)
        names.append(match["name"].strip())
    return LabelMap(tuple(names), colours)


def class_names(folder: Path) -> tuple[str, ...]:
    """The names in ``classes.txt`` or ``labelmap.txt`` of a folder, in the order of their ids; () with neither.

    Raises:
        DataError: The file cannot be read, or a name stands twice.
    """
    names, file = files.class_names(folder), files.named(folder, NAME)
    if names or file is None:
        return names
    return files.require_once(file, read(file).names)


def colour_names(masks: Iterable[Path]) -> tuple[str, ...]:
    """The names of the ids that the colours of masks have; () where they are no colours or no file names them.

    Raises:
        DataError: As `read`; or a name stands twice, or files of several folders name an id otherwise.
    """
    every = list(masks)
    mode = next((mode for mask in every if (mode := _mode(mask))), "")
    named = {file: files.require_once(file, read(file).names) for file in of(every)} if mode in ("RGB", "RGBA") else {}
    if len({*named.values()}) > 1:
        raise DataError(f"{' and '.join(map(str, named))}: the classes differ: give all the same")
    return next(iter(named.values()), ())


def _mode(mask: Path) -> str:
    try:
        with opened(mask) as image:
            return image.mode
    except DataError:  # reading it will say what is wrong
        return ""


def pixel_names(folders: Iterable[Path]) -> tuple[str, ...]:
    """The names that Roboflow's _classes.csv, ``Pixel Value, Class``, gives the ids 0, 1, ...; () where none does.

    Raises:
        DataError: A file whose lines are others, or give other names than that of another folder.
    """
    found: dict[Path, tuple[str, ...]] = {}
    for file in dict.fromkeys(file for folder in folders if (file := files.named(folder, "_classes.csv"))):
        lines = [line.strip() for _, line in files.numbered_lines(file)]
        if not lines or not _PIXELS_HEAD.fullmatch(lines[0]):
            continue
        matches = [_PIXELS.fullmatch(line) for line in lines[1:]]
        if [match and int(match["id"]) for match in matches] != [*range(len(matches))]:
            raise DataError(f"{file}: expected the pixel values 0, 1, 2, ... with a class each")
        found[file] = files.require_once(file, [match["name"] for match in matches if match])
    if len({*found.values()}) > 1:
        raise DataError(f"{' and '.join(map(str, found))}: the classes differ: give all the same")
    return next(iter(found.values()), ())


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
        raise DataError(f"{path}: colour {red},{green},{blue} is not in {file.name}: name its class there")
    return meant[place]


def colours(masks: Iterable[Path]) -> list[tuple[str, float]]:
    """The colours of masks, most frequent first: ``r,g,b`` and their share of all pixels."""
    found = Counter[int]()
    for mask in masks:
        with opened(mask) as image:
            packed = np.asarray(image.convert("RGB")).astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
        found.update(dict(zip(*(part.tolist() for part in np.unique(packed, return_counts=True)), strict=True)))
    total = found.total()
    return [(",".join(map(str, colour.to_bytes(3))), count / total) for colour, count in found.most_common()]


def of(masks: Iterable[Path]) -> list[Path]:
    """The labelmap.txt files that masks would be read by."""
    return sorted({file for folder in {mask.parent for mask in masks} if (file := _of(folder)) is not None})


def _of(folder: Path) -> Path | None:
    """The file that colour masks in a folder are read by: the first in it, else the first above."""
    places = (folder, *folder.parents)[:HIGHEST]
    found = (file for place in places for name in _LINES if (file := files.named(place, name)))
    return next((file for file in found if file.suffix.lower() != ".csv" or _is_table(file)), None)


def _is_table(file: Path) -> bool:
    first = next(files.numbered_lines(file), (0, ""))
    return _HEAD.fullmatch(first[1].strip()) is not None
