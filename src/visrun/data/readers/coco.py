"""COCO's json (Lin et al., arXiv 1405.0312), in the places where COCO itself and many tools write it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from visrun.data import files
from visrun.data.folder_names import LABELS_OF_SETS
from visrun.data.listing import Listing, Problem, Record
from visrun.data.marks import Marks, with_boxes
from visrun.data.readers import json_keys
from visrun.data.readers.coco_objects import Column, crowds, is_id, parse, turned
from visrun.data.readers.common import label_folders, one_each, size_in, split_in, splits_in
from visrun.data.readers.finder import Places, bare_splits, placed
from visrun.data.splits import ALL
from visrun.errors import DataError
from visrun.text import some

BACKGROUND = "_background_"  # labelme's first category
BOXED = "instances_"  # where COCO's own files lie, only these hold boxes


class Source(NamedTuple):
    """An opened json."""

    split: str
    file: Path
    content: dict[str, Any]


def recognise(root: Path) -> bool:
    """Whether ``root`` is COCO's json or holds some, at the top, in annotations/ or in the folders of splits."""
    return bool(_files(root)[0])


def read(root: Path) -> Listing:
    """COCO json: train.json, val.json and test.json, annotations/instances_train2017.json, train/*.json, or one .json.

    Images are looked for beside the json, in the splits' folders, in images/, then anywhere below ``root``. Crowds are
    ignored, unless all objects are crowds in runs; categories keep their order; one that only heads others is none.

    Raises:
        DataError: For a json that is broken or no COCO, several for one split, or none; for training or validation
            images that no json lists (test images are left out).
    """
    found, others = _files(root)
    if not found:
        found, others = _files(root, named=True)
    if not found:
        raise DataError(f"{root}: no COCO json: expected train.json, annotations/instances_train.json or one .json")
    base = files.home(root)
    sources = [Source(split, file, _opened(file)) for split, file in one_each(root, found, "COCO files")]
    labelled = [source for source in sources if "annotations" in source.content]
    if not labelled:
        raise DataError(f"{sources[0].file}: no annotations in it: name the file that has them")
    warnings = [f"{s.file.name} has no annotations and is left out" for s in sources if s not in labelled]
    blank = [source for source in labelled if source.split in ("val", "test") and not source.content["images"]]
    labelled = [source for source in labelled if source not in blank]
    labelled, told = _once(labelled, base)
    warnings += told
    warnings += [f"{files.shown(s.file, base)} lists no images: there is no {s.split} split" for s in blank]
    warnings += [f"{files.shown(file, base)} {_why(file)} and is left out" for file in others]
    classes, dropped = _classes(labelled)
    written = [(f"{files.shown(s.file, base)}: annotation", s.content["annotations"]) for s in labelled]
    crowded, told = crowds(written)
    warnings += [*told, *turned(written)]
    splits: dict[str, list[Record]] = {}
    problems: list[Problem] = []
    wanted = [(s.split, s.file, [i["file_name"] for i in s.content["images"] if _is_named(i)]) for s in labelled]
    for source, places in zip(labelled, placed(wanted, base), strict=True):
        records, wrong = _records(source, classes, base, places, crowded=crowded)
        splits[source.split] = records
        problems += wrong
    used = {record.image for records in splits.values() for record in records}
    known = {source.split for source in sources if source not in blank}
    warnings += bare_splits(root, known, used, mend="add {split}.json")
    if dropped:
        warnings.append(f"categories without objects that head others or mean none are left out: {some(dropped)}")
    return Listing(splits=splits, classes=classes, problems=tuple(problems), warnings=tuple(warnings))


def _files(root: Path, *, named: bool = False) -> tuple[list[tuple[str, Path]], list[Path]]:
    """(split, json) of every COCO json; where some are named for splits, only those, and the others apart.

    ``trainval`` beside a val or test counts as train where there is no train. Where the layout is ``named``, a json
    that lists annotations alone is taken for one that is broken, rather than for another layout's.
    """
    if root.is_file():
        return ([(ALL, root)] if _is_coco(root, named=named) else []), []
    several = [
        (split, file) for split, folder in label_folders(root, LABELS_OF_SETS) for file in _jsons(folder, named=named)
    ]
    boxed = {split for split, file in several if _is_boxed(file)}
    several = [(split, file) for split, file in several if split not in boxed or _is_boxed(file)]
    found = [(split_in(file.stem) if split == ALL else split, file) for split, file in several]
    parts = [(split, file) for split, file in found if split != ALL]
    if parts and "train" not in dict(parts):
        parts += [("train", file) for split, file in found if split == ALL and _is_both(file.stem)]
    chosen = _plain(parts) or found
    used = {file for _, file in chosen}
    return chosen, [file for _, file in found if file not in used]


def _is_boxed(file: Path) -> bool:
    return file.name.lower().startswith(BOXED)


def _plain(parts: Sequence[tuple[str, Path]]) -> list[tuple[str, Path]]:
    """All but what lies beside the json that is named for its split alone, such as train_small.json."""
    plain = [(split, file) for split, file in parts if files.split_of(file.stem) == split]
    homes = {(split, file.parent) for split, file in plain}
    return [(split, file) for split, file in parts if (split, file) in plain or (split, file.parent) not in homes]


def _why(file: Path) -> str:
    """What keeps a json from being that of a split."""
    return "has no split in its name" if split_in(file.stem) == ALL else "lies beside the json of its split"


def _jsons(folder: Path, *, named: bool) -> Iterator[Path]:
    several = sorted(files.of_suffix(folder, files.JSON, deep=False))
    yield from (file for file in several if _is_coco(file, named=named))


def _is_coco(file: Path, *, named: bool) -> bool:
    """Whether a json lists images, or is so long that its list may stand further behind; a panoptic one is none."""
    if file.suffix.lower() not in files.JSON or not files.is_file(file):
        return False
    top = json_keys.top(file, "images", "annotations", "categories")
    if top.several:
        return False
    others = named and top.lists("annotations") if top.whole else top.lists("annotations", "categories")
    return (top.lists("images") or others) and not json_keys.is_panoptic(file)


def _is_both(stem: str) -> bool:
    return splits_in(stem.lower().replace("trainval", "train-val")) == {"train", "val"}


def _opened(file: Path) -> dict[str, Any]:
    content = json_keys.parsed(file, files.text(file))
    keys = [key for key in ("images", "annotations", "categories") if isinstance(content, dict) and key in content]
    if "images" not in keys:
        raise DataError(f"{file}: no COCO json: it has no list of images: add it, or name another file")
    for key in keys:
        if not isinstance(content[key], list) or not all(isinstance(item, dict) for item in content[key]):
            raise DataError(f"{file}: {key} is no list of objects: export the file anew")
    return {**content, "images": [*map(_named, content["images"])]}


def _named(image: dict[str, Any]) -> dict[str, Any]:
    """An image with its file_name, which LVIS tells by the address on COCO's pages alone: its folder and name."""
    address = image.get("coco_url")
    if "file_name" in image or not isinstance(address, str):
        return image
    return {**image, "file_name": "/".join(address.split("/")[-2:])}


def _classes(sources: Sequence[Source]) -> tuple[tuple[str, ...], list[str]]:
    """Names in the order of the first file's ids, those that only later files have after them; and what is left out:
    headings, and labelme's name for the background, where they mark nothing."""
    names: dict[str, None] = {}
    headings, used = {BACKGROUND}, set()
    for source in sources:
        entries = source.content.get("categories", [])
        if not all(is_id(entry.get("id")) and "name" in entry for entry in entries):
            raise DataError(f"{source.file}: a category without id or name: give it both")
        twice = [id_ for id_, n in Counter(entry["id"] for entry in entries).items() if n > 1]
        if twice:
            raise DataError(f"{source.file}: category id {twice[0]} stands twice: give each category its own")
        for entry in sorted(entries, key=lambda entry: files.natural(str(entry["id"]))):
            names[str(entry["name"])] = None
            headings.add(str(entry.get("supercategory")) if entry.get("supercategory") != entry["name"] else "")
        ids = {id_ for annotation in source.content["annotations"] if is_id(id_ := annotation.get("category_id"))}
        used |= {str(entry["name"]) for entry in entries if entry["id"] in ids}  # 1.0 is 1
    dropped = [name for name in names if name in headings - used]
    return tuple(name for name in names if name not in dropped), dropped


def _once(sources: Sequence[Source], base: Path) -> tuple[list[Source], list[str]]:
    """The jsons with each image once, and a line for each that has some twice: entries of one file name are one image,
    which shows the objects of all of them."""
    made, told = [], []
    for source in sources:
        first: dict[str, Any] = {}
        same = {
            image["id"]: kept
            for image in source.content["images"]
            if is_id(image.get("id")) and _is_named(image)
            if (kept := first.setdefault(image["file_name"], image["id"])) != image["id"]
        }
        if same:
            images = [
                image for image in source.content["images"] if not (is_id(id_ := image.get("id")) and id_ in same)
            ]
            annotations = [_of_the_first(annotation, same) for annotation in source.content["annotations"]]
            source = source._replace(content={**source.content, "images": images, "annotations": annotations})
            shown = files.shown(source.file, base)
            told.append(f"{len(same):,} entries of {shown} name an image again, whose objects are taken together")
        made.append(source)
    return made, told


def _of_the_first(annotation: dict[str, Any], same: Mapping[Any, Any]) -> dict[str, Any]:
    image = annotation.get("image_id")
    return {**annotation, "image_id": same[image]} if is_id(image) and image in same else annotation


def _records(
    source: Source, classes: Sequence[str], base: Path, places: Places, *, crowded: bool
) -> tuple[list[Record], list[Problem]]:
    """The images of one json with their marks, and those whose annotations cannot be read as problems."""
    shown, images = files.shown(source.file, base), source.content["images"]
    number: dict[Any, int] = {}
    problems: list[Problem] = []
    for i, image in enumerate(images):
        if not is_id(image.get("id")) or not _is_named(image):
            problems.append(Problem(f"{shown}: image {image.get('id', f'number {i + 1}')}", "no id or no file_name"))
        elif image["id"] in number:
            problems.append(Problem(f"{shown}: image {image['id']}", "this id stands twice"))
        else:
            number[image["id"]] = i
    index = {
        entry["id"]: classes.index(str(entry["name"]))
        for entry in source.content.get("categories", [])
        if str(entry["name"]) in classes
    }
    column, wrong = parse(source.content["annotations"], number, index, f"{shown}: annotation", crowded=crowded)
    problems += [problem for several in wrong.values() for problem in several]
    made = _marks(column, images, f"{shown}: annotation")
    records = []
    for id_, i in number.items():
        name, where = images[i]["file_name"], f"{shown}: image {id_}"
        if name in places.doubts:
            problems.append(Problem(where, places.doubts[name]))
        elif i not in wrong:
            records.append(Record(places.paths[name], made[i], where))
    return records, problems


def _is_named(image: Mapping[str, Any]) -> bool:
    return isinstance(image.get("file_name"), str)


def _marks(column: Column, images: Sequence[dict[str, Any]], file: str) -> list[Marks]:
    """The marks of each image, in order."""
    form = "outlines" if any(outline is not None for outline in column.outlines) else "boxes"
    boxes = with_boxes(np.array(column.boxes, np.float64).reshape(-1, 4), column.outlines)
    owner = np.array(column.images, np.int64)
    order = np.argsort(owner, kind="stable")
    ends = np.searchsorted(owner[order], np.arange(len(images) + 1))
    rows_of = [order[begin:end] for begin, end in pairwise(ends)]
    labels, ignored = np.array(column.labels, np.int64), np.array(column.ignored, bool)
    spots = np.array(column.ids, dtype=object)
    return [
        Marks(
            labels=labels[rows],
            boxes=boxes[rows],
            ignored=ignored[rows],
            spots=spots[rows],
            file=file,
            outlines=tuple(column.outlines[row] for row in rows) if form == "outlines" else None,
            size=size_in(image.get("width"), image.get("height")),
        )
        for image, rows in zip(images, rows_of, strict=True)
    ]
