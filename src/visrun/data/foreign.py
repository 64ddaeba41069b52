"""Formats that are not read, told by a file's name and how it begins, and what to give in their place."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from visrun.data import files
from visrun.data.readers.run_columns import RENAME
from visrun.data.verdicts import is_good
from visrun.tables import READERS, TASKS, layouts_of
from visrun.text import in_a_line, some

LOOKED_AT = 5  # files of one suffix in a folder
MOST = 20  # folders in a folder
DEEPEST = 2  # folders below the dataset's
NUMBER = re.compile(r"-?\d+([.,]\d+)?")


class Format(NamedTuple):
    """A format that is not read.

    Args:
        name: What people call it.
        files: Patterns of its files' names in lower case.
        holds: A pattern of what stands in their first bytes; what it finds as ``column`` is named.
        instead: What to do.
        readers: Of what is had by that.
    """

    name: str
    files: str
    holds: bytes
    instead: str
    readers: tuple[str, ...] = ("coco",)


FORMATS = (
    Format(
        "Label Studio's own format",
        "*.json *.csv",
        rb'(?s)"annotations"\s*:\s*\[.*"result"\s*:|\bannotation_id\b',
        "export COCO or YOLO there, or CSV of choices",
    ),
    Format("VIA's own format", "*.json *.csv", rb"shape_attributes|_via_", "export COCO in VIA's menu Annotation"),
    Format(
        "Supervisely's own format",
        "*.json",
        rb'"(classTitle|geometryType|projectType)"|"size"\s*:\s*\{[^}]*\}\s*,\s*"objects"\s*:',
        "export COCO or YOLO there",
    ),
    Format("Datumaro's own format", "*.json", rb'(?s)"categories"\s*:\s*\{.*"items"\s*:\s*\[', "export COCO there"),
    Format(
        "BDD100K's own format", "*.json", rb'"(box2d|poly2d|timeofday)"', "convert it to COCO (bdd100k.label.to_coco)"
    ),
    Format("ISAT's own format", "*.json", rb'"description"\s*:\s*"ISAT"', "export COCO there"),
    Format("Darwin's own format", "*.json", rb'(?s)"item"\s*:\s*\{.*"annotations"\s*:', "export COCO in V7"),
    Format(
        "FiftyOne's classes of images",
        "labels.json",
        rb'(?s)^\s*\{\s*"classes"\s*:\s*\[.*"labels"\s*:\s*\{',
        "export an ImageClassificationDirectoryTree",
        ("folder",),
    ),
    Format(
        "a json of annotations without a list of images",
        "*.json",
        rb'(?s)^\s*\{(?!.*"images"\s*:\s*\[).*"annotations"\s*:\s*\[',
        "COCO has images, annotations and categories in one json",
    ),
    Format("CVAT for video", "*.xml", rb"(?s)<annotations>.*<track\s", "export CVAT for images 1.1 or COCO", ("cvat",)),
    Format(
        "JSON lines of Hugging Face", "metadata.jsonl", b"", "write metadata.csv, or COCO of objects", ("coco", "csv")
    ),
    Format("CrowdHuman's own format", "*.odgt", b"", "convert it to COCO"),
    Format("Labelbox's own format", "*.ndjson", b"", "convert it to COCO"),
    Format("SageMaker's own format", "*.manifest", b"source-ref", "convert it to COCO"),
    Format(
        "a TFRecord",
        "*.tfrecord *.tfrecords *.tfrecord-* *.tfrec *.record",
        b"",
        "export COCO or Pascal VOC; or images in class folders",
        ("coco", "folder"),
    ),
    Format("WIDER Face's own format", "wider_face_*_gt.txt", b"", "convert it to YOLO or COCO"),
    Format(
        "a list of boxes, as for YOLOv4 PyTorch",
        "*.txt",
        rb"(?mi)^\S[^\n]*\.(jpe?g|png|bmp|tiff?)(\s+-?[\d.]+(,-?[\d.]+){4})+\s*$",
        "export COCO or YOLO Darknet",
    ),
    Format(
        "KITTI's format in another place",
        "*.txt",
        rb"(?m)^[A-Za-z_-]+ -?[\d.]+ -?\d+( -?[\d.]+){12,13}\s*$",
        "call its folder label_2, and that of the images beside it image_2",
        ("kitti",),
    ),
    Format(
        "VisDrone's own format",
        "*.txt",
        rb"(?m)^\d+,\d+,\d+,\d+,[01],\d+,\d+,\d+,?\s*$",
        "convert it to YOLO, as Ultralytics' VisDrone.yaml does",
    ),
    Format(
        "Cellpose's own format",
        "*_seg.npy",
        b"",
        "save the masks there as PNG or TIFF and put them into instances/, the images into images/, named alike",
        ("instances",),
    ),
    Format(
        "a table of run lengths",
        "*.csv",
        rb"(?i)\A[^\n]*?(?P<column>[^\r\n,;\t\"]*((?<![a-z])rle(?![a-z])|encoded[ _-]?pixels?)[^\r\n,;\t\"]*)",
        RENAME,
        ("rle",),
    ),
    Format("MATLAB's format", "*.mat", b"", "write a table of image,label, or COCO of objects", ("coco", "csv")),
    Format("Parquet", "*.parquet", b"", "save images in class folders, or with a table", ("folder", "csv")),
    Format(
        "an archive",
        "*.zip *.tar *.tar.gz *.tgz *.tar.bz2 *.tar.xz *.7z *.rar",
        b"",
        "unpack it, and name the folder",
        tuple(READERS),
    ),
)


def told(root: Path, task: str) -> str:
    """A line on the first format of which a file lies in ``root`` or in the folders below, or on folders that tell
    values or kinds, if it can serve a task in another form; "" where none is known."""
    several = [(file, files.head(file)) for file in _files(root)]
    for known in FORMATS:
        if set(layouts_of(task)).isdisjoint(known.readers):
            continue
        for file, head in several:
            named = any(fnmatchcase(file.name.lower(), pattern) for pattern in known.files.split())
            if named and (held := re.search(known.holds, head)):
                column = held.groupdict().get("column", b"").decode("utf-8", "replace")
                what = f"{known.name} (column {in_a_line(column)})" if column else known.name
                return f"{files.shown(file, files.home(root))} is {what}, which is not read: {known.instead}"
    kinds = {"value": _numbered, "verdict": _unjudged}
    return kinds[kind](root) if (kind := TASKS[task].target) in kinds else ""


def _unjudged(root: Path) -> str:
    """A line on folders of images of which none is called good; or ""."""
    names = [folder.name for folder in files.folders(root) if files.holds_images(folder)]
    if not names or any(map(is_good, names)) or any(map(files.split_of, names)):
        return ""
    which = f"the folder {names[0]} is not" if len(names) == 1 else f"of the folders {some(names, 8)} none is"
    return f"{which} called good (or ok, normal): what is good is learnt from, so name its folder so"


def _numbered(root: Path) -> str:
    """A line on folders of images, right in ``root`` or in its splits, all of which are named by numbers; or ""."""
    splits = files.folders(root)
    for several in (splits, [folder for split in splits for folder in files.folders(split)]):
        numbers = list(dict.fromkeys(folder.name for folder in several))
        if len(numbers) > 1 and all(NUMBER.fullmatch(name) for name in numbers) and files.holds_images(several[0]):
            return f"the folders {some(numbers, 8)} are named by numbers: list the images in a table, image,value"
    return ""


def _files(root: Path, depth: int = 0) -> Iterator[Path]:
    """The first files of each suffix but images, those of folders above before those below."""
    if not root.is_dir():
        yield root
        return
    counts: Counter[str] = Counter()
    for path in sorted(root.iterdir()):
        suffix = path.suffix.lower()
        if suffix not in files.IMAGE_SUFFIXES and not path.name.startswith(".") and files.is_file(path):
            counts[suffix] += 1
            if counts[suffix] <= LOOKED_AT:
                yield path
    for folder in files.folders(root)[:MOST] if depth < DEEPEST else []:
        yield from _files(folder, depth + 1)
