"""Pascal VOC's folders for segmentation (Everingham et al., IJCV 2010), as VOC itself and many tools write them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from visrun.data import files, labelmap
from visrun.data.records import Listing, Problem, Record
from visrun.data.splits import ALL
from visrun.errors import DataError

IMAGES, MASKS, LISTS = "JPEGImages", "SegmentationClass", "ImageSets/Segmentation"
WHOLE = ("trainval", "default")  # lists of everything: VOC's, and CVAT's where the data has no split
# By id; the masks' 255 is the border between objects.
# fmt: off
VOC_CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)
# fmt: on


def recognise(root: Path, task: str) -> bool:  # noqa: ARG001 (every reader is asked alike)
    """Whether ``root``, a folder in it or one in its VOCdevkit/ holds JPEGImages/ and SegmentationClass/."""
    return bool(_homes(root))


def read(root: Path) -> Listing:
    """JPEGImages/NAME.jpg and SegmentationClass/NAME.png, split by ImageSets/Segmentation/train.txt, val.txt, test.txt.

    ``root`` is the folder that holds these, or holds VOCdevkit/VOC2012/. Masks are index or palette images (255 =
    "ignore"), or colour images with a ``labelmap.txt``. It, or ``classes.txt``, names the ids; without either they have
    VOC's 21 names if these suffice. ``trainval.txt`` counts where there is no train.txt; without lists every mask does.

    Raises:
        DataError: Where ``root`` has no such folders, or those of several years.
    """
    homes = _homes(root)
    if not homes:
        raise DataError(f"{root}: no {IMAGES}/ with {MASKS}/ beside it, neither here nor in VOCdevkit/VOC2012/")
    if len(homes) > 1:
        raise DataError(f"{root}: several sets, choose one: " + " or ".join(f"data.root={home}" for home in homes))
    home = homes[0]
    images = {_name(path, home / IMAGES): path for path in files.images(home / IMAGES)}
    masks = {_name(path, home / MASKS): path for path in files.images(home / MASKS, files.MASK_SUFFIXES)}
    splits: dict[str, list[Record]] = {}
    problems: list[Problem] = []
    listed: set[str] = set()
    for split, where, name in _entries(home, masks):
        listed.add(name)
        rows = splits.setdefault(split, [])
        missing = [f"{folder}/{name}" for folder, found in ((IMAGES, images), (MASKS, masks)) if name not in found]
        if missing:
            problems.append(Problem(where, f"no {' and no '.join(missing)}"))
        else:
            rows.append(Record(images[name], masks[name], where))
    unused = len(masks.keys() - listed)
    return Listing(
        splits=splits,
        classes=labelmap.class_names(home) or labelmap.class_names(root),
        usual_classes=VOC_CLASSES,
        problems=tuple(problems),
        warnings=(f"{unused} masks that no list of {LISTS} names are left out",) if unused else (),
    )


def _homes(root: Path) -> list[Path]:
    """The folders that hold images and masks: ``root`` itself, or else those a level below it or its VOCdevkit."""
    places = [root] if _is_home(root) else [*files.folders(root), *files.folders(root / "VOCdevkit")]
    return [place for place in places if _is_home(place)]


def _is_home(folder: Path) -> bool:
    masks = files.images(folder / MASKS, files.MASK_SUFFIXES)
    return (folder / IMAGES).is_dir() and next(masks, None) is not None


def _entries(home: Path, masks: dict[str, Path]) -> Iterator[tuple[str, str, str]]:
    """(split, where, name) of every line of the lists; of every mask where there is no list."""
    lists = {file.stem: file for file in sorted((home / LISTS).glob("*.txt"))}
    whole = next((lists[name] for name in WHOLE if name in lists), None)
    found: dict[str, Path] = {split: lists[split] for split in ("train", "val", "test") if split in lists}
    if whole is not None and "train" not in found:
        found["train" if found else ALL] = whole
    for split, file in found.items():
        for number, line in enumerate(file.read_text(encoding="utf-8-sig").splitlines(), start=1):
            if line.strip():
                yield split, f"{files.shown(file, home)}:{number}", line.strip()
    if not found:
        yield from ((ALL, files.shown(path, home), name) for name, path in masks.items())


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()
