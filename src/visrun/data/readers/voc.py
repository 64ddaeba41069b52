"""Pascal VOC's folders (Everingham et al., IJCV 2010), masks and boxes, as VOC itself and many tools write them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from visrun import tables
from visrun.data import files, labelmap
from visrun.data.listing import Listing, Problem, Record
from visrun.data.readers import common, voc_instances, voc_objects
from visrun.data.readers.voc_lists import listed
from visrun.data.splits import ALL
from visrun.errors import DataError
from visrun.text import are, plural

IMAGES, MASKS, LISTS = "JPEGImages", voc_instances.CLASSES, "ImageSets/Segmentation"
# By id; the masks' 255 is the border between objects.
# fmt: off
VOC_CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)
# fmt: on


def recognise(root: Path, task: str) -> bool:
    """Whether ``root``, a folder in it or one in its VOCdevkit/ holds JPEGImages/ and SegmentationClass/; for tasks
    of objects, SegmentationObject/ as well, or whether they or the splits' folders hold Annotations/*.xml."""
    if tables.TASKS[task].target == "mask":
        return bool(_homes(root))
    return _pictured(root) or voc_objects.recognise(root)


def read(root: Path, *, masks: bool = True, boxes_serve: bool = True) -> Listing:
    """JPEGImages/NAME.jpg with SegmentationClass/NAME.png or Annotations/NAME.xml, and lists in ImageSets/.

    ``root`` is the folder that holds these, or holds VOCdevkit/VOC2012/. Masks are index or palette images (255 =
    "ignore"), or colour images with a ``labelmap.txt``. It, or ``classes.txt``, names the ids; without either they have
    VOC's 21 names if these suffice. Difficult objects are ignored. ``ImageSets/Segmentation/`` or ``ImageSets/Main/``
    holds train.txt, val.txt, test.txt; ``trainval.txt`` counts where there is no train.txt; without lists every mask or
    xml file does.

    Args:
        root: The folder.
        masks: Whether the masks are wanted, rather than objects.
        boxes_serve: Whether boxes will do; else, and where there are no xml files, the objects in SegmentationObject/.

    Raises:
        DataError: Where ``root`` has no such folders, or those of several years.
    """
    if masks:
        return _masks(root)
    pictured = _pictured(root)
    boxed = voc_objects.recognise(root) if pictured else bool(voc_objects.places(root))
    from_pictures = pictured and not boxed if boxes_serve else pictured or not boxed
    return voc_instances.read(_masks(root)) if from_pictures else voc_objects.read(root)


def _masks(root: Path) -> Listing:
    homes = _homes(root)
    if not homes:
        raise DataError(f"{root}: no {IMAGES}/ with {MASKS}/ beside it, neither here nor in VOCdevkit/VOC2012/")
    if len(homes) > 1:
        raise DataError(f"{root}: several sets, choose one: " + " or ".join(map(files.naming, homes)))
    home = homes[0]
    images = {common.place(path, home / IMAGES): path for path in files.images(home / IMAGES)}
    masks = {common.place(path, home / MASKS): path for path in files.of_suffix(home / MASKS, files.MASK_SUFFIXES)}
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
        classes=labelmap.class_names(home) or labelmap.class_names(root) or labelmap.colour_names(masks.values()),
        usual_classes=VOC_CLASSES,
        problems=tuple(problems),
        warnings=(f"{plural(unused, 'mask')} that no list of {LISTS} names {are(unused)} left out",) if unused else (),
    )


def _pictured(root: Path) -> bool:
    """Whether every folder of images and masks has one of objects as pictures."""
    homes = _homes(root)
    return bool(homes) and all((home / voc_instances.OBJECTS).is_dir() for home in homes)


def _homes(root: Path) -> list[Path]:
    """The folders that hold images and masks: ``root`` itself, or else those a level below it or its VOCdevkit."""
    places = [root] if _is_home(root) else [*files.folders(root), *files.folders(root / "VOCdevkit")]
    return [place for place in places if _is_home(place)]


def _is_home(folder: Path) -> bool:
    return (folder / IMAGES).is_dir() and files.holds(folder / MASKS, files.MASK_SUFFIXES)


def _entries(home: Path, masks: dict[str, Path]) -> Iterator[tuple[str, str, str]]:
    """(split, where, name) of every line of the lists; of every mask where there is no list."""
    found = list(listed(home, home / LISTS))
    yield from found or ((ALL, files.shown(path, home), name) for name, path in masks.items())
