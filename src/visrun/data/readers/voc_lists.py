"""Pascal VOC's lists of images: ImageSets/Segmentation/train.txt and the like, one name a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from visrun.data import files
from visrun.data.splits import ALL

WHOLE = ("trainval", "default")  # lists of everything: VOC's, and CVAT's where the data has no split


def listed(home: Path, folder: Path) -> Iterator[tuple[str, str, str]]:
    """(split, where, name) of every line of the lists in ``folder``; ``trainval.txt`` counts without a train.txt.

    Raises:
        DataError: A list is not UTF-8.
    """
    texts = sorted(files.of_suffix(folder, files.TEXT, deep=False))  # TRAIN.TXT before train.txt, which stays
    lists = {file.stem.lower(): file for file in texts}
    whole = next((lists[name] for name in WHOLE if name in lists), None)
    found: dict[str, Path] = {split: lists[split] for split in ("train", "val", "test") if split in lists}
    if whole is not None and "train" not in found:
        found["train" if found else ALL] = whole
    for split, file in found.items():
        for number, line in files.numbered_lines(file):
            yield split, f"{files.shown(file, home)}:{number}", files.composed(line.strip())
