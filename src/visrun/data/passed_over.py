"""Folders of images beside those of the splits, which are no split's: what is left out is said."""

from __future__ import annotations

from pathlib import Path

from visrun.data import files
from visrun.data.folder_names import NO_CLASSES
from visrun.data.listing import Listing
from visrun.data.splits import ALL
from visrun.text import some

# In the names of folders whose images are no photographs to learn from.
OF_TRUTH = ("mask", "label", "annot", "seg", "truth", "gt", "panoptic", "depth", "trimap", "preview")


def passed_over(listing: Listing, root: Path) -> list[str]:
    """A line on folders of images beside those of the splits, none of which is used; [] without any."""
    if ALL in listing.splits or not root.is_dir():
        return []
    homes = {record.image.parent for records in listing.splits.values() for record in records}
    used = {folder for home in homes for folder in (home, *home.parents)}
    tops = {folder.parent for folder in used if folder != root and root in folder.parents and _is_split(folder)}
    rest = [folder for top in sorted(tops) for folder in files.folders(top) if folder not in used and _may_be(folder)]
    if not rest:
        return []
    shown = some(f"{files.shown(folder, root)}/" for folder in rest)
    return [f"the images in {shown} are in no split and left out: call a folder train, val or test to use it"]


def _is_split(folder: Path) -> bool:
    return files.split_of(folder.name) is not None


def _may_be(folder: Path) -> bool:
    """Whether a folder may hold images that somebody expects to be used."""
    name = folder.name.lower()
    other = name in NO_CLASSES or any(word in name for word in OF_TRUTH) or _is_split(folder)
    return not other and files.holds_images(folder)
