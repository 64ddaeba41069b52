"""Splits that labels do not name although the dataset has them: by the folders of its images, or by lists beside them.

One json, one table or one folder of label files may be for all images, of which some are not to be learnt from.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from visrun.data import files
from visrun.data.listing import Listing, Record
from visrun.data.readers import image_lists
from visrun.data.readers.class_folders import spoken
from visrun.data.splits import ALL
from visrun.data.verdicts import Verdict
from visrun.text import are, composed, plural

UNREAD = "lists of images that do not name all are not read"
Parts = dict[str, list[Record]]


def regrouped(listing: Listing, home: Path) -> Listing:
    """A listing without splits with those that lists or folders in ``home`` say; a warning says which, or why none.

    Lists such as train.txt and val.txt in ``home``, or above where that is images/, count where they are of these
    images: before folders if they name all, else after them.

    An image in a folder named for a split is of that split, the innermost counts; all others are train. Where that
    leaves none for train, folders do not count, nor does one that has the name of its images' class. Names that only
    speak of a split, as test_images, do where all images lie in such folders and some in one for train.
    """
    if [*listing.splits] != [ALL]:
        return listing
    records = listing.splits[ALL]
    found, told = _by_list(records, home)
    if sum(map(len, found.values())) < len(records):
        by_folder, line = _by_folder(listing, home)
        if by_folder:
            told = [*line, *([UNREAD] if found else told)]
        elif not found:
            told = [*line, *told]
        found = by_folder or found
    ordered = {split: found[split] for split in files.SPLITS if split in found}
    return replace(listing, splits=ordered or listing.splits, warnings=(*listing.warnings, *told))


def _by_folder(listing: Listing, home: Path) -> tuple[Parts, list[str]]:
    """The images by the folders that they lie in, and a line; {} where these say nothing."""
    loosely = _placed(listing, home, _spoken_of)
    whole = None not in loosely and "train" in loosely and len(loosely) > 1
    found = loosely if whole else _placed(listing, home, _split_of)
    outside = found.pop(None, [])
    named = [split for split in files.SPLITS if split in found]
    if not {"val", "test"} & {*named}:
        return {}, []
    if "train" not in named and not outside:
        return {}, [f"all images lie in folders of {' and '.join(named)}, none is left for train: folders do not count"]
    line = f"splits by the images' folders: {', '.join(f'{len(found[split])} in {split}' for split in named)}"
    if outside:
        line += f"; {len(outside)} in no folder of a split count as train"
    return {split: found[split] for split in named} | {"train": [*found["train"], *outside]}, [line]


def _placed(listing: Listing, home: Path, split_of: Callable[[str, str], str | None]) -> dict[str | None, list[Record]]:
    """The images by what their folders, and of labels the name of the image's class, say."""
    place: dict[tuple[str, str], str | None] = {}
    found: dict[str | None, list[Record]] = defaultdict(list)
    records = listing.splits[ALL]
    top = _top(records, home)
    for record in records:
        folder = files.shown(record.image, top).rpartition("/")[0]
        label = listing.classes[record.target] if isinstance(record.target, int) else ""
        if (folder, label) not in place:
            place[folder, label] = None if Path(folder).is_absolute() else split_of(folder, label)
        found[place[folder, label]].append(record)
    return found


def _top(records: Sequence[Record], home: Path) -> Path:
    """The folder below which names of folders count: ``home``, or where no image lies in it the one that holds all."""
    if any(record.image.is_relative_to(home) for record in records):
        return home
    return Path(os.path.commonpath([record.image.parent for record in records])) if records else home


def _split_of(folder: str, label: str, *, says: Callable[[str], str | None] = files.split_of) -> str | None:
    """The split that the innermost of some folders is named for, which is not the image's class."""
    names = (name for name in reversed(folder.split("/")) if composed(name) != label)
    return next((split for name in names if (split := says(name))), None)


def _spoken_of(folder: str, label: str) -> str | None:
    """The same, else the split that the innermost of the folders speaks of, as train_images or test_zip."""
    return _split_of(folder, label) or _split_of(folder, label, says=spoken)


def _by_list(records: Sequence[Record], home: Path) -> tuple[Parts, list[str]]:
    """The images by the lists in ``home``, and a line; {} where there are none that are of these images.

    Lists of some of the images leave out the others, if all that they name is there and none stands in two.
    """
    inspected = any(isinstance(record.target, Verdict) for record in records)
    entries = image_lists.entries(home) or (image_lists.of_inspected(home) if inspected else [])
    by_stem: dict[str, list[tuple[str, Record]]] = defaultdict(list)
    for record in records:
        key = composed(_bare(files.shown(record.image, home)))
        by_stem[key.rpartition("/")[2]].append((key, record))
    split_of: dict[int, set[str]] = defaultdict(set)
    lost = 0
    for split, _, line in entries:
        meant = _meant(line, by_stem)
        if meant is None:
            lost += 1
        else:
            split_of[id(meant)].add(split)
    if not split_of:
        return {}, []
    names = ", ".join(dict.fromkeys(where.rpartition(":")[0] for _, where, _ in entries))
    rest = sum(id(record) not in split_of for record in records)
    found: Parts = defaultdict(list)
    for record in records:
        for split in split_of.get(id(record), ()):
            found[split].append(record)
    told = [f"{plural(rest, 'image')} that they do not name {are(rest)} left out"] if rest else []
    told += [f"{lost} of their lines name no labelled image"] if lost else []
    if (rest and lost) or sum(map(len, found.values())) > len(split_of) or "train" not in found or len(found) == 1:
        return {}, [f"{names} list images and are not read: not each image stands in exactly one"]
    return dict(found), ["; ".join([f"splits by {names}", *told])]


def _meant(line: str, by_stem: Mapping[str, Sequence[tuple[str, Record]]]) -> Record | None:
    """The image that a line names: as a whole, or by what stands before its class or label file.

    One whose name it is goes before the only one of that stem: "a (1).jpg 3" is not a.jpg.
    """
    ways = dict.fromkeys((line, re.sub(r"[\s,;]+[^\s,;]+$", "", line), re.split(r"[\s,;]", line, maxsplit=1)[0]))
    names = [_bare(PurePosixPath(words.replace("\\", "/")).as_posix().lstrip("/")) for words in ways]
    alike = {name: by_stem.get(name.rpartition("/")[2], ()) for name in names}
    whole = ([pair for pair in pairs if f"/{pair[0]}".endswith(f"/{name}")] for name, pairs in alike.items())
    return next((pairs[0][1] for pairs in (*whole, *alike.values()) if len(pairs) == 1), None)


def _bare(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return stem if f"{dot}{suffix}".lower() in files.IMAGE_SUFFIXES else name
