"""COCO's panoptic json with its PNGs (Kirillov et al., arXiv 1801.00868; https://cocodataset.org/#format-data, 4)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from visrun.data import files, images
from visrun.data.folder_names import LABELS_OF_SETS
from visrun.data.listing import Listing, Problem, Record
from visrun.data.marks import Marks
from visrun.data.outlines import boxes_of
from visrun.data.readers import common, json_keys
from visrun.data.readers.coco_objects import is_id
from visrun.data.readers.finder import Places, bare_splits, placed
from visrun.data.readers.instances import split_ids
from visrun.data.threads import mapped
from visrun.errors import DataError

LISTS = ("images", "annotations", "categories")


class Source(NamedTuple):
    """An opened json."""

    split: str
    file: Path
    content: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a PNG is to be read for: the image that it is of, and the segments that the json names."""

    split: str
    where: str
    image: Path
    size: common.Size | None
    png: Path
    segments: Sequence[Mapping[str, Any]]
    labels: Mapping[Any, int | None]


def recognise(root: Path) -> bool:
    """Whether ``root`` is a panoptic json or holds some, at the top, in annotations/ or in the folders of splits."""
    return bool(_files(root)[0])


def read(root: Path, *, masks: bool = False) -> Listing:
    """COCO's panoptic json, as annotations/panoptic_val2017.json, with its PNGs in a folder of its name or beside it.

    A PNG's segments have the ids red + 256 green + 65536 blue; 0 is none. Crowds are ignored.

    Args:
        root: The json, or its folder.
        masks: Whether all segments are wanted, rather than things alone (isthing).

    Raises:
        DataError: For a json that is broken or not panoptic, several for one split, or none; for training or validation
            images that no json lists (test images are left out).
    """
    found, others = _files(root)
    if not found:
        raise DataError(
            f"{root}: no panoptic json: expected annotations/panoptic_train2017.json, panoptic_val2017.json"
        )
    base = _home(root)
    sources = [Source(split, file, _opened(file)) for split, file in common.one_each(root, found, "panoptic files")]
    classes = tuple(dict.fromkeys(name for source in sources for name in _names(source, things=not masks).values()))
    wanted = [(s.split, s.file, [str(i["file_name"]) for i in s.content["images"]]) for s in sources]
    jobs: list[Job] = []
    problems: list[Problem] = []
    for source, places in zip(sources, placed(wanted, base), strict=True):
        index = {id_: classes.index(name) for id_, name in _names(source, things=not masks).items()}
        labels = {entry["id"]: index.get(entry["id"]) for entry in source.content["categories"]}
        made, wrong = _jobs(source, places, labels, base)
        jobs += made
        problems += wrong
    splits: dict[str, list[Record]] = {source.split: [] for source in sources}
    marks = mapped(partial(_marks, base=base), jobs, path=lambda job: job.png)
    for job, one in zip(jobs, marks, strict=True):
        if isinstance(one, Problem):
            problems.append(one)
        else:
            splits[job.split].append(Record(job.image, one, job.where))
    warnings = [f"{files.shown(file, base)} has no split in its name and is left out" for file in others]
    warnings += bare_splits(root, splits, {job.image for job in jobs}, mend="add panoptic_{split}.json")
    return Listing(splits=splits, classes=classes, problems=tuple(problems), warnings=tuple(warnings))


def _home(root: Path) -> Path:
    """The dataset's folder, as `visrun.data.files.home`; PNGs beside a json do not make its folder that of images."""
    labels = root.is_file() and root.parent.name.lower() in LABELS_OF_SETS
    return root.parent.parent if labels else files.home(root)


def _files(root: Path) -> tuple[list[tuple[str, Path]], list[Path]]:
    return common.label_files(root, LABELS_OF_SETS, _jsons, _is_panoptic)


def _jsons(folder: Path) -> Iterator[Path]:
    yield from sorted(files.of_suffix(folder, files.JSON, deep=False))


def _is_panoptic(file: Path) -> bool:
    if file.suffix.lower() not in files.JSON or not files.is_file(file):
        return False
    return json_keys.top(file, *LISTS).lists(*LISTS) and json_keys.is_panoptic(file)


def _opened(file: Path) -> dict[str, Any]:
    content = json_keys.parsed(file, files.text(file))
    for key in LISTS:
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise DataError(f"{file}: no panoptic json: it has no list of {key}: add it, or name another file")
        if not all(isinstance(item, dict) for item in content[key]):
            raise DataError(f"{file}: {key} is no list of objects: export the file anew")
    for key, needed in (("images", ("id", "file_name")), ("categories", ("id", "name"))):
        if not all(is_id(item.get("id")) and isinstance(item.get(needed[1]), str) for item in content[key]):
            raise DataError(f"{file}: one of {key} has no {' or no '.join(needed)}: give it both")
    return dict(content)


def _names(source: Source, *, things: bool) -> dict[Any, str]:
    """The names of a json's categories by id, in the order of these; ``things``: of those alone."""
    entries = sorted(source.content["categories"], key=lambda entry: files.natural(str(entry["id"])))
    return {entry["id"]: entry["name"] for entry in entries if not things or entry.get("isthing", 1)}


def _jobs(
    source: Source, places: Places, labels: Mapping[Any, int | None], base: Path
) -> tuple[list[Job], list[Problem]]:
    """The PNGs of a json's images, and images that have none."""
    shown = files.shown(source.file, base)
    entries: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for entry in source.content["annotations"]:
        entries[entry.get("image_id")].append(entry)
    jobs, problems = [], []
    for image in source.content["images"]:
        name, where, own = image["file_name"], f"{shown}: image {image['id']}", entries.get(image["id"], [])
        png = own[0].get("file_name") if len(own) == 1 else None
        segments = own[0].get("segments_info") if len(own) == 1 else None
        what = places.doubts.get(name)
        if not isinstance(png, str) or not isinstance(segments, list):
            what = what or f"{len(own)} annotations with file_name and segments_info: expected one"
        if what:
            problems.append(Problem(where, what))
            continue
        job = Job(
            split=source.split,
            where=where,
            image=places.paths[name],
            size=common.size_in(image.get("width"), image.get("height")),
            png=_png(source.file, str(png), base),
            segments=segments or [],
            labels=labels,
        )
        jobs.append(job)
    return jobs, problems


def _png(file: Path, name: str, base: Path) -> Path:
    """Where a PNG lies, or should lie: in a folder of the json's name, beside that or in ``base``, or beside it."""
    tried = [top / file.stem / name for top in (file.parent, base)] + [file.parent / name, base / name]
    return next(filter(files.is_file, tried), tried[0])


def _marks(job: Job, base: Path) -> Marks | Problem:
    shown = files.shown(job.png, base)
    try:
        ids = images.load_ids(job.png)
    except DataError as error:
        return Problem(job.where, str(error).replace(str(job.png), shown))
    numbers, outlines = split_ids(ids)
    of_id = dict(zip(numbers.tolist(), outlines, strict=True))
    chosen = []
    for segment in job.segments:
        id_, category = segment.get("id"), segment.get("category_id")
        if id_ not in of_id or not is_id(category) or category not in job.labels:
            what = "is in no pixel of its PNG" if id_ not in of_id else f"category_id {category!r} is no category's"
            return Problem(job.where, f"segment {id_}: {what}")
        if job.labels[category] is not None:
            chosen.append(segment)
    if strange := of_id.keys() - {segment["id"] for segment in job.segments}:
        return Problem(job.where, f"{shown}: id {min(strange)} is no segment's in the json")
    own = [of_id[segment["id"]] for segment in chosen]
    return Marks(
        labels=np.array([job.labels[segment["category_id"]] for segment in chosen], np.int64),
        boxes=boxes_of(own),
        ignored=np.array([bool(segment.get("iscrowd")) for segment in chosen], bool),
        spots=np.array([segment["id"] for segment in chosen], np.int64),
        file=f"{shown}: segment",
        outlines=tuple(own),
        size=job.size,
    )
