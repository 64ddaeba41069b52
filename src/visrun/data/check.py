"""Every file of a dataset looked at before the first step: headers of images, ids of masks, copies across splits.

Threads do it: opening files waits on the disk, and Pillow decodes masks without holding Python's lock.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from visrun.data import files, images, labelmap, lookalikes, opening
from visrun.data.objects import Objects
from visrun.data.threads import Progress, mapped
from visrun.data.verdicts import Verdict
from visrun.errors import DataError
from visrun.text import first_lines

if TYPE_CHECKING:
    from visrun.data.listing import Problem, Record

MOST_SHOWN = 20  # offenders that an error lists
REMEMBERED = 2_000_000  # files whose findings one process keeps for its next run: of a set that is larger, none helps
MOST_SKIPPED = 0.5  # share of bad records above which skipping them hides a broken dataset

Stamps = tuple[tuple[int, int], ...]
Placed = tuple[str, "Record"]  # split and what stands in it


@dataclass(frozen=True, slots=True)
class Finding:
    """What one record's files hold.

    Args:
        size: (width, height) of the upright image; (0, 0) where it cannot be read.
        length: Bytes of the image file and, after it, of each mask's file.
        pixels: Count of each id 0..255 in the mask (256,), or None.
        fault: What is wrong, or "".
        brightest: The largest value where the image is 16-bit grey, else 0.
        frames: Frames or pages of the image's file.
        thumbnail: Of the decoded image, see `visrun.data.lookalikes.thumbnail`; None where it was not decoded.
    """

    size: tuple[int, int] = (0, 0)
    length: tuple[int, ...] = ()
    pixels: npt.NDArray[np.int64] | None = None
    fault: str = ""
    brightest: int = 0
    frames: int = 1
    thumbnail: npt.NDArray[np.uint8] | None = None


def examine(
    records: Sequence[Record],
    *,
    root: Path,
    masks: bool = False,
    pixels: bool = False,
    progress: Progress | None = None,
) -> list[Finding]:
    """One finding per record, in order: image headers are read, and masks (where targets are their paths) decoded.

    Args:
        records: What a reader found.
        root: The dataset's folder, for short names in faults.
        masks: Whether each target is the path of a mask; of a verdict the mask is known.
        pixels: Whether images are decoded as well, which takes long and finds those that are cut short.
        progress: Called with (done, total) about a hundred times.

    Raises:
        DataError: A file did not come in time.
    """
    tables: Stamps = ()
    if masks:
        with contextlib.suppress(DataError):  # reading a mask by it says what is wrong
            tables = tuple(map(opening.stamp, labelmap.of(record.target for record in records)))
    look = partial(_look, root=root, masks=masks, pixels=pixels, tables=tables)
    return mapped(look, records, path=lambda record: record.image, progress=progress)


def _look(record: Record, root: Path, masks: bool, pixels: bool, tables: Stamps) -> Finding:
    target = record.target
    marks = isinstance(target, Verdict)
    shown = target.masks if isinstance(target, Verdict) else (target,) if masks else ()
    paths = (record.image, *shown)
    try:
        found = _found(paths, tuple(opening.stamp(path) for path in paths), marks, tables)
        return replace(found, thumbnail=_thumbnail(paths[0], opening.stamp(paths[0]))) if pixels else found
    except DataError as error:
        text = str(error)
        for path in paths:
            text = text.replace(str(path), files.shown(path, root))
        return Finding(fault=text)


@lru_cache(maxsize=REMEMBERED)
def _found(paths: tuple[Path, ...], stamps: Stamps, marks: bool, _: Stamps) -> Finding:
    """What is in an image and, after it, its masks; remembered, since the trials of a sweep look at the same files,
    while these and the tables of the masks' colours stay as they are."""
    size, brightest, frames = opening.facts(paths[0])
    pixels = _count_ids(paths[1:], size, marks) if len(paths) > 1 else None
    lengths = tuple(length for length, _ in stamps)
    return Finding(size, lengths, pixels, brightest=brightest, frames=frames)


@lru_cache(maxsize=REMEMBERED)
def _thumbnail(path: Path, _: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Decode an image, a JPEG at down to an eighth; remembered, since a folder may serve several tasks."""
    return lookalikes.thumbnail(path)


def _count_ids(paths: tuple[Path, ...], size: tuple[int, int], marks: bool) -> npt.NDArray[np.int64]:
    path = paths[0]
    mask = images.load_flags(*paths).astype(np.uint8) if marks else images.load_mask(path)
    height, width = mask.shape
    if (width, height) != size:
        raise DataError(
            f"{path}: mask of {width}x{height} pixels, its image has {size[0]}x{size[1]}: save both at one size"
        )
    if marks and not mask.any():
        raise DataError(f"{path}: the mask of a defective image marks no pixel: mark the defect")
    return np.bincount(mask.ravel(), minlength=256)


def paint(
    pictures: Sequence[tuple[Record, Finding]], objects: Sequence[Objects], *, progress: Progress
) -> list[Finding]:
    """The findings of images whose masks are painted from ``objects``, with the pixels of each id."""

    def count(one: tuple[tuple[Record, Finding], Objects]) -> Finding:
        (_, finding), several = one
        mask = images.mask_of(several, (), finding.size[::-1])
        return replace(finding, pixels=np.bincount(mask.ravel(), minlength=256))

    every = list(zip(pictures, objects, strict=True))
    return mapped(count, every, path=lambda one: one[0][0].image, progress=progress)


def white(splits: Mapping[str, Sequence[tuple[Record, Finding]]]) -> int | None:
    """The value of 16-bit grey that is white in all images of a dataset; None where none is 16-bit grey."""
    brightest = max((finding.brightest for entries in splits.values() for _, finding in entries), default=0)
    return images.white_of(brightest) if brightest else None


def paged(splits: Mapping[str, Sequence[tuple[Record, Finding]]], root: Path) -> list[str]:
    """A warning where image files have several pages."""
    several = [
        (record.image, found.frames) for entries in splits.values() for record, found in entries if found.frames > 1
    ]
    if not several:
        return []
    path, frames = min(several)
    count = f"{len(several):,} image files have" if len(several) > 1 else "one image file has"
    return [
        f"{count} several pages or frames ({files.shown(path, root)}: {frames:,}), of which the first alone is read: "
        "to use the others, save each as a file of its own"
    ]


def report(problems: Sequence[Problem], *, root: Path, counted: str) -> DataError:
    """The one error for all that is wrong with the records: the first 20 by file and line, and how many more.

    Args:
        problems: What is wrong.
        root: The dataset's folder.
        counted: How many of what are concerned: ``3 of 60 records``.
    """
    lines = [f"{root}: {counted} cannot be used:"]
    offenders = [str(problem) for problem in problems]
    lines += [f"  {line}" for line in first_lines(offenders, MOST_SHOWN)]
    lines.append("Mend them, or leave them out with data.on_bad=skip")
    return DataError("\n".join(lines), offenders=offenders)


def alike(splits: Mapping[str, Sequence[tuple[Record, Finding]]]) -> list[list[Placed]]:
    """Groups of two or more entries whose images are the same, whether one path or equal files.

    Only files of equal length are compared: first their first 64 KiB, then, where those agree, all of it.

    Raises:
        DataError: A file did not come in time.
    """
    groups: dict[object, list[Placed]] = defaultdict(list)
    for split, entries in splits.items():
        for record, finding in entries:
            groups[finding.length[0]].append((split, record))
    several = _several(groups.values())
    for told_by in (_start, _digest):
        several = _several(_parted(several, told_by))
    return several


def copies(groups: Iterable[Sequence[Placed]]) -> list[tuple[str, str, Path, Path]]:
    """Of groups that are `alike` those that stand in two splits: (split, other split, file, file)."""
    return [pair for same in groups for pair in _across(same)]


def doubtful(
    groups: Iterable[Sequence[Placed]], classes: Sequence[str], *, kind: str, root: Path, most: int = 1
) -> list[str]:
    """A line on groups that are `alike` and have different labels or values, or [].

    Args:
        most: How many groups are named.
    """
    labels = [{_label(record.target, classes, kind): record.image for _, record in group} for group in groups]
    differing = [list(said.items())[:2] for said in labels if len(said) > 1]
    if not differing:
        return []

    def told(image: Path, label: str) -> str:
        return files.shown(image, root) + (f" ({label})" if kind in ("label", "verdict", "value") else "")

    named = ", ".join(" = ".join(told(image, label) for label, image in said) for said in differing[:most])
    count = f"{len(differing):,} images have" if len(differing) > 1 else "one image has"
    if kind == "value":
        return [f"{count} different values, such as {named}: right only where they were measured several times"]
    return [f"{count} different labels, such as {named}: one of them must be wrong"]


def _label(target: Any, classes: Sequence[str], kind: str) -> str:
    """What equal labels share: the names of classes, numbers, or of objects and masks a digest."""
    if kind == "verdict":
        return str(target.kind)
    if kind == "value":
        return ", ".join(f"{value:g}" for value in target)
    if isinstance(target, Path):
        return hashlib.sha256(images.load_mask(target).tobytes()).hexdigest()
    if isinstance(target, Objects):  # in whichever order they are listed
        return target.pick(np.lexsort((*target.boxes.T, target.labels))).digest()
    several = target if isinstance(target, tuple) else (target,)
    return ", ".join(classes[label] for label in several) or "none"


def _several(groups: Iterable[list[Placed]]) -> list[list[Placed]]:
    return [group for group in groups if len(group) > 1]


def _parted(groups: Sequence[list[Placed]], told_by: Callable[[Path], bytes]) -> Iterable[list[Placed]]:
    """The groups in parts of which ``told_by`` says the same."""
    every = [(number, placed) for number, group in enumerate(groups) for placed in group]
    found: dict[object, list[Placed]] = defaultdict(list)
    said = mapped(told_by, [record.image for _, (_, record) in every], path=lambda path: path)
    for (number, placed), what in zip(every, said, strict=True):
        found[number, what].append(placed)
    return found.values()


def _across(same: Sequence[Placed]) -> list[tuple[str, str, Path, Path]]:
    first: dict[str, Path] = {}
    for split, record in same:
        first.setdefault(split, record.image)
    return [(a, b, first[a], first[b]) for a, b in combinations(first, 2)]


def _start(path: Path) -> bytes:
    return _hashed(path, opening.stamp(path), 65536)


def _digest(path: Path) -> bytes:
    return _hashed(path, opening.stamp(path), None)


@lru_cache(maxsize=REMEMBERED)
def _hashed(path: Path, _: tuple[int, int], length: int | None) -> bytes:
    """SHA-256 of a file, or of its first ``length`` bytes; remembered like what is found in it."""
    with path.open("rb") as file:
        if length is None:
            return hashlib.file_digest(file, "sha256").digest()
        return hashlib.sha256(file.read(length)).digest()
