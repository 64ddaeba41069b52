"""Which mask is whose: by its name, by what usually stands behind that, or by what stands around nearly all names."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from visrun.data.readers import common

# What a mask's stem may carry after its image's, and an image's where masks lack it.
BESIDE = ("_mask", "_masks", "_gt", "_label", "_labels", "_seg", "_segmentation")
MARKS = (*BESIDE, "_l", "_gtfine_labelids", "_gtfine_labeltrainids")
IMAGE_MARKS = ("_sat", "_image", "_leftimg8bit")
_NUMBERED = re.compile(rf"(.+(?:{'|'.join(BESIDE)}))_?[0-9]+", re.IGNORECASE)
FEWEST, NEARLY_ALL = 3, 0.9  # pairs of images and masks, by number and share, that are no accident
VOTERS = 20  # masks that tell how masks are named, so that an odd one among them spoils nothing


def by_image(
    folder: Path, images: Iterable[Path], home: Path, masks: Iterable[Path], *, marks: Sequence[str] = MARKS
) -> dict[Path, list[Path]]:
    """The masks of each image: those of its name, or of its name with one of ``marks`` behind it (perhaps numbered,
    where they lie beside the images), in their folders; else the only one whose name differs from that in upper and
    lower case alone. Where none is found at all, what stands around nearly every image's name in its mask's."""
    names: dict[str, list[Path]] = {}
    bare: dict[str, list[Path]] = {}
    for image in images:
        name = common.place(image, folder)
        names.setdefault(name, []).append(image)
        bare.setdefault(common.unmarked(name, IMAGE_MARKS), []).append(image)
    found: dict[Path, list[Path]] = {image: [] for several in names.values() for image in several}
    lone = []
    for mask in masks:
        name = common.place(mask, home)
        own = common.unmarked(first_of(name) if name not in names and home == folder else name, marks)
        several = names.get(name) or names.get(own) or bare.get(own) or bare.get(name)
        for image in several or ():
            found[image].append(mask)
        lone += [] if several else [mask]
    alone = [image for image, several in found.items() if not several] if lone else []
    for image, mask in dict.fromkeys(common.respelt(_names(alone, folder, IMAGE_MARKS), _names(lone, home, marks))):
        found[image].append(mask)
    if lone and not any(found.values()):
        _pair_around(found, {name: several[0] for name, several in names.items() if len(several) == 1}, lone, home)
    return found


def _pair_around(
    found: Mapping[Path, list[Path]], images: Mapping[str, Path], masks: Sequence[Path], home: Path
) -> None:
    """Give images the masks in whose names one text stands before and one behind theirs, if nearly all are one's."""
    parts = [(mask, *common.place(mask, home).rpartition("/")[::2]) for mask in masks]
    for before, behind in _ways(images, [(place, stem) for _, place, stem in parts[:: 1 + len(parts) // VOTERS]]):
        pairs = [
            (images[name], mask)
            for mask, place, text in parts
            if text.startswith(before) and text.endswith(behind) and len(text) > len(before + behind)
            if (name := f"{place}/{text[len(before) : len(text) - len(behind)]}".removeprefix("/")) in images
        ]
        if len(pairs) >= max(FEWEST, NEARLY_ALL * len(masks)):
            for image, mask in pairs:
                found[image].append(mask)
            return


def _ways(images: Iterable[str], masks: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """What stands before and behind the name of an image in at least half of the ``masks``, the shortest first.

    Args:
        images: Their names, with folders; masks: the folder and the name of each.
    """
    known: dict[str, set[str]] = defaultdict(set)
    for name in images:
        place, _, stem = name.rpartition("/")
        known[place].add(stem)
    votes: Counter[tuple[str, str]] = Counter()
    for place, stem in masks:
        votes.update({(cut[0], cut[2]) for part in known[place] if part in stem and (cut := stem.partition(part))})
    ways = [way for way, count in votes.items() if 2 * count >= len(masks)]
    return sorted(ways, key=lambda way: (len("".join(way)), way))


def _names(paths: Iterable[Path], folder: Path, marks: Iterable[str]) -> Iterator[tuple[str, Path]]:
    """The name of each file, and that without a mark."""
    for path in paths:
        name = common.place(path, folder)
        yield from ((name, path), (common.unmarked(name, marks), path))


def first_of(name: str) -> str:
    """The name of the first of several masks of an image, as NAME_mask is of NAME_mask_1."""
    first = _NUMBERED.fullmatch(name)
    return first[1] if first else name
