"""Lists of images that say which split each is of: train.txt and val.txt or test.txt, those of CUB-200, or VisA's."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterator
from pathlib import Path

from visrun.data import files
from visrun.data.folder_names import IMAGES, LISTS
from visrun.data.readers.voc_lists import listed
from visrun.errors import DataError
from visrun.text import composed

FOLDERS = ("", "Main", *LISTS)  # in which lists may lie; VOC's reader knows those of ImageSets/
NUMBERED, FLAGS = "images.txt", "train_test_split.txt"  # CUB-200's: "7 PATH", and "7 1" where image 7 is of train
OF_VISA = "split_csv/1cls.csv"  # beside the folders of its objects: "object,split,label,image,mask"
Entry = tuple[str, str, str]  # split, where, line


def entries(home: Path) -> list[Entry]:
    """Every line of the lists in ``home``, or above where that is images/; [] where there is none for train, or for no
    other split."""
    tops = [home, home.parent] if home.name.lower() in IMAGES else [home]
    base = tops[-1]
    for top in tops:
        for lines in (*(listed(base, top / folder) for folder in FOLDERS), _flagged(base, top)):
            with contextlib.suppress(DataError):  # not UTF-8: no list of ours
                found = list(lines)
                splits = {split for split, _, _ in found}
                if "train" in splits and len(splits) > 1:
                    return found
    return []


def _flagged(base: Path, top: Path) -> Iterator[Entry]:
    """What CUB-200's two lists say (Wah et al., 2011); nothing where there are none, or lines that are not theirs."""
    images, flags = files.named(top, NUMBERED), files.named(top, FLAGS)
    if images is None or flags is None:
        return
    names = {parts[0]: parts[-1] for _, line in files.numbered_lines(images) if (parts := line.split(maxsplit=1))}
    rows = [(number, line.split()) for number, line in files.numbered_lines(flags)]
    if any(len(row) != 2 or row[0] not in names or row[1] not in ("0", "1") for _, row in rows):
        return
    shown = files.shown(flags, base)
    for number, (key, flag) in rows:
        yield "train" if flag == "1" else "test", f"{shown}:{number}", composed(names[key].strip())


def of_inspected(home: Path) -> list[Entry]:
    """Every row of VisA's table that names an image in ``home``, an object's folder or Data/ in it; [] without any.

    It learns from good images alone (Zou et al., "SPot-the-Difference Self-Supervised Pre-training", ECCV 2022).
    """
    home = home.absolute()
    for top in home.parents[:2]:
        with contextlib.suppress(DataError):  # there is none, or not in UTF-8
            rows = csv.DictReader(files.text(top / OF_VISA).splitlines())
            named = [
                (f"{OF_VISA}:{rows.line_num}", row.get("split") or "", top / (row.get("image") or "")) for row in rows
            ]
            return [
                (split, where, composed(image.relative_to(home).as_posix()))
                for where, split, image in named
                if split in files.SPLITS and image.is_relative_to(home)
            ]
    return []
