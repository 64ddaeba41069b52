"""Lists of images that say which split each is of: train.txt and val.txt or test.txt, or those of CUB-200."""

from __future__ import annotations

from pathlib import Path

from visrun.data import files
from visrun.data.folder_names import IMAGES
from visrun.data.readers.voc_lists import listed
from visrun.errors import DataError

FOLDERS = ("", "Main", "meta", "splits")  # in which lists may lie; VOC's reader knows those of ImageSets/
NUMBERED, FLAGS = "images.txt", "train_test_split.txt"  # CUB-200's: "7 PATH", and "7 1" where image 7 is of train
Entries = list[tuple[str, str, str]]  # split, where, line


def entries(home: Path) -> Entries:
    """(split, where, line) of every line of the lists in ``home``, or above where that is images/; [] where there is
    none for train, or for no other split."""
    tops = [home, home.parent] if home.name.lower() in IMAGES else [home]
    base = tops[-1]
    try:
        for top in tops:
            for found in (*(list(listed(base, top / folder)) for folder in FOLDERS), _flagged(base, top)):
                splits = {split for split, _, _ in found}
                if "train" in splits and len(splits) > 1:
                    return found
    except DataError:  # not UTF-8: no list of ours
        pass
    return []


def _flagged(base: Path, top: Path) -> Entries:
    """What CUB-200's two lists say (Wah et al., 2011); [] where there are none, or lines that are not theirs."""
    images, flags = files.named(top, NUMBERED), files.named(top, FLAGS)
    if images is None or flags is None:
        return []
    names = {parts[0]: parts[-1] for _, line in files.numbered_lines(images) if (parts := line.split(maxsplit=1))}
    rows = [(number, line.split()) for number, line in files.numbered_lines(flags)]
    if any(len(row) != 2 or row[0] not in names or row[1] not in ("0", "1") for _, row in rows):
        return []
    shown = files.shown(flags, base)
    return [
        ("train" if flag == "1" else "test", f"{shown}:{number}", files.composed(names[key].strip()))
        for number, (key, flag) in rows
    ]
