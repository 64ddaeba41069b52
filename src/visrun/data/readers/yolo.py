"""YOLO's text labels: a line an object, coordinates as shares of the image's width and height."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from visrun.data import files
from visrun.data.folder_names import YOLO_LABELS
from visrun.data.listing import Listing, Problem, Record
from visrun.data.marks import Marks
from visrun.data.readers import (
    box_tables,
    common,
    createml,
    cvat,
    dota,
    labelme,
    shared_labels,
    voc_objects,
    yolo_beside,
    yolo_darknet,
    yolo_lines,
    yolo_yaml,
)
from visrun.data.readers.yolo_files import Labels, in_labels
from visrun.data.readers.yolo_lines import Lines
from visrun.data.splits import ALL
from visrun.data.threads import mapped
from visrun.errors import DataError

NAMES = {"classes.txt", "obj.names"}  # text files that are no labels


def recognise(root: Path) -> bool:
    """Whether ``root`` is or holds YOLO's data.yaml or obj.data, or holds images/ with text files in labels/, or images
    with label files beside them and no labels of another layout, which tell the names of their classes.

    A data.yaml of DOTA's images, as Roboflow writes it, is none.
    """
    named = (yolo_yaml.find(root) and not _of_dota(root)) or yolo_darknet.find(root)
    paired = named or any(_holds_text(labels) for _, _, labels in common.pairs(root, YOLO_LABELS))
    if paired or yolo_beside.find(root) is None:
        return bool(paired)
    others = (labelme.recognise, cvat.recognise, createml.recognise, box_tables.recognise)
    return not (voc_objects.recognise(root) or any(recognised(root) for recognised in others))


def read(root: Path, *, only_outlines: bool) -> Listing:
    """YOLO text labels: a data.yaml with train, val and test; obj.data; images/ and labels/; or texts beside images.

    The folders may be split or not. A line is ``class cx cy w h`` (a box), ``class x1 y1 ... x4 y4`` (four corners of a
    turned box) or ``class x1 y1 x2 y2 x3 y3 ...`` (an outline). Where every such line of a dataset has four corners,
    they are turned boxes, except for tasks that need outlines. An image without a label file, or with an empty one,
    shows nothing; a label file is refused where two images of its name show different pictures.
    Keypoints behind a box (a data.yaml with ``kpt_shape``) are left out.

    Args:
        root: The folder, the data.yaml or the obj.data.
        only_outlines: Whether the task learns outlines.

    Raises:
        DataError: For a broken data.yaml, a split that is not there, or one without any label file (test images
            without labels are left out).
    """
    base = root.parent if root.is_file() else root
    plan = yolo_yaml.plan(root) or yolo_darknet.plan(root)
    unread = [] if plan else yolo_yaml.passed_over(root)
    plan = plan or _folders(root) or yolo_beside.plan(root)
    if plan is None:
        raise DataError(
            f"{root}: no data.yaml or obj.data, no images/ with labels/ beside it, and no label files beside images, "
            "neither here nor in train/, val/"
        )
    labels = Labels(plan.labels)
    label_of = _label_files(plan, labels)
    parsed, bare = _parsed(plan, label_of, root, base)
    warnings = [*plan.warnings, *unread, *bare, *common.left_over("label file", labels.strangers(), base)]
    every = [lines for rows in parsed.values() for _, lines in rows]
    if keypoints := yolo_lines.keypoints_in(every):
        parsed = {split: [(i, yolo_lines.without_keypoints(ls)) for i, ls in rows] for split, rows in parsed.items()}
        every = [lines for rows in parsed.values() for _, lines in rows]
        warnings.append(f"behind each box stand {keypoints} numbers of keypoints, which are left out")
    form = yolo_lines.form(every)
    if form == "quads" and only_outlines:
        form = "outlines"
        warnings.append("lines of four corners are read as outlines")
    splits, problems = _records(parsed, base, form, shared_labels.told(label_of, base))
    return Listing(
        splits=splits,
        classes=plan.names or _numbered(every),
        problems=tuple(problems),
        warnings=tuple(warnings),
    )


def _label_files(plan: yolo_yaml.Plan, labels: Labels) -> dict[Path, Path | None]:
    """The label file of each image, None where it has none."""
    own = {image: labels.of(image) for images in plan.images.values() for image in images}
    bare = [image for image, label in own.items() if label is None]
    others = labels.respelt(bare)
    others |= labels.further_up([image for image in bare if image not in others])
    return {image: label or others.get(image) for image, label in own.items()}


def _parsed(
    plan: yolo_yaml.Plan, label_of: Mapping[Path, Path | None], root: Path, base: Path
) -> tuple[dict[str, list[tuple[Path, Lines]]], list[str]]:
    """What the label files of each split hold, and a line where test has none and is left out.

    Raises:
        DataError: Another split has none.
    """
    parse = partial(yolo_lines.parse, base=base, keypoints=plan.keypoints)
    parsed, warnings = {}, []
    for split, images in plan.images.items():
        found = [label_of[image] for image in images]
        if images and not any(found):
            what = f"none of the {len(images)} images of {split} has a label file, such as {_wanted(images[0])}"
            if split != "test":
                raise DataError(f"{root}: {what}")
            warnings.append(f"{what}: the split is left out")
            continue
        parsed[split] = list(zip(images, mapped(parse, found, path=lambda label: label or base), strict=True))
    return parsed, warnings


def _of_dota(root: Path) -> bool:
    """Whether labelTxt/ lies there, and none of the data.yaml's images has a label file of YOLO's."""
    if not dota.recognise(root):
        return False
    with contextlib.suppress(DataError):
        plan = yolo_yaml.plan(root)
        images = [image for several in plan.images.values() for image in several] if plan else []
        return not any(map(Labels({}).of, images))
    return False


def _holds_text(folder: Path) -> bool:
    return any(path.name.lower() not in NAMES for path in files.of_suffix(folder, files.TEXT))


def _folders(root: Path) -> yolo_yaml.Plan | None:
    """What images/ and labels/ say without a data.yaml; classes.txt, here or in labels/, may name the classes."""
    pairs, warnings = common.labelled_pairs(root, YOLO_LABELS, holds=_holds_text)
    if not pairs:
        return None
    names = common.class_ids(root, *(labels for _, _, labels in pairs), *(labels.parent for _, _, labels in pairs))
    images: dict[str, list[Path]] = {}
    for split, folder, _ in pairs:
        images.setdefault(split, []).extend(files.images(folder))
    labels = {folder: labels for _, folder, labels in pairs}
    return yolo_yaml.Plan(names=names, images=images, labels=labels, warnings=warnings)


def _wanted(image: Path) -> Path:
    return in_labels(image) or image.with_suffix(".txt")


def _numbered(every: Sequence[Lines]) -> tuple[str, ...]:
    highest = max((label for lines in every for label in lines.labels), default=-1)
    return tuple(f"class_{i}" for i in range(highest + 1))


def _records(
    parsed: dict[str, list[tuple[Path, Lines]]], base: Path, form: str, shared: Mapping[Path, Problem]
) -> tuple[dict[str, list[Record]], list[Problem]]:
    splits: dict[str, list[Record]] = {}
    problems: list[Problem] = []
    for split, rows in parsed.items():
        splits[split] = []
        for image, lines in rows:
            wrong = [*lines.problems, *([shared[image]] if image in shared else [])]
            problems += wrong
            if not wrong:
                marks: Marks = yolo_lines.marks(lines, form)
                splits[split].append(Record(image, marks, files.shown(image, base)))
    return {ALL: splits[ALL]} if ALL in splits else splits, problems
