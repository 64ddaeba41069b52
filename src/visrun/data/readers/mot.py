"""Sequences of frames with tracked boxes: MOTChallenge (Milan et al., arXiv 1603.00831, section 3.3; Dendorfer et al.,
arXiv 2003.09003) and sets of its form. Whose track a box is of is not read."""

from __future__ import annotations

import configparser
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from visrun.data import files
from visrun.data.listing import Listing, Problem, Record
from visrun.data.marks import Marks
from visrun.data.outlines import Floats
from visrun.data.readers import common
from visrun.data.splits import ALL
from visrun.data.threads import mapped
from visrun.errors import DataError
from visrun.numbers import number_in
from visrun.text import plural

INFO, TRUTH, OWN_NAMES, FRAMES = "seqinfo.ini", "gt/gt.txt", "gt/labels.txt", "img1"
# fmt: off
CLASSES = (  # from 1; those of a set's own names are listed in gt/labels.txt, as CVAT writes it
    "pedestrian", "person on vehicle", "car", "bicycle", "motorbike", "non motorized vehicle", "static person",
    "distractor", "occluder", "occluder on the ground", "occluder full", "reflection", "crowd",
)
# fmt: on
ALIKE = (2, 7, 8, 12)  # classes whose objects, found as pedestrians, are neither right nor wrong
PEDESTRIAN = 1
AGAIN = re.compile(r"-(DPM|FRCNN|SDP)$")  # MOT17's sequences stand there three times, for three detectors
FRAME, BOX, COUNTED, CLASS = 0, slice(2, 6), 6, 7  # of a line: frame, track, left, top, width, height, flag, class
FEWEST = 6  # numbers in a line
TOGETHER = "sequence"  # what the frames of one have in common


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One sequence: its truth as rows of 8 numbers, the lines that they stand in, and what is wrong with others: by
    frame, or, where a line names none, with None."""

    split: str
    folder: Path
    frames: dict[int, Path]
    size: common.Size | None
    names: tuple[str, ...]
    rows: Floats
    lines: np.ndarray
    faults: dict[int | None, Problem]


def recognise(root: Path) -> bool:
    """Whether ``root``, folders in it or in those of splits hold gt/gt.txt with seqinfo.ini or img1/ beside it."""
    return any(_has_truth(folder) for _, folder in _folders(root))


def holds_sequences(root: Path) -> bool:
    """Whether ``root`` or folders in it are sequences, with their truth or without: never classes of images."""
    return any(_has_truth(folder) or files.is_file(folder / INFO) for _, folder in _folders(root))


def read(root: Path, *, group: str | None = None) -> Listing:
    """MOTChallenge: train/SEQUENCE/img1/*.jpg with train/SEQUENCE/gt/gt.txt, or SEQUENCE/ without splits.

    A line is frame,track,left,top,width,height,counted,class,visibility; pixels count from 1, but from 0 in CVAT's
    files, which name classes in gt/labels.txt. Objects that do not count are ignored, also persons on vehicles, static
    ones, distractors and reflections as pedestrians; others of classes of which none counts are left out. The frames of
    a sequence stay together where images are held out.

    Args:
        root: The folder.
        group: What else keeps images together, where the user names it.

    Raises:
        DataError: Where ``root`` has no such sequences, or one of train or val has no truth.
    """
    every = list(_folders(root))
    held = [(split, folder) for split, folder in every if _has_truth(folder)]
    if not held:
        raise DataError(f"{root}: no sequences: expected train/SEQUENCE/img1/*.jpg with train/SEQUENCE/gt/gt.txt")
    warnings = _bare(every, root)
    wanted, told = _once(held)
    found = mapped(partial(_sequence, root=root), wanted, path=lambda one: one[1] / TRUTH)
    places = {name: k for one in found for k, name in enumerate(one.names, 1)}
    counted = {one.names[k - 1] for one in found for k in _classes_counted(one)}
    classes = tuple(sorted(counted, key=lambda name: (places[name], name)))
    splits: dict[str, list[Record]] = {}
    problems: list[Problem] = []
    for one in found:
        problems += one.faults.values()
        own = one.folder.name if group is None else None
        splits.setdefault(one.split, []).extend(_records(one, classes, root, own))
    alone = len(found) < 2 or group is not None
    return Listing(
        splits=splits,
        classes=classes,
        problems=tuple(problems),
        warnings=(*warnings, *told, *_frameless(found, root)),
        group=None if alone else TOGETHER,
    )


def _folders(root: Path) -> Iterator[tuple[str, Path]]:
    """(split, folder) of what may be sequences."""
    inner = [(split, folder) for split, top in common.by_split(root) for folder in files.folders(top)]
    yield from inner or [(ALL, root), *((ALL, folder) for folder in files.folders(root))]


def _has_truth(folder: Path) -> bool:
    return files.is_file(folder / TRUTH) and (files.is_file(folder / INFO) or (folder / FRAMES).is_dir())


def _bare(every: Sequence[tuple[str, Path]], root: Path) -> list[str]:
    """A line on sequences of test without truth.

    Raises:
        DataError: One of train or val has none.
    """
    bare = [(split, folder) for split, folder in every if files.is_file(folder / INFO) and not _has_truth(folder)]
    for split, folder in bare:
        if split not in ("test", ALL):
            raise DataError(f"{folder}: frames of {split} without {TRUTH}: add it, or move the sequence out of {root}")
    paths = (folder for _, folder in bare)
    return list(common.left_over("sequence", paths, root, lacking=TRUTH))


def _once(held: Sequence[tuple[str, Path]]) -> tuple[list[tuple[str, Path]], list[str]]:
    """The sequences without those that stand there again for another detector, and a line on these."""
    first: dict[tuple[str, str], tuple[str, Path]] = {}
    for split, folder in held:
        first.setdefault((split, AGAIN.sub("", folder.name)), (split, folder))
    again = len(held) - len(first)
    told = [f"{again} sequences are others again, for another detector, and are left out"] if again else []
    return [*first.values()], told


def _sequence(one: tuple[str, Path], root: Path) -> Clip:
    split, folder = one
    info = _info(folder / INFO)
    images = list(files.images(folder / info.get("imdir", FRAMES), deep=False))
    strange = next((path for path in images if not path.stem.isdecimal()), None)
    if strange is not None:
        raise DataError(f"{strange}: frames are named by their numbers, such as 000001{strange.suffix}")
    own = folder / OWN_NAMES
    names = files.names_in(own) if files.is_file(own) else CLASSES
    rows, lines, faults = _truth(folder / TRUTH, files.shown(folder / TRUTH, root), len(names))
    if names is CLASSES:
        rows[:, [2, 3]] -= 1.0
    return Clip(
        split=split,
        folder=folder,
        frames={int(path.stem): path for path in images},
        size=common.size_in(info.get("imwidth"), info.get("imheight")),
        names=names,
        rows=rows,
        lines=lines,
        faults=faults,
    )


def _info(file: Path) -> dict[str, str]:
    """What a seqinfo.ini says, keys in lower case; nothing where there is none.

    Raises:
        DataError: It is broken.
    """
    if not files.is_file(file):
        return {}
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(files.text(file))
    except configparser.Error as error:
        raise DataError(f"{file}: no seqinfo.ini ({' '.join(str(error).split())})") from None
    return {key: value for section in parser.sections() for key, value in parser[section].items()}


def _truth(file: Path, shown: str, classes: int) -> tuple[Floats, np.ndarray, dict[int | None, Problem]]:
    """(n, 8) the numbers of each line and (n,) its place; of a frame, if it is told, the first line that is none.

    A missing flag counts, and a missing class, or -1, as MOT15 has it, is 1.
    """
    rows, lines = [], []
    faults: dict[int | None, Problem] = {}
    for number, line in files.numbered_lines(file):
        cells = [*map(str.strip, line.split(","))]
        try:
            rows.append(_numbers(cells, classes))
            lines.append(number)
        except ValueError as error:
            frame = int(cells[FRAME]) if cells[FRAME].isdecimal() else None
            what = str(error) or f"no line of frame,track,left,top,width,height,counted,class: {line.strip()[:60]!r}"
            faults.setdefault(frame, Problem(f"{shown}:{number}", what))
    return np.array(rows, np.float64).reshape(-1, CLASS + 1), np.array(lines, np.int64), faults


def _numbers(cells: Sequence[str], classes: int) -> list[float]:
    """The 8 numbers of a line.

    Raises:
        ValueError: It has others, or a class that there is not.
    """
    try:
        numbers = [number_in(cell) for cell in cells]
    except ValueError:
        raise ValueError from None
    if len(numbers) < FEWEST or numbers[FRAME] % 1:
        raise ValueError
    counted = numbers[COUNTED] if len(numbers) > COUNTED else 1.0
    label = numbers[CLASS] if len(numbers) > CLASS and numbers[CLASS] >= 0 else float(PEDESTRIAN)
    if label % 1 or not 1 <= label <= classes:
        raise ValueError(f"class {label:g} is out of range: there are {classes}, from 1")
    return [*numbers[:FEWEST], counted, label]


def _classes_counted(one: Clip) -> list[int]:
    """The ids of classes of which an object counts."""
    return [int(id_) for id_ in np.unique(one.rows[one.rows[:, COUNTED] != 0, CLASS])]


def _records(one: Clip, classes: Sequence[str], root: Path, member: str | None) -> Iterator[Record]:
    """A record of each frame without faults, those without a line among them."""
    shown = f"{files.shown(one.folder / TRUTH, root)}:"
    index = [classes.index(name) if name in classes else -1 for name in one.names]
    if one.names is CLASSES:
        for id_ in ALIKE:
            index[id_ - 1] = index[PEDESTRIAN - 1] if index[id_ - 1] < 0 else index[id_ - 1]
    labels = np.array(index, np.int64)[one.rows[:, CLASS].astype(int) - 1]
    kept = np.flatnonzero(labels >= 0)
    order = kept[np.argsort(one.rows[kept, FRAME], kind="stable")]
    frames = one.rows[order, FRAME]
    boxes = one.rows[:, BOX].copy()
    boxes[:, 2:] += boxes[:, :2]
    for number, image in one.frames.items():
        if number in one.faults:
            continue
        rows = order[np.searchsorted(frames, number) : np.searchsorted(frames, number, side="right")]
        marks = Marks(
            labels=labels[rows],
            boxes=boxes[rows],
            ignored=one.rows[rows, COUNTED] == 0,
            spots=one.lines[rows],
            file=shown,
            size=one.size,
        )
        yield Record(image, marks, files.shown(image, root), member)


def _frameless(found: Sequence[Clip], root: Path) -> list[str]:
    """A line on lines of frames that have no image, if any."""
    lost = Counter({one.folder: int((~np.isin(one.rows[:, FRAME], list(one.frames))).sum()) for one in found})
    folder, count = max(lost.items(), key=lambda pair: pair[1])
    if not count:
        return []
    frames = "names a frame" if lost.total() == 1 else "name frames"
    where = files.shown(folder / TRUTH, root)
    return [f"{plural(lost.total(), 'line')} {frames} without an image, such as in {where}"]
