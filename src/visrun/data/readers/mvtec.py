"""Inspected images in splits, as MVTec AD and LOCO AD lay them out (Bergmann et al., CVPR 2019; IJCV 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from visrun.data import files
from visrun.data.listing import Listing
from visrun.data.readers import common, inspected
from visrun.data.verdicts import is_good
from visrun.errors import DataError


def recognise(root: Path) -> bool:
    """Whether a folder of good images lies in one of the splits of ``root``, or of its only folder."""
    return _home(root) is not None


def read(root: Path) -> Listing:
    """train/good, test/KIND and their masks ground_truth/KIND/NAME_mask.png, as MVTec AD has them.

    MVTec LOCO AD's folders of masks, ground_truth/KIND/NAME/000.png and on, mark one image together. Defects in
    train/KIND are learnt from, too; ``val`` or ``validation`` may stand beside them. Masks lie in ground_truth/KIND or
    ground_truth/SPLIT/KIND; the former are those of test where several splits have the kind. They may lie right in
    ground_truth/ or ground_truth/SPLIT where each has the name of one defective image only.

    Raises:
        DataError: Where ``root`` has no such folders.
    """
    home = _home(root)
    if home is None:
        raise DataError(f"{root}: no good/ in train/, val/ or test/ here")
    parts, masks = common.by_split(home), inspected.mask_folders(home)
    homes = {folder: _homes(folder, masks) for _, folder in parts}
    kinds = (kind for _, folder in parts for kind in inspected.kinds(folder) if not is_good(kind.name))
    defective = [image for kind in kinds for image in files.images(kind)]
    found = inspected.Found(inspected.flat([*masks, *chain.from_iterable(homes.values())], defective))
    claimed = set[str]()
    for split, folder in sorted(parts, key=lambda part: part[0] != "test"):
        found.add(split, folder, root=root, homes=homes[folder], shared=masks, taken=claimed)
        claimed |= {kind.name for kind in inspected.kinds(folder)}
    found.splits = {name: found.splits[name] for name, _ in parts if name in found.splits}
    return found.listing(root)


def _homes(folder: Path, masks: Sequence[Path]) -> list[Path]:
    """The folders of masks that are those of a split alone."""
    return [
        *(own for top in masks if (own := inspected.inside(top, Path(folder.name)))),
        *inspected.mask_folders(folder),
    ]


def _home(root: Path) -> Path | None:
    inside = files.folders(root)
    for folder in (root, *(inside if len(inside) == 1 else ())):
        splits = [part for _, part in common.by_split(folder)]
        if any(is_good(kind.name) for part in splits for kind in inspected.kinds(part)):
            return folder
    return None
