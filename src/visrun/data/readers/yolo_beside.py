"""YOLO's label files beside their images: what LabelImg writes, Roboflow's "YOLO Darknet", FiftyOne's YOLOv4."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from visrun.data import files
from visrun.data.folder_names import IMAGES
from visrun.data.readers import common, yolo_lines
from visrun.data.readers.yolo_yaml import Plan
from visrun.data.splits import ALL

TOPS = ("data", *IMAGES)  # folders in which all may lie
NAMES = ("obj.names", "_darknet.labels")  # of the classes, where there is no classes.txt
LOOKED_AT = 100  # texts of a folder: those of images that show nothing are empty

Parts = list[tuple[str, Path]]  # split, folder


def find(root: Path) -> Parts | None:
    """The folders whose images have label files beside them, by split or not; None where there are none."""
    if not root.is_dir():
        return None
    inside = common.child(root, TOPS)
    for top in [root, *([inside] if inside else [])]:
        splits = [(split, folder) for split, folder in common.by_split(top) if files.holds_images(folder, deep=False)]
        for parts in (splits, [(ALL, top)]):
            if any(_labelled(folder) for _, folder in parts):
                return parts
    return None


def plan(root: Path) -> Plan | None:
    """The images of these folders; None where there are none. Images in folders below are left out, which is said."""
    parts = find(root)
    if parts is None:
        return None
    images: dict[str, list[Path]] = {}
    for split, folder in parts:
        images.setdefault(split, []).extend(files.images(folder, deep=False))
    used = {image for several in images.values() for image in several}
    rest = (image for image in files.images(root) if image not in used)
    warnings = common.left_over("image", rest, root, lacking="a label file in their folder")
    folders = (root, *(folder for _, folder in parts))
    return Plan(names=common.class_ids(*folders) or _names(*folders), images=images, warnings=warnings)


def _labelled(folder: Path) -> bool:
    """Whether one of the first texts beside images is a label file that shows something."""
    texts = list(files.of_suffix(folder, files.TEXT, deep=False))
    stems = {files.folded(image.stem) for image in files.images(folder, deep=False)} if texts else set()
    beside = (path for path in texts if files.folded(path.stem) in stems)
    return any(map(_shows, islice(beside, LOOKED_AT)))


def _shows(path: Path) -> bool:
    if not yolo_lines.is_label(path):
        return False
    lines = yolo_lines.parse(path, path.parent)  # DOTA's lines begin alike
    return bool(lines.labels) and not lines.problems


def _names(*folders: Path) -> tuple[str, ...]:
    found = [file for folder in folders for name in NAMES if (file := files.named(folder, name))]
    return common.agreed({file: files.names_in(file) for file in found})
