"""CVAT's own xml ("CVAT for images 1.1"): one file for all images of a task or a project."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from visrun.data import files, xmltree
from visrun.data.listing import Listing, Problem, Record
from visrun.data.readers import common, cvat_shapes
from visrun.data.readers.finder import bare_splits, placed
from visrun.data.readers.shapes import Shapes, form_of, left_out, marks_of
from visrun.data.splits import ALL
from visrun.data.xmltree import Tag
from visrun.errors import DataError
from visrun.text import are, plural

FOLDERS = ("annotations",)
LARGEST = 1_000_000_000  # bytes
UNSHOWN = (*cvat_shapes.NO_OBJECTS, "skeleton")  # kinds of labels that no object here can have
MOST = 20  # xml files of a folder; more are one an image, and another tool's
_FIRST = re.compile(rb"<(image|track)\s")


class Source(NamedTuple):
    """An opened file: the split that its name or folder tells, or ``all``."""

    split: str
    file: Path
    content: Tag


class Row(NamedTuple):
    """An image, the file and the line that it stands in."""

    file: Path
    line: int
    shapes: Shapes


def recognise(root: Path) -> bool:
    """Whether ``root`` is CVAT's xml of images or holds some, at the top, in annotations/ or in the splits' folders."""
    return bool(_files(root)[0])


def read(root: Path) -> Listing:
    """CVAT for images 1.1: annotations.xml, here, in annotations/ or in the folder of each split.

    Boxes that are not turned are boxes, others turned boxes; polygons, ellipses and masks are outlines, those of the
    same label and group parts of one object; polylines, points and tags are no objects. The subsets train, validation
    and test are splits. Classes keep the order of the labels.

    Raises:
        DataError: For xml that is broken, several files for one split, or none; for training or validation images that
            no file lists (test images are left out).
    """
    found, others = _files(root)
    if not found:
        raise DataError(f"{root}: no xml of CVAT's images: expected annotations.xml or train/annotations.xml")
    base = files.home(root)
    sources = [
        Source(split, file, xmltree.read(file, largest=LARGEST))
        for split, file in common.one_each(root, found, "CVAT files")
    ]
    rows, warnings = _rows(sources, base)
    every = [row.shapes for several in rows.values() for row in several]
    tags = sum(shapes.others["tag"] for shapes in every)
    if tags and not any(shapes.objects or shapes.problems for shapes in every):
        raise DataError(
            f"{root}: {tags:,} tags, which label whole images, and no object: export it as ImageNet 1.0 anew"
        )
    names = tuple(dict.fromkeys(name for source in sources for name in _labels(source.content)))
    names = names or common.sorted_names({shape.name for shapes in every for shape in shapes.objects})
    form, index = form_of(every), {name: i for i, name in enumerate(names)}
    wanted = [(split, several[0].file, [row.shapes.image for row in several]) for split, several in rows.items()]
    splits: dict[str, list[Record]] = {}
    problems: list[Problem] = []
    for (split, several), places in zip(rows.items(), placed(wanted, base), strict=True):
        splits[split] = []
        for row in several:
            where = f"{files.shown(row.file, base)}:{row.line}"
            doubt = places.doubts.get(row.shapes.image)
            wrong = [*row.shapes.problems, *_strange(row.shapes, names), *([Problem(where, doubt)] if doubt else [])]
            problems += wrong
            if not wrong:
                marks = marks_of(row.shapes, form, index)
                splits[split].append(Record(places.paths[row.shapes.image], marks, where))
    used = {record.image for records in splits.values() for record in records}
    warnings += bare_splits(root, splits, used, mend="export their annotations")
    warnings += left_out(every)
    warnings += common.left_over("xml file", others, base, lacking="a split in their name")
    return Listing(splits=splits, classes=names, problems=tuple(problems), warnings=tuple(warnings))


def _files(root: Path) -> tuple[list[tuple[str, Path]], list[Path]]:
    return common.label_files(root, FOLDERS, _xmls, lambda file: kind(file) == "image")


def _xmls(folder: Path) -> list[Path]:
    several = list(files.of_suffix(folder, files.XML, deep=False))
    return several if len(several) <= MOST else []


def kind(file: Path) -> str:
    """``image`` or ``track``, of which CVAT's xml is made; "" of another file."""
    if file.suffix.lower() not in files.XML:
        return ""
    with contextlib.suppress(OSError), file.open("rb") as opened:
        if xmltree.outermost(opened.read(files.HEAD)) == "annotations":
            opened.seek(0)
            found = next(filter(None, map(_FIRST.search, opened)), None)
            return found[1].decode() if found else ""
    return ""


def _rows(sources: Sequence[Source], base: Path) -> tuple[dict[str, list[Row]], list[str]]:
    """The images of each split, and lines on subsets that are left out since others are splits."""
    rows: dict[str, list[Row]] = {}
    rest: Counter[str] = Counter()
    for source in sources:
        whole = next(filter(None, (owner.get("subset") for owner in _owners(source.content))), "")
        images = [(image.attributes.get("subset") or whole, image) for image in source.content.all("image")]
        named = {split for subset, _ in images if (split := files.split_of(subset))} if source.split == ALL else ()
        for subset, image in images:
            split = files.split_of(subset) if named else source.split
            if split is None:
                rest[subset] += 1
                continue
            shapes = cvat_shapes.parse(image, files.shown(source.file, base))
            rows.setdefault(split, []).append(Row(source.file, image.line, shapes))
    told = [
        f"{plural(n, 'image')} of {f'the subset {subset!r}, which is no split,' if subset else 'no subset'} {are(n)} "
        "left out"
        for subset, n in rest.items()
    ]
    return rows, told


def _owners(content: Tag) -> list[Tag]:
    """The task, project or job that the file says it is of."""
    return [owner for meta in content.all("meta") for owner in meta.inside]


def _labels(content: Tag) -> Iterator[str]:
    """The names of the labels that objects may have; those inside a skeleton are none."""
    for owner in _owners(content):
        for label in (label for labels in owner.all("labels") for label in labels.all("label")):
            if label.get("name") and not label.get("parent") and label.get("type") not in UNSHOWN:
                yield label.get("name")


def _strange(shapes: Shapes, names: Sequence[str]) -> list[Problem]:
    return [
        Problem(f"{shapes.file}{shape.spot}", common.no_class(shape.name, names))
        for shape in shapes.objects
        if shape.name not in names
    ][:1]
