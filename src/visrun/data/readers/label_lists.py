"""Lists of an image and its class on each line, as ImageNet's train.txt: tables without a header, parted by spaces."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path

from visrun.data import files
from visrun.data.folder_names import LISTS
from visrun.data.readers import common
from visrun.data.readers.finder import Finder

NAMES = ("classes.txt", "labels.txt")  # of the classes, in the order of their numbers
LOOKED_AT = 10_000  # lines, to tell what a list holds
MOST = 0.9  # of its lines have a class where a list holds classes; the others are named as what is wrong
TRIED = 5  # images that are looked for
_SUFFIXES = "|".join(re.escape(suffix) for suffix in sorted(files.IMAGE_SUFFIXES))
_LINE = re.compile(rf"(?P<image>.+(?:{_SUFFIXES}))[\s,;]+(?P<label>[^\s,;]+)", re.IGNORECASE)
_LISTED = re.compile(rf".+(?:{_SUFFIXES})(?:[\s,;]|$)", re.IGNORECASE)  # how a line begins that names an image
_FILE = re.compile(rf".*(?:{_SUFFIXES}|\.(?:txt|xml|json|mat|npy))", re.IGNORECASE)  # a mask or label file, no class


def inside(root: Path) -> dict[str, Path]:
    """The lists by split, the first place that has one for train; {} without, or where folders say the classes.

    A list named for its split alone goes before one that speaks of it, as train_list.txt. A test list may lack the
    classes.
    """
    for folder in ("", *LISTS):
        lists = _by_split(root / folder)
        if "train" in lists:
            rows = _labelled(lists["train"])
            labelled = rows and ("val" not in lists or _labelled(lists["val"]))
            return lists if labelled and _are_classes(rows, root) else {}
    return {}


def _by_split(folder: Path) -> dict[str, Path]:
    """The lists of splits in a folder; none of a split that has several."""
    found: dict[str, tuple[list[Path], list[Path]]] = {split: ([], []) for split in files.SPLITS}
    for file in files.of_suffix(folder, files.TEXT, deep=False):
        plain = files.split_of(file.stem)
        if (split := plain or common.split_in(file.stem)) in found:
            found[split][plain is None].append(file)
    chosen = {split: plain or spoken for split, (plain, spoken) in found.items()}
    return {split: several[0] for split, several in chosen.items() if len(several) == 1}


def cells_of(text: str) -> tuple[tuple[str, ...], list[tuple[int, list[str]]]]:
    """The columns of a list, and its rows as (line number, cells); a line that is none is one cell."""
    lines = ((number, line.strip()) for number, line in enumerate(text.splitlines(), start=1))
    rows = [
        (number, [*match.groups()] if (match := _LINE.fullmatch(line)) else [line]) for number, line in lines if line
    ]
    return ("image", "label")[: max((len(row) for _, row in rows), default=1)], rows


def class_names(file: Path, root: Path) -> tuple[str, ...]:
    """The names of the classes in a text beside a list, or in ``root``; () without.

    Raises:
        DataError: It is not UTF-8, or a name stands twice.
    """
    places = (files.named(folder, name) for folder in (file.parent, root) for name in NAMES)
    for found in filter(None, places):
        names = tuple(line.strip() for _, line in files.numbered_lines(found))
        if not _of_images(names):
            return files.require_once(found, names)
    return ()


def _of_images(lines: Sequence[str]) -> bool:
    """Whether a text lists images, or a class's number for each, and no names of classes."""
    numbers = all(map(str.isdecimal, lines)) and len({*lines}) < len(lines)
    return numbers or any(map(_LISTED.match, lines))


def _lines(file: Path) -> Iterator[re.Match[str] | None]:
    with file.open(encoding="utf-8-sig", errors="replace") as opened:
        yield from (_LINE.fullmatch(line.strip()) for line in islice(opened, LOOKED_AT) if line.strip())


def _labelled(file: Path) -> list[re.Match[str]]:
    """The lines that have an image, and a class that is no file, if these are nearly all; else []."""
    lines = [*_lines(file)] if files.is_file(file) else []
    matches = [match for match in lines if match and not _FILE.fullmatch(match["label"])]
    return matches if len(matches) >= MOST * len(lines) else []


def _are_classes(matches: Sequence[re.Match[str]], root: Path) -> bool:
    """Whether images of a list for train that are there have different classes within one folder, and no numbers of
    their own."""
    find = Finder(root, [root])
    if _counts(matches) or not any(find.named(match["image"], "train") for match in matches[:TRIED]):
        return False
    labels: dict[str, str] = {}
    homes = ((match["image"].replace("\\", "/").rpartition("/")[0], match["label"]) for match in matches)
    return any(labels.setdefault(home, label) != label for home, label in homes)


def _counts(matches: Sequence[re.Match[str]]) -> bool:
    """Whether each of several lines has a higher whole number than the one before."""
    numbers = [int(match["label"]) for match in matches if match["label"].isdecimal()]
    return len(numbers) == len(matches) > 2 and all(low < high for low, high in pairwise(numbers))
