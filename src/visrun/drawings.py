"""Where predictions are drawn: each into a file of its own, and none over an image that is read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image

from visrun.data.images import load_rgb
from visrun.errors import UserError
from visrun.figures.sheet import FAST
from visrun.files import writing
from visrun.folders import expanded
from visrun.record.inside import require_inside
from visrun.record.run_files import PREDICTIONS
from visrun.record.run_folder import run_of
from visrun.tasks.base import Mapped, Prediction, Task

LONGEST = 255  # bytes of a file's name that every usual system takes


def folder_of(run: str | Path, out: str | None) -> Path:
    """The folder for the pictures.

    Args:
        run: A run's folder, or a checkpoint; one that lies in no run has its pictures in the current folder.
        out: What the user named instead, or None.

    Raises:
        UserError: A link in the run's folder leads elsewhere.
    """
    if out is not None:
        return expanded(out)
    above = run_of(expanded(run))
    if above is not None:
        require_inside(above, [PREDICTIONS])
    return (above or Path()) / PREDICTIONS


def made(folder: Path) -> Path:
    """Create ``folder`` if it is missing, and return it.

    Raises:
        UserError: It cannot be written.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # known before the predictions, which take long
            return folder


def pictures(task: Task, prediction: Prediction, path: Path, *, white: int | None = None) -> dict[str, Image.Image]:
    """What is written of the prediction for a file: its ``drawing``, then the maps that are pictures themselves.

    ``white`` is the value of 16-bit grey that is white, as the network sees it.
    """
    drawing = task.draw(Image.fromarray(load_rgb(path, white=white)), prediction, 0)
    maps = task.maps(prediction, 0) if isinstance(task, Mapped) else {}
    return {"drawing": drawing} | {
        name: Image.fromarray(values) for name, values in maps.items() if values.dtype == np.uint8
    }


def stems(paths: Sequence[Path], *, maps: Sequence[str] = ()) -> list[str]:
    """A name for each image's files, as :func:`files` has them; where one of those is taken it gets a number.

    No drawing has the name that a map has of another image: x_mask.png is never the drawing of a file x_mask.jpg where
    there is an image x as well. Names that differ in case alone are one file on some systems, and so count as the same.
    Names too long for what is added to them are cut.
    """
    room = LONGEST - max(len(os.fsencode(name)) for name in files("", maps))
    own = {stem: _cut(stem, most=room) for stem in {path.stem for path in paths}}
    meant = {name for stem in {stem.casefold() for stem in own.values()} for name in files(stem, maps)[1:]}
    taken: set[str] = set()
    tried: dict[str, int] = {}  # the last number of each name, since what is taken stays taken
    found = []
    for short in (own[path.stem] for path in paths):
        for number in count(tried.get(short, 1)):
            end = "" if number == 1 else f"_{number}"
            stem = _cut(short, most=room - len(end)) + end
            names = files(stem.casefold(), maps)
            if names[0] not in meant and taken.isdisjoint(names):
                break
        tried[short] = number
        taken.update(names)
        found.append(stem)
    return found


def _cut(stem: str, *, most: int) -> str:
    """``stem`` without the last letters by which it is longer than ``most`` bytes."""
    while len(os.fsencode(stem)) > most:
        stem = stem[:-1]
    return stem


def files(stem: str, maps: Sequence[str]) -> list[str]:
    """The names of an image's files: its drawing first, then its maps."""
    return [f"{stem}.png", *(f"{stem}_{name}.png" for name in maps)]


def saved(found: Mapping[str, Image.Image], folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Where each of an image's pictures lies in ``folder`` once they are written under ``names``.

    Raises:
        UserError: One cannot be written.
    """
    with writing(folder):
        for name, picture in zip(names, found.values(), strict=True):
            picture.save(folder / name, "PNG", compress_level=FAST)
    return {kind: str(folder / name) for kind, name in zip(found, names, strict=True)}


def protect(images: Sequence[Path], *, folder: Path, names: Sequence[str]) -> None:
    """Refuse to write files of ``names`` into ``folder`` where one of them is an image that is read, also by a link.

    Raises:
        UserError: One would be replaced.
    """
    read = {_file(path) for path in images if path.exists()}
    for name in names:
        if (folder / name).exists() and _file(folder / name) in read:
            raise UserError(f"out={folder}: {name} would replace an image that is read; name another folder")


def _file(path: Path) -> tuple[int, int]:
    """The file behind a path, whatever links lead to it."""
    found = path.stat()
    return found.st_dev, found.st_ino
