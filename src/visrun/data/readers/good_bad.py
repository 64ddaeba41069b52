"""Good and defective images in a folder each, without splits."""

from __future__ import annotations

from pathlib import Path

from visrun.data import files
from visrun.data.listing import Listing
from visrun.data.readers import inspected
from visrun.data.splits import ALL
from visrun.errors import DataError


def recognise(root: Path) -> bool:
    """Whether a folder of good images lies beside folders of others, and none is a split."""
    names = [kind.name for kind in inspected.kinds(_levels(root)[-1])]
    if any(map(files.split_of, names)):
        return False
    return len(names) > 1 and any(map(inspected.is_good, names))


def read(root: Path) -> Listing:
    """good/ beside bad/ or a folder for each kind of defect; masks in ground_truth/KIND/NAME_mask.png.

    ``ok``, ``normal``, ``defect_free`` and the like are good; whatever else lies beside them is defective. They may lie
    in the only folder of images of ``root``, with the masks beside that one, as in VisA's Data/Images and Data/Masks.

    Raises:
        DataError: Where ``root`` has no folder of good images.
    """
    levels = _levels(root)
    if not any(inspected.is_good(kind.name) for kind in inspected.kinds(levels[-1])):
        raise DataError(f"{root}: no folder good/ (or ok/, normal/) with images")
    found = inspected.Found()
    found.add(ALL, levels[-1], root=root, homes=inspected.mask_folders(*reversed(levels)))
    return found.listing(root)


def _levels(root: Path) -> list[Path]:
    """``root`` and the folders inside it down to the one with a folder for each kind of image."""
    levels = [root]
    while len(inner := inspected.kinds(levels[-1])) == 1:
        if inspected.is_good(inner[0].name) or files.split_of(inner[0].name):
            break
        levels += inner
    return levels
