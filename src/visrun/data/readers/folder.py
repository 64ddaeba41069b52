"""Class folders: an image's class is the name of the folder that it lies in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from visrun.data import files
from visrun.data.listing import Listing, Record
from visrun.data.passed_over import unread_told
from visrun.data.readers import class_folders, file_names, inspected, kitti, label_lists, mot, table
from visrun.data.readers.class_folders import Level, Parts
from visrun.data.splits import ALL
from visrun.errors import DataError
from visrun.text import are, composed, plural, some

FEWEST = 5  # folders, most of them with a single image, that are those of images and no classes


def recognise(root: Path) -> bool:
    """Whether ``root`` holds class folders, with or without split folders above them.

    Folders named for several splits that hold no class folders are recognised, to be refused by their names, unless
    a file below may label their images. Sequences of frames and KITTI's cameras are no classes.
    """
    top, parts = class_folders.layout(root)
    if mot.holds_sequences(top) or kitti.recognise(top):
        return False
    if ALL not in parts:
        return True
    here = parts[ALL][0]
    names = {folder.name.lower() for folder in here.classes}
    if not names or any(map(class_folders.is_no_class, here.classes)) or all(map(class_folders.is_split, names)):
        return False
    if len(names) == 1 and (here.masks or table.inside(top) or label_lists.inside(top)):  # images with their labels
        return False
    if class_folders.labels_in(top) and class_folders.are_parts(here.classes):
        return False
    return not _like_splits(here.classes) or not class_folders.labels_in(top, deep=True)


def read(root: Path) -> Listing:
    """Class folders train/CLASS/*.jpg with val/ and test/ beside train/, or CLASS/*.jpg alone.

    ``valid``, ``validation``, ``training`` and ``testing`` are understood, too, also within a name, as in seg_train
    beside seg_test; so is a single folder above them, as many a zip has. Classes stand in natural order over all splits
    (class_2 before class_10); images may lie deeper inside a class's folder. Masks beside them are left out.

    Raises:
        DataError: Where ``root`` has no folder with images, or folders that are no classes: those of splits, or one for
            each image.
    """
    top, parts = class_folders.layout(root)
    bare = [split for split, levels in parts.items() if split != ALL and _is_bare(levels)]
    lines = [_without_classes(split, parts[split][0].path, root) for split in bare]
    used = {split: levels for split, levels in parts.items() if split not in bare}
    found = [(split, folder) for split, levels in used.items() for one in levels for folder in one.classes]
    if not found or (ALL in parts and all(class_folders.is_split(folder.name) for _, folder in found)):
        raise DataError(f"{root}: no class folders with images: expected train/CLASS/*.jpg or CLASS/*.jpg")
    if ALL in parts:
        lines += _require_no_splits(root, parts[ALL][0].classes)
    classes = tuple(sorted({composed(folder.name) for _, folder in found}, key=files.natural))
    index = {name: i for i, name in enumerate(classes)}
    splits: dict[str, list[Record]] = {split: [] for split in used}
    masks: list[Path] = []
    beside: list[Path] = []
    for split, folder in found:
        label = index[composed(folder.name)]
        images, own = class_folders.parted(folder)
        splits[split] += [Record(path, label, files.shown(path, root)) for path in images]
        masks += own
        beside += class_folders.labels_of(images, folder)
    if {ALL, "train"} & splits.keys():
        _require_several(root, [record for records in splits.values() for record in records], classes)
    lines += [*_passed(root, top, parts), *_strays(top, parts), *_masks(used, masks, root), *_beside(beside, root)]
    return Listing(splits=splits, classes=classes, warnings=(*lines, *_doubtful(used, classes)))


def _is_bare(levels: Sequence[Level]) -> bool:
    """Whether a split has images, but no class folders."""
    return not any(one.classes for one in levels) and any(files.holds_images(one.path) for one in levels)


def _without_classes(split: str, folder: Path, root: Path) -> str:
    """A line on a split without class folders.

    Raises:
        DataError: It is train.
    """
    place = files.shown(folder, root)
    if split == "train":
        raise DataError(f"{folder}: images lie right in it, in no class folder: expected {place}/CLASS/*.jpg")
    return f"{place}/: {'test images' if split == 'test' else 'images'} without labels (class folders) are left out"


def _like_splits(folders: Sequence[Path]) -> list[str]:
    """The names of folders that speak of different splits."""
    said = {folder.name: split for folder in folders if (split := class_folders.spoken(folder.name))}
    return list(said) if len({*said.values()}) > 1 else []


def _require_no_splits(root: Path, folders: Sequence[Path]) -> list[str]:
    """Refuse folders that are no classes, since they are splits, or have splits of their own; a line on one of many."""
    if names := _like_splits(folders):
        raise DataError(
            f"{root}: {some(names)} look like splits, not like classes: expected class folders inside, "
            f"train/CLASS/*.jpg, or a table train.csv of image,label{_hint(root)}"
        )
    divided = {folder: names for folder in folders if len({*map(files.split_of, names := _named(folder))}) > 1}
    if not divided:
        return []
    folder, names = next(iter(divided.items()))
    own = f"{folder.name}/ has splits of its own, {some(names)}"
    if len(divided) > 1 or len(divided) == len(folders):
        raise DataError(
            f"{root}: {own}: classes lie inside splits, train/{folder.name}/*.jpg; "
            f"or choose one dataset, such as {files.naming(folder)}"
        )
    return [f"{own}, and counts as one class"]


def _hint(root: Path) -> str:
    return "; if the names of images say the class, as cat.0.jpg: data=names" if file_names.may_say(root) else ""


def _named(folder: Path) -> list[str]:
    """The names of the folders inside that are those of splits."""
    return [inner.name for inner in class_folders.level(folder).holding if files.split_of(inner.name)]


def _require_several(root: Path, records: Sequence[Record], classes: Sequence[str]) -> None:
    """Refuse folders each of which is that of one image."""
    counts = Counter(record.target for record in records)
    single = [name for i, name in enumerate(classes) if counts[i] == 1]
    if len(classes) >= FEWEST and 2 * len(single) > len(classes):
        raise DataError(
            f"{root}: {len(single)} of {len(classes)} folders hold a single image, such as {single[0]}/: "
            "a class needs several"
        )


def _passed(root: Path, top: Path, parts: Parts) -> list[str]:
    """A line on what the names of folders were taken for."""
    if ALL in parts:
        return [f"the folders in {files.shown(top, root)}/ are the classes"] if top != root else []
    unlike = [
        f"{files.shown(one.path, root)} ({split})"
        for split, levels in parts.items()
        for one in levels
        if files.split_of(one.path.name) is None
    ]
    return [f"folders taken for splits: {some(unlike)}"] if unlike else []


def _masks(parts: Parts, inside: Sequence[Path], root: Path) -> list[str]:
    """Lines on masks in classes, and on folders of them beside classes."""
    apart = [files.shown(folder, root) for levels in parts.values() for one in levels for folder in one.masks]
    lines = [f"folders of masks are no classes: {some(apart)}"] if apart else []
    return [*lines, *inspected.left_out(inside, root)]


def _beside(labels: Sequence[Path], root: Path) -> list[str]:
    """A line on files that may say more of the images than their folders do."""
    if not labels:
        return []
    count, first = plural(len(labels), "file"), files.shown(labels[0], root)
    told = f"{count} named as an image beside {are(len(labels))} not read, such as {first}"
    return [f"{told}: if they label objects, put images and labels into one folder, or into train/ and val/"]


def _doubtful(parts: Parts, classes: tuple[str, ...]) -> list[str]:
    """Lines on folders that are no class, and on files that are not read."""
    lines = []
    every = [one for levels in parts.values() for one in levels]
    inside = [folder for one in every for folder in files.folders(one.path) if folder not in one.masks]
    empty = dict.fromkeys(name for folder in inside if (name := composed(folder.name)) not in classes)
    if empty:
        lines.append(f"folders without images that can be read are no classes: {some(empty)}")
    return lines + unread_told(*(one.path for one in every))


def _strays(top: Path, parts: Parts) -> list[str]:
    """What lies where no class is: images beside class folders, folders beside the splits."""
    lines = []
    every = [one for levels in parts.values() for one in levels]
    loose = [files.shown(one.path, top) for one in every if one.classes and files.holds_images(one.path, deep=False)]
    if loose:
        lines.append(f"images outside class folders are left out, in: {some(loose)}")
    used = {place for one in every for place in (one.path, one.path.parent)}
    others = [] if ALL in parts else [f.name for f in class_folders.level(top).classes if f not in used]
    if others:
        lines.append(f"folders that are no split are left out: {some(others)}")
    return lines
