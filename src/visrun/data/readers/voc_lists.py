"""Pascal VOC's lists of images: ImageSets/Segmentation/train.txt and the like, one name a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from visrun.data import files
from visrun.data.splits import ALL
from visrun.text import composed

WHOLE = ("trainval", "default")  # lists of everything: VOC's, and CVAT's where the data has no split


def listed(home: Path, folder: Path) -> Iterator[tuple[str, str, str]]:
    """(split, where, name) of every line of the lists in ``folder``; ``trainval.txt`` counts without a train.txt.

    A split's list is train.txt, val.txt or test.txt, or where there is none whatever names the split, as CVAT's
    Validation.txt. Names with spaces may stand in quotes.

    Raises:
        DataError: A list is not UTF-8.
    """
    texts = sorted(files.of_suffix(folder, files.TEXT, deep=False))  # TRAIN.TXT before train.txt, which stays
    lists = {file.stem.lower(): file for file in texts}
    whole = next((lists[name] for name in WHOLE if name in lists), None)
    found: dict[str, list[Path]] = {split: _of_split(lists, split) for split in files.SPLITS}
    if whole is not None and not found["train"]:
        found["train" if any(found.values()) else ALL] = [whole]
    for split, several in found.items():
        for file in several:
            for number, line in files.numbered_lines(file):
                yield split, f"{files.shown(file, home)}:{number}", composed(_unquoted(line.strip()))


def _of_split(lists: Mapping[str, Path], split: str) -> list[Path]:
    return [lists[split]] if split in lists else [file for stem, file in lists.items() if files.split_of(stem) == split]


def _unquoted(name: str) -> str:
    return name[1:-1] if len(name) > 2 and name[0] == name[-1] == '"' else name
