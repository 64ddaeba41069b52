"""What a detector found, in the files that evaluation servers take: DOTA's texts and COCO's json of results.

DOTA (https://captain-whu.github.io/DOTA/evaluation.html): a text for each class, ``Task1_CLASS.txt`` of turned boxes,
``image score x1 y1 x2 y2 x3 y3 x4 y4``, ``Task2_CLASS.txt`` of upright ones, ``image score left top right bottom``.
COCO (https://cocodataset.org/#format-results): a list of image_id, category_id, score, and bbox as left, top, width,
height, or of masks segmentation as runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from visrun.batch import Prediction
from visrun.boxes import le90_to_quads
from visrun.data import files
from visrun.data.readers import json_keys
from visrun.detection.results import best
from visrun.detection.runs import of_rows, written
from visrun.errors import DataError, UserError
from visrun.files import writing
from visrun.near import did_you_mean
from visrun.text import composed, some

# By format: the kinds of target (see visrun.tables.TARGETS) that it holds predictions of.
KINDS = {"dota": ("rotated_boxes", "boxes"), "coco": ("boxes", "instances")}
RESULTS = "results.json"
PART = ".part"  # ends the names of files that are being written
UPRIGHT, TURNED = "Task2", "Task1"
DIGITS, SCORE_DIGITS = 2, 6

Lines = Mapping[str, Sequence[str]]  # what an image adds to each file


@dataclass(frozen=True, kw_only=True)
class Submission:
    """Files that are written image by image, and have their names when all is done.

    Args:
        folder: Where they lie.
        names: Theirs, all of which are written, also empty.
        lines: What an image's file and its prediction add to them.
        ends: What stands before, between and behind the lines of a file.
    """

    folder: Path
    names: Sequence[str]
    lines: Callable[[Path, Prediction], Lines]
    ends: tuple[str, str, str]
    _begun: set[str] = field(default_factory=set)

    def begin(self) -> None:
        """Create the files under other names.

        Raises:
            UserError: One is there already, or they cannot be written.
        """
        for name in self.names:
            if (self.folder / name).exists():
                raise UserError(f"{self.folder / name}: is there already: move it, or name another folder by out=")
        with writing(self.folder):
            for name in self.names:
                self._part(name).write_text(self.ends[0], encoding="utf-8")

    def add(self, lines: Lines) -> None:
        """Write what an image adds."""
        for name, several in lines.items():
            if several:
                before = self.ends[1] if name in self._begun else ""
                self._begun.add(name)
                with writing(self.folder), self._part(name).open("a", encoding="utf-8") as part:
                    part.write(before + self.ends[1].join(several))

    def finish(self) -> None:
        """Give the files their names."""
        with writing(self.folder):
            for name in self.names:
                with self._part(name).open("a", encoding="utf-8") as part:
                    part.write(self.ends[2] if name in self._begun or self.ends[0] else "")
                self._part(name).replace(self.folder / name)

    def drop(self) -> None:
        """Remove what was written of files that were not finished."""
        for name in self.names:
            with suppress(OSError):
                self._part(name).unlink(missing_ok=True)

    def _part(self, name: str) -> Path:
        return self.folder / f"{name}{PART}"


def dota(folder: Path, paths: Sequence[Path], classes: Sequence[str], *, kind: str, least: float) -> Submission:
    """DOTA's texts.

    Args:
        folder: Where they go; paths: the images that are predicted; classes: of the run.
        kind: Of target, one of its KINDS.
        least: The score from which on a detection is handed in.

    Raises:
        UserError: Images that have one name, or a name or class that no line or file can hold.
    """
    stems: dict[str, Path] = {}
    for path in paths:
        other = stems.setdefault(path.stem, path)
        if other != path:
            raise UserError(f"format=dota: {other} and {path} have one name, by which lines tell images apart")
        if len(path.stem.split()) != 1:
            raise UserError(f"format=dota: {path}: its name has blanks, which part the words of a line: rename it")
    if strange := next((name for name in classes if "/" in name or "\0" in name), None):
        raise UserError(f"format=dota: class {strange!r} is no name of a file")
    names = {name: f"{TURNED if kind == 'rotated_boxes' else UPRIGHT}_{name}.txt" for name in classes}
    make = partial(_dota_lines, names=names, classes=classes, least=least)
    return Submission(folder=folder, names=[*names.values()], lines=make, ends=("", "\n", "\n"))


def _dota_lines(
    path: Path, found: Prediction, *, names: Mapping[str, str], classes: Sequence[str], least: float
) -> Lines:
    chosen = best(found, 0, least)
    boxes = chosen["boxes"].double().cpu()
    corners = le90_to_quads(boxes).flatten(1) if boxes.shape[1] == 5 else boxes
    lines: dict[str, list[str]] = {}
    for label, score, row in zip(chosen["labels"].tolist(), chosen["scores"].tolist(), corners.tolist(), strict=True):
        words = [path.stem, f"{score:.{SCORE_DIGITS}f}", *(f"{value:.{DIGITS}f}" for value in row)]
        lines.setdefault(names[classes[label]], []).append(" ".join(words))
    return lines


def coco(folder: Path, paths: Sequence[Path], classes: Sequence[str], *, ids: Path, least: float) -> Submission:
    """COCO's json of results.

    Args:
        folder: Where it goes; paths: the images that are predicted; classes: of the run.
        ids: COCO's json that lists images and categories with their ids, such as image_info_test-dev2017.json.
        least: The score from which on a detection is handed in.

    Raises:
        UserError: The json lacks an image or a class, or names several images so.
        DataError: It is no such json, or cannot be read.
    """
    content = json_keys.parsed(ids, files.text(ids))
    images = {path: _id_of(path, entries) for path, entries in _alike(content, paths, ids)}
    if missing := [str(path) for path, id_ in images.items() if id_ is None]:
        raise UserError(f"ids={ids}: does not list {some(missing, 3)}, or lists several images of that name")
    categories = {composed(str(entry.get("name"))): entry.get("id") for entry in _entries(content, "categories", ids)}
    for name in classes:
        if name not in categories:
            hint = did_you_mean(name, categories) or f"; categories there: {some(categories, 20)}"
            raise UserError(f"ids={ids}: no category is called {name!r}, as a class of this run is{hint}")
    known = [categories[name] for name in classes]
    make = partial(_coco_lines, images=images, categories=known, least=least)
    return Submission(folder=folder, names=[RESULTS], lines=make, ends=("[\n", ",\n", "\n]\n"))


def _entries(content: Any, key: str, ids: Path) -> list[dict[str, Any]]:
    found = content.get(key) if isinstance(content, dict) else None
    if not isinstance(found, list) or not all(isinstance(one, dict) and "id" in one for one in found):
        raise DataError(f"{ids}: no list of {key} with ids: name a json such as image_info_test-dev2017.json")
    return found


def _alike(content: Any, paths: Sequence[Path], ids: Path) -> list[tuple[Path, list[dict[str, Any]]]]:
    """Each image with the entries of a json that have its file's name."""
    by_name: dict[str, list[dict[str, Any]]] = {}
    for entry in _entries(content, "images", ids):
        by_name.setdefault(composed(PurePosixPath(str(entry.get("file_name"))).name), []).append(entry)
    return [(path, by_name.get(composed(path.name), [])) for path in paths]


def _id_of(path: Path, entries: Sequence[Mapping[str, Any]]) -> Any:
    """The id of the only entry, or of the only one whose folders are the image's, too; None without."""
    if len(entries) > 1:
        whole = composed(path.absolute().as_posix())
        entries = [entry for entry in entries if whole.endswith(f"/{composed(entry['file_name'])}")]
    return entries[0]["id"] if len(entries) == 1 else None


def _coco_lines(
    path: Path, found: Prediction, *, images: Mapping[Path, Any], categories: Sequence[Any], least: float
) -> Lines:
    chosen = best(found, 0, least)
    rows = zip(chosen["labels"].tolist(), chosen["scores"].tolist(), _shapes(chosen), strict=True)
    return {
        RESULTS: [
            json.dumps(
                {
                    "image_id": images[path],
                    "category_id": categories[label],
                    "score": round(score, SCORE_DIGITS),
                    **shape,
                }
            )
            for label, score, shape in rows
        ]
    }


def _shapes(found: Prediction) -> list[dict[str, Any]]:
    """Of each detection its mask, else its box: where both stand, COCO's tools take a mask's size from the box."""
    if "runs" in found:
        return [{"segmentation": written(mask)} for mask in of_rows(found["runs"])]
    boxes = found["boxes"].double().tolist()
    return [
        {"bbox": [round(value, DIGITS) for value in (left, top, right - left, bottom - top)]}
        for left, top, right, bottom in boxes
    ]
