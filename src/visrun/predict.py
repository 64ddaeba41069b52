"""``visrun predict``: a finished run on new images, as JSON lines and pictures."""

from __future__ import annotations

import json
import os
import sys
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from visrun import drawings, submission
from visrun.allocator import kept_memory
from visrun.arguments import VERBS, options
from visrun.data.files import IMAGE_SUFFIXES
from visrun.data.files import images as images_below
from visrun.data.passed_over import unread_told
from visrun.data.threads import in_order
from visrun.errors import ERROR, DataError, UserError
from visrun.folders import expanded
from visrun.machine import cores
from visrun.predictor import Predictor, load, named
from visrun.submission import Lines, Submission
from visrun.tables import TASKS
from visrun.tasks.base import Prediction, Proposing
from visrun.text import plural, some, written_out

THREADS = 4  # that draw and save: more share Python's lock badly
READS = ("out", "threshold", "pictures", "device", "format", "ids")

Adding = Callable[[Path, Prediction], Lines]


def main(words: Sequence[str]) -> int:
    """``visrun predict RUN IMAGES... [key=value ...]``: JSON lines on standard output, pictures in ``out=``, and with
    ``format=`` the files there that an evaluation server takes.

    A file that cannot be decoded is a line on standard error; the others are predicted, and the exit code is 2.
    """
    asked, names = options("predict", words, READS)
    if len(names) < 2:
        raise UserError(f"usage: {VERBS['predict'].usage}")
    run, *given = names
    most = _count(asked.get("pictures"))
    folder = drawings.folder_of(named(run), asked.get("out"))
    paths = find_images(given, without=folder)
    predictor = load(run, device=asked.get("device", "auto"), threshold=asked.get("threshold"))
    handed_in = _submission(asked, predictor, paths, folder)
    if most != 0 or handed_in:
        drawings.made(folder)
    with _written(handed_in):
        return _predicted(predictor, paths, folder, most, handed_in)


def _submission(
    asked: Mapping[str, str], predictor: Predictor, paths: Sequence[Path], folder: Path
) -> Submission | None:
    """The files for an evaluation server that the user asks for, if any."""
    name, ids = asked.get("format"), asked.get("ids")
    if name is not None and name not in submission.KINDS:
        raise UserError(f"format={name}: must be {' or '.join(submission.KINDS)}, files that evaluation servers take")
    if (ids is not None) != (name == "coco"):
        raise UserError(
            f"ids={ids}: goes with format=coco"
            if ids
            else "format=coco: name the json that has the ids of images and categories, as in ids=image_info_test.json"
        )
    if name is None:
        return None
    kind, task = TASKS[predictor.task_name].target, predictor.task
    if kind not in submission.KINDS[name] or not isinstance(task, Proposing):
        able = [known for known, entry in TASKS.items() if entry.target in submission.KINDS[name]]
        raise UserError(f"format={name}: takes runs of task={' or '.join(able)}, and this is of {predictor.task_name}")
    if twice := [path for path, count in Counter(paths).items() if count > 1]:
        raise UserError(f"format={name}: {twice[0]} is named twice, and would be handed in so")
    classes = task.state()["classes"]
    if ids is None:
        return submission.dota(folder, paths, classes, kind=kind, least=task.recorded_from)
    return submission.coco(folder, paths, classes, ids=expanded(ids), least=task.recorded_from)


@contextmanager
def _written(handed_in: Submission | None) -> Iterator[None]:
    """Around the predictions: what is handed in has its name once all are done, and is dropped where that fails."""
    if handed_in is None:
        yield
        return
    handed_in.begin()
    try:
        yield
        handed_in.finish()
    finally:
        handed_in.drop()
    print(f"results: {some(str(handed_in.folder / name) for name in handed_in.names)}", file=sys.stderr)


def _predicted(
    predictor: Predictor, paths: Sequence[Path], folder: Path, most: int | None, handed_in: Submission | None
) -> int:
    """Print a line for each image, draw the first ``most``, and add each to what is handed in; the exit code."""
    code, drawn = 0, False
    lines = handed_in.lines if handed_in else None
    records = in_order(_jobs(predictor, paths, folder, most, lines), threads=min(THREADS, cores()))
    with kept_memory(), closing(records):
        for record, added in records:
            if isinstance(record, DataError):
                line = written_out(" ".join(str(record).splitlines()))  # a file's name may hold line ends
                print(f"{ERROR}{line}", file=sys.stderr, flush=True)
                code = record.exit_code
                continue
            if handed_in:
                handed_in.add(added)
            drawn |= drawings.DRAWING in record
            print(json.dumps(record, ensure_ascii=False), flush=True)
    if drawn:
        print(f"pictures: {folder}", file=sys.stderr)
    return code


def _jobs(
    predictor: Predictor, paths: Sequence[Path], folder: Path, most: int | None, lines: Adding | None
) -> Iterator[Callable[[], tuple[dict[str, Any] | DataError, Lines]]]:
    """For each image what is left to do once it is predicted: the first ``most``, None for all, are drawn; ``lines``
    says what it adds to the files that are handed in."""
    files: list[list[str]] = []
    drawn = 0
    for number, found in enumerate(predictor.attempts(paths)):
        names: list[str] = []
        if not isinstance(found, DataError) and drawn != most:
            files = files or drawings.named(paths, folder, drawings.pictured(predictor.task, found))
            drawn, names = drawn + 1, files[number]
        yield partial(_record, predictor, found, paths[number], folder, names, lines)


def _record(
    predictor: Predictor,
    found: Prediction | DataError,
    path: Path,
    folder: Path,
    names: Sequence[str],
    lines: Adding | None,
) -> tuple[dict[str, Any] | DataError, Lines]:
    """The line of an image, which is drawn into the files of these ``names`` where it has any, and what it adds to the
    files that are handed in."""
    if isinstance(found, DataError):
        return found, {}
    record = {"image": str(path), **predictor.task.record(found, 0)}
    if names:
        shown = drawings.pictures(predictor.task, found, path, white=predictor.look.white)
        record |= drawings.saved(shown, folder, names, image=path)
    return record, lines(path, found) if lines else {}


def _count(value: str | None) -> int | None:
    """How many images are drawn, None for all."""
    if value is not None and not value.isdecimal():
        raise UserError(f"pictures={value}: must be an integer >= 0, how many of the images are drawn")
    return None if value is None else int(value)


def find_images(given: Sequence[str | Path], *, without: Path | None = None) -> list[Path]:
    """The images that are named: a file itself, a folder by the visible images below it, in natural order, a .txt by
    the paths in it, one a line, and ``-`` by those on standard input. A .txt that is named beside an image of
    its name is no list: photos/* names YOLO's labels as well.

    A folder that holds the one ``without``, where drawings go, is read without that; a line on standard error says so.

    Raises:
        DataError: Something that does not exist, is a pipe or no list, or a folder without images.
    """
    found: list[Path] = []
    images = {path.with_suffix("") for path in map(expanded, given) if path.suffix.lower() in IMAGE_SUFFIXES}
    for name in given:
        path = expanded(name)
        if name == "-":
            found += _listed("standard input", sys.stdin.buffer.read(), beside=Path(), without=without)
        elif path.suffix.lower() == ".txt" and path.is_file():
            if path.with_suffix("") not in images:
                found += _listed(str(path), path.read_bytes(), beside=path.parent, without=without)
        else:
            found += _images_of(path, without)
    return found


def _listed(name: str, content: bytes, *, beside: Path, without: Path | None) -> list[Path]:
    """The images in a list of paths, which begin at the current folder or else at the list's.

    A path to nothing is among them, for it to be told in its turn, as broken files are; a list of such alone is none.
    """
    if b"\0" in content:
        raise DataError(f"{name}: no text, and is read as a list of paths, one a line")
    found: list[Path] = []
    missing: list[str] = []
    lines = map(bytes.strip, content.removeprefix(BOM_UTF8).splitlines())
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        path = expanded(os.fsdecode(line))
        try:
            there = beside / path if not path.exists() and (beside / path).exists() else path
            if there.exists():
                found += _images_of(there, without)
            else:
                found.append(there)
                missing.append(f"line {number}: {there}: no such file or folder")
        except (DataError, OSError) as error:
            raise DataError(f"{name}, line {number}: {error}") from None
    if len(missing) == len(found):
        raise DataError(f"{name}, {missing[0]}" if missing else f"{name}: no paths in this list")
    return found


def _images_of(path: Path, without: Path | None) -> list[Path]:
    if path.is_dir():
        inside = _images_below(path, without)
        if not inside:
            raise DataError(f"{path}: no images in this folder (looked for {', '.join(sorted(IMAGE_SUFFIXES))})")
        for line in unread_told(path):
            print(f"visrun: {path}: {line}", file=sys.stderr)
        return inside
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    if not path.is_file():
        raise DataError(f"{path}: a pipe or device, and images are read from files: save it; - reads a list of paths")
    return [path]


def _images_below(folder: Path, without: Path | None) -> list[Path]:
    every, whole = list(images_below(folder)), folder.resolve()
    if without is None or whole not in without.resolve().parents:
        return every
    drawn = folder / without.resolve().relative_to(whole)
    inside = [path for path in every if not path.is_relative_to(drawn)]
    if len(inside) < len(every):
        number = plural(len(every) - len(inside), "image")
        print(f"visrun: left out: {number} in {drawn}, the folder for drawings", file=sys.stderr)
    return inside
