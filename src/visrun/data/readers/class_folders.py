"""Where class folders lie: below folders of splits, inside the only folder of a zip, and apart from masks."""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from visrun.data import files
from visrun.data.folder_names import (
    AFTER_IMAGES,
    ALWAYS_MASKS,
    DOTA_LABELS,
    IMAGES,
    LABELME_JSONS,
    MASKS,
    NO_CLASSES,
    VOC_XMLS,
)
from visrun.data.opening import opened
from visrun.data.readers import common, image_lists, inspected, table
from visrun.data.readers.good import LABELS
from visrun.data.readers.mask_names import FEWEST, NEARLY_ALL
from visrun.data.splits import ALL
from visrun.errors import DataError
from visrun.text import composed

_NO_WAY = NO_CLASSES - {"data"}  # that does not lead to folders of splits
_OF_LABELS = (*LABELME_JSONS, *VOC_XMLS, *DOTA_LABELS)  # those of YOLO's among them
FACE_MASKS = {"with", "without", "no", "face", "wearing"}  # before "mask": what a picture shows
_TRUTH = ("groundtruth", "gtfine", "gtcoarse")
_PARTS = re.compile(r"(.*[^a-z])?(part|batch|chunk|shard)[-_ ]?[0-9]+")


@dataclass(frozen=True, kw_only=True)
class Level:
    """A folder, the class folders inside it, and the folders there that hold masks of the others' images."""

    path: Path
    classes: tuple[Path, ...]
    masks: tuple[Path, ...]

    @property
    def holding(self) -> tuple[Path, ...]:
        """The folders inside that hold images."""
        return (*self.classes, *self.masks)


Parts = dict[str, list[Level]]  # by split


def level(path: Path) -> Level:
    """What lies in a folder."""
    every = [folder for folder in files.folders(path) if files.holds_images(folder)]
    names = {_letters(folder): folder for folder in every}
    masks = tuple(folder for folder in every if _holds_masks(folder, names))
    return Level(path=path, classes=tuple(folder for folder in every if folder not in masks), masks=masks)


def layout(root: Path) -> tuple[Path, Parts]:
    """The folder that holds the splits or the classes, and what lies in each split, or in ``all``.

    It is ``root``, or the only folder of images in it, and so on; one without splits is passed through only where
    nothing beside it or inside may hold labels, or where lists name images of the classes inside it.
    """
    here = level(root)
    if found := _splits_in(here):
        return root, found
    if listed := _listed(here):
        return listed.path, {ALL: [listed]}
    chain = [here]
    while len(inside := chain[-1].holding) == 1 and (len(chain) == 1 or inside[0].name.lower() not in _NO_WAY):
        below = level(inside[0])
        if found := _splits_in(below):
            return below.path, found
        chain.append(below)
    top = here
    for below in chain[1:]:
        outer = is_no_class(below.path) or is_split(below.path.name) or not _is_alone(below.path)
        if outer or not below.classes or any(labels_in(one, deep=True) for one in below.classes):
            break
        top = below
    return top.path, {ALL: [top]}


def _listed(here: Level) -> Level | None:
    """What lies in images/, if it is the only folder of images, and lists beside it name those of its class folders."""
    if (
        len(here.holding) != 1
        or here.holding[0].name.lower() not in IMAGES
        or files.holds_images(here.path, deep=False)
    ):
        return None
    below = level(here.holding[0])
    if _are_labelled(below, here.path):
        return None
    names = {composed(folder.name) for folder in below.classes}
    homes = (line.replace("\\", "/").rpartition("/")[0] for _, _, line in image_lists.entries(here.path))
    return below if len(names) > 1 and any(home.rpartition("/")[2] in names for home in homes) else None


def _are_labelled(below: Level, home: Path) -> bool:
    """Whether files beside the images, or beside their folder in ``home``, may be their labels, as lists are not."""
    beside = [folder for folder in files.folders(home) if folder != below.path]
    return (
        any(map(is_no_class, beside))
        or common.child(home, _OF_LABELS) is not None
        or any(not _is_note(path) for path in files.of_suffix(home, LABELS - files.TEXT, deep=False))
        or any(labels_in(one, deep=True) for one in below.holding)
    )


def is_no_class(folder: Path) -> bool:
    """Whether a folder's name is one of other layouts."""
    return folder.name.lower() in NO_CLASSES


def _is_alone(folder: Path) -> bool:
    """Whether neither images nor any label file lie beside a folder."""
    others = (other for other in files.folders(folder.parent) if other != folder)
    return not files.holds_images(folder.parent, deep=False) and not (
        labels_in(folder.parent) or any(labels_in(other, deep=True) for other in others)
    )


def labels_in(folder: Path, *, deep: bool = False) -> bool:
    """Whether a file that may hold labels lies in ``folder`` (``deep``: or below it)."""
    return any(not _is_note(path) for path in files.of_suffix(folder, LABELS, deep=deep))


def _is_note(file: Path) -> bool:
    return file.stem.lower().startswith(("readme", "licen")) or table.is_sample(file)


def is_split(name: str) -> bool:
    """Whether a folder is named for a split, perhaps as train_images, which lies beside a table."""
    return files.split_of(name.lower().removesuffix("_images")) is not None


def _splits_in(here: Level) -> Parts:
    """What lies in the folders of each split, where they hold class folders; {} where there are no splits.

    Where none has a split's plain name, names that speak of them count (seg_train beside seg_test), of train and of
    another. A folder of the same name inside is passed through.
    """
    named = [(split, folder) for folder in files.folders(here.path) if (split := files.split_of(folder.name))]
    if not named:
        named = [(split, folder) for folder in here.classes if (split := spoken(folder.name))]
        if "train" not in dict(named) or len(dict(named)) == 1:
            return {}
    found: Parts = {}
    for split, folder in named:
        found.setdefault(split, []).append(_inner(level(folder), split))
    inside = [child for several in found.values() for one in several for child in one.classes]
    return found if inside and not any(map(is_no_class, inside)) else {}


def spoken(name: str) -> str | None:
    """The split that a folder's name speaks of."""
    split = common.split_in(name.lower().replace("trainval", "train"))
    return None if split == ALL else split


def _inner(here: Level, split: str) -> Level:
    """The only folder inside that of a split, where it is named alike."""
    if len(here.holding) != 1 or files.holds_images(here.path, deep=False):
        return here
    inner = here.holding[0]
    alike = inner.name.lower() == here.path.name.lower() or spoken(inner.name) == split
    return level(inner) if alike else here


def _letters(folder: Path) -> str:
    return re.sub(r"[^a-z0-9]", "", folder.name.lower())


def _is_truth(name: str) -> bool:
    return any(word in name for word in _TRUTH)


def _holds_masks(folder: Path, names: Mapping[str, Path]) -> bool:
    """Whether a folder's name says that it holds masks of the images in one of those beside it."""
    name = _letters(folder)
    if folder.name.lower() in ALWAYS_MASKS - NO_CLASSES:
        return len(names) > 1 and not any("nomask" in other or "withoutmask" in other for other in names)
    if _is_truth(name):
        return not all(map(_is_truth, names))
    bare = common.unmarked(name, (*AFTER_IMAGES, "gt"))
    if bare in ("", name):
        return False
    return any(bare + word in names for word in IMAGES) or (bare in names and _alike(folder, names[bare]))


def _alike(masks: Path, images: Path) -> bool:
    """Whether most files of a folder may be masks of images in another."""
    return _most_masks(list(files.images(masks)), {path.stem for path in files.images(images)})


def _most_masks(several: Sequence[Path], stems: Container[str]) -> bool:
    return 2 * sum(_bare(path) in stems for path in several) > len(several)


def _bare(path: Path) -> str | None:
    """The stem of the image whose mask a file may be; None for a JPEG, which is none."""
    if path.suffix.lower() not in files.MASK_SUFFIXES:
        return None
    marked = inspected.MASK_STEM.fullmatch(path.stem)
    return marked[1] if marked else path.stem


def parted(folder: Path) -> tuple[list[Path], list[Path]]:
    """The images of a class, and the masks among them: NAME_mask.png beside the image NAME, NAME.png beside nearly
    every NAME.jpg, or those in a folder of masks of images beside it."""
    homes: dict[Path, list[Path]] = defaultdict(list)
    for path in files.images(folder):
        homes[path.parent].append(path)
    apart = {home: place for home in homes if (place := _mask_folder(home, folder))}
    stems = {path.stem for home, several in homes.items() if home not in apart for path in several}
    kept: list[Path] = []
    masks: list[Path] = []
    for home, several in homes.items():
        own = stems if len(homes) == 1 else {path.stem for path in several}
        if home in apart and _are_masks(several, apart[home], stems):
            masks += several
            continue
        paired = _paired(several)
        for path in several:
            bare = _bare(path)
            (masks if path in paired or (bare != path.stem and bare in own) else kept).append(path)
    return kept, masks


def _paired(several: Sequence[Path]) -> set[Path]:
    """The files beside photographs of their names, if nearly all of either have such a partner: masks."""
    photographs = {path.stem for path in several if path.suffix.lower() not in files.MASK_SUFFIXES}
    others = {path for path in several if path.suffix.lower() in files.MASK_SUFFIXES}
    pairs = {path for path in others if path.stem in photographs}
    enough = len(pairs) >= max(FEWEST, NEARLY_ALL * len(photographs), NEARLY_ALL * len(others))
    return pairs if enough and _is_grey(min(pairs)) else set()


def _is_grey(path: Path) -> bool:
    """Whether a file holds one channel, as masks do and pictures that are numbered alike mostly do not."""
    with contextlib.suppress(DataError), opened(path) as image:
        return image.mode in ("1", "L", "P", "I", "I;16")
    return False


def _mask_folder(home: Path, folder: Path) -> Path | None:
    """The folder named for masks that a folder of a class is, or lies in."""
    for place in (home, *home.parents):
        if place == folder:
            return None
        words = re.findall(r"[a-z]+", place.name.lower())
        last = words[-1:] if not {*words[:-1]} & FACE_MASKS else []
        if {*words[:1], *last} & {*MASKS} or re.sub(r"[^a-z]", "", place.name.lower()) in _TRUTH:
            return place
    return None


def _are_masks(several: Sequence[Path], place: Path, stems: Container[str]) -> bool:
    """Whether files in a folder named for masks are masks: images/ lies beside it, or most have an image's stem."""
    return common.child(place.parent, IMAGES) is not None or _most_masks(several, stems)


def labels_of(images: Sequence[Path], folder: Path) -> list[Path]:
    """The files in the folder of a class that have the name of an image beside them, and may be its labels."""
    texts = list(files.of_suffix(folder, LABELS))
    bare = {image.with_suffix("") for image in images} if texts else set()
    return [path for path in texts if path.with_suffix("") in bare]


def are_parts(folders: Sequence[Path]) -> bool:
    """Whether folders are numbered parts of one set of images, as batch_1, batch_2."""
    return all(_PARTS.fullmatch(folder.name.lower()) for folder in folders)
