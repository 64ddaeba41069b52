"""Images beside the folders of the splits, folders of them, and files that are not read: what is left out is said."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path

from visrun.data import files
from visrun.data.folder_names import NO_CLASSES
from visrun.data.listing import Listing
from visrun.data.splits import ALL
from visrun.errors import DataError
from visrun.text import are, plural, some

FEWEST = 3  # images beside the folders of splits
# In the names of folders whose images are no photographs to learn from.
OF_TRUTH = ("mask", "label", "annot", "seg", "truth", "gt", "panoptic", "depth", "trimap", "preview")


def passed_over(listing: Listing, root: Path) -> list[str]:
    """Lines on folders of images beside those of the splits, none of which is used, and on images right there."""
    if ALL in listing.splits or not root.is_dir():
        return []
    homes = {record.image.parent for records in listing.splits.values() for record in records}
    used = {folder for home in homes for folder in (home, *home.parents)}
    tops = {folder.parent for folder in used if folder != root and root in folder.parents and _is_split(folder)}
    rest = [folder for top in sorted(tops) for folder in files.folders(top) if folder not in used and _may_be(folder)]
    lines = []
    if rest:
        shown = some(f"{files.shown(folder, root)}/" for folder in rest)
        lines = [f"the images in {shown} are in no split and left out: call a folder train, val or test to use it"]
    return lines + [line for top in sorted(tops - homes) for line in _beside(top, root)]


def unread_told(*folders: Path) -> list[str]:
    """A line on the images of kinds that are not read in these folders and below; [] without any, or where a folder
    among them is closed."""
    counts = Counter[str]()
    with contextlib.suppress(DataError):
        counts = sum(map(files.unread, folders), counts)
    told = some(f"{n:,} {suffix}" for suffix, n in counts.most_common())
    return [f"left out, since these files are not read: {told}"] if counts else []


def _beside(top: Path, root: Path) -> list[str]:
    """A line on images that lie right in the folder that holds those of the splits; a few may illustrate a readme."""
    count = sum(1 for _ in files.images(top, deep=False))
    if count < FEWEST:
        return []
    return [f"{plural(count, 'image')} right in {files.shown(top, root)}/ {are(count)} in no split and left out"]


def _is_split(folder: Path) -> bool:
    return files.split_of(folder.name) is not None


def _may_be(folder: Path) -> bool:
    """Whether a folder may hold images that somebody expects to be used."""
    name = folder.name.lower()
    other = name in NO_CLASSES or any(word in name for word in OF_TRUTH) or _is_split(folder)
    return not other and files.holds_images(folder)
