"""Good and defective images in a folder each, without splits."""

from __future__ import annotations

from pathlib import Path

from visrun.data import files
from visrun.data.listing import Listing
from visrun.data.readers import inspected
from visrun.data.splits import ALL
from visrun.data.verdicts import is_good
from visrun.errors import DataError


def recognise(root: Path) -> bool:
    """Whether a folder of good images lies beside folders of others, and none is a split."""
    names = [kind.name for kind in inspected.kinds(_levels(root)[-1])]
    if any(map(files.split_of, names)):
        return False
    return len(names) > 1 and any(map(is_good, names))


def read(root: Path) -> Listing:
    """good/ beside bad/ or a folder for each kind of defect; masks in ground_truth/KIND/NAME_mask.png.

    ``ok``, ``normal``, ``defect_free`` and the like are good; whatever else lies beside them is defective. They may lie
    in the only folder of images of ``root``, with the masks beside that one, as in VisA's Data/Images and Data/Masks.
    Masks may lie right in their folder where each has the name of one image only.

    Where the layout is named, defects may stand alone: a finished model can be measured on them.

    Raises:
        DataError: Where ``root`` has no folders of images.
    """
    levels = _levels(root)
    if not inspected.kinds(levels[-1]):
        raise DataError(f"{root}: no folder good/ (or ok/, normal/) with images, nor any of defects")
    homes = inspected.mask_folders(*reversed(levels))
    every = (image for kind in inspected.kinds(levels[-1]) for image in files.images(kind))
    found = inspected.Found(inspected.flat(homes, every))
    found.add(ALL, levels[-1], root=root, homes=homes)
    return found.listing(root)


def _levels(root: Path) -> list[Path]:
    """``root`` and the folders inside it down to the one with a folder for each kind of image."""
    levels = [root]
    while len(inner := inspected.kinds(levels[-1])) == 1:
        if is_good(inner[0].name) or files.split_of(inner[0].name) or not inspected.kinds(inner[0]):
            break
        levels += inner
    return levels
