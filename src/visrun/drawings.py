"""Where predictions are drawn: each into a file of its own, and none over a file that is not a drawing of its image."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Mapping, Sequence
from itertools import chain, count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from visrun.data.files import natural
from visrun.data.images import load_rgb
from visrun.data.opening import header, opened
from visrun.errors import DataError, UserError
from visrun.files import writing
from visrun.folders import expanded
from visrun.record.inside import require_inside
from visrun.record.run_folder import run_of
from visrun.run_files import PREDICTIONS
from visrun.tasks.base import Mapped, Prediction, Task, needed_side

WRITER, WRITTEN_BY = "Software", "visrun predict"  # a text chunk of a PNG, by which an own one is known
IMAGE, KIND = "Image", "Title"  # those that have the address of the image, and what is shown of it
DRAWING = "drawing"
# Runs alone (zlib's Z_RLE): of photographs half the time of `figures.sheet.FAST` for a few bytes more.
FASTEST = {"compress_level": 1, "compress_type": 3}
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


def pictured(task: Task, prediction: Prediction) -> list[str]:
    """The names of the maps that are pictures themselves, of which a run's predictions all have the same."""
    return [*_painted(task, prediction)]


def pictures(task: Task, prediction: Prediction, path: Path, *, white: int | None = None) -> dict[str, Image.Image]:
    """What is written of the prediction for a file: its ``drawing``, then the maps that are pictures themselves.

    ``white`` is the value of 16-bit grey that is white, as the network sees it.
    """
    pixels = load_rgb(path, size=_smaller(path, needed_side(task)), white=white)
    drawing = task.draw(Image.fromarray(pixels), prediction, 0)
    return {DRAWING: drawing} | {name: Image.fromarray(values) for name, values in _painted(task, prediction).items()}


def _painted(task: Task, prediction: Prediction) -> dict[str, NDArray[np.generic]]:
    maps = task.maps(prediction, 0) if isinstance(task, Mapped) else {}
    return {name: values for name, values in maps.items() if values.dtype == np.uint8}


def _smaller(path: Path, side: int | None) -> tuple[int, int] | None:
    """The (height, width) at which a file's longer side is ``side``; None where it is no longer, or must be whole."""
    if side is None:
        return None
    width, height = header(path)
    share = side / max(width, height)
    return None if share >= 1 else (max(1, round(height * share)), max(1, round(width * share)))


def named(images: Sequence[Path], folder: Path, maps: Sequence[str]) -> list[list[str]]:
    """The names of each image's files in ``folder``: those of an earlier call where that drew the same image, else
    names that nothing there has.

    Raises:
        UserError: One would replace an image that is read.
    """
    read = _inside(images, folder)
    standing = [file.name for file in folder.iterdir() if file.name not in read]
    chosen = stems(images, maps=maps, standing=standing, former=former(images, folder, maps))
    found = [files(stem, maps) for stem in chosen]
    protect(images, folder=folder, names=[*chain.from_iterable(found)])
    return found


def _inside(images: Sequence[Path], folder: Path) -> set[str]:
    """The names of the images that lie in ``folder``: those are not in the way, but refused."""
    here = {above for above in {path.parent for path in images} if above.is_dir() and above.samefile(folder)}
    return {path.name for path in images if path.parent in here}


def former(images: Sequence[Path], folder: Path, maps: Sequence[str]) -> dict[str, list[str]]:
    """Image, as :func:`address` names it -> the stems under which earlier calls have drawn it in ``folder``."""
    wanted = {short.casefold() for short in _shortened(images, _room(maps)).values()}
    addresses = {address(path) for path in images}
    found: dict[str, list[str]] = {}
    standing = {file.name for file in folder.iterdir()}
    for stem in sorted((name.removesuffix(".png") for name in standing if name.endswith(".png")), key=natural):
        short, _, number = stem.casefold().rpartition("_")
        if stem.casefold() in wanted or (short in wanted and number.isdecimal()):
            image = origin(folder / f"{stem}.png")[0]
            kinds = zip((DRAWING, *maps), files(stem, maps), strict=True)
            whole = all(origin(folder / name) == (image, kind) for kind, name in kinds if name in standing)
            if image in addresses and whole:
                found.setdefault(image, []).append(stem)
    return found


def address(image: Path) -> str:
    """An image as its drawings name it: in ASCII, whatever its name is made of."""
    return Path(os.path.abspath(image)).as_uri()  # noqa: PTH100 (".." goes, links stay as they are)


def origin(file: Path) -> tuple[str, str]:
    """The address of the image that ``file`` was drawn from, and what it shows of it, as its header says; ("", "") of
    what predict did not write."""
    try:
        with opened(file) as picture:
            noted = picture.info
    except DataError:
        return "", ""
    return (str(noted.get(IMAGE)), str(noted.get(KIND))) if noted.get(WRITER) == WRITTEN_BY else ("", "")


def stems(
    paths: Sequence[Path],
    *,
    maps: Sequence[str] = (),
    standing: Sequence[str] = (),
    former: Mapping[str, Sequence[str]] | None = None,
) -> list[str]:
    """A name for each image's files, as :func:`files` has them; where one of those is taken it gets a number.

    No drawing has the name that a map has of another image: x_mask.png is never the drawing of a file x_mask.jpg where
    there is an image x as well. Names that differ in case alone are one file on some systems, and so count as the same.
    Names too long for what is added to them are cut.

    Args:
        paths: The images.
        maps: The names of their maps.
        standing: Files that are there already.
        former: Image, as :func:`address` names it -> the stems that are there for it to be drawn anew.
    """
    room = _room(maps)
    own = _shortened(paths, room)
    meant = {name for stem in {stem.casefold() for stem in own.values()} for name in files(stem, maps)[1:]}
    again = {image: [*found] for image, found in (former or {}).items()}
    kept = {stem for found in again.values() for stem in found}
    taken = {name.casefold() for name in standing} | {name for stem in kept for name in files(stem.casefold(), maps)}
    tried: dict[str, int] = {}  # the last number of each name, since what is taken stays taken
    found = []
    for path in paths:
        if mine := again.get(address(path)) if again else None:
            found.append(mine.pop(0))
            continue
        short = own[path.stem]
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


def _room(maps: Sequence[str]) -> int:
    """Bytes of the longest stem whose files have names that every system takes."""
    return LONGEST - max(len(os.fsencode(name)) for name in files("", maps))


def _shortened(paths: Sequence[Path], room: int) -> dict[str, str]:
    """The stem of each image -> as much of it as there is room for."""
    return {stem: _cut(stem, most=room) for stem in {path.stem for path in paths}}


def _cut(stem: str, *, most: int) -> str:
    """``stem`` without the last letters by which it is longer than ``most`` bytes."""
    while len(os.fsencode(stem)) > most:
        stem = stem[:-1]
    return stem


def files(stem: str, maps: Sequence[str]) -> list[str]:
    """The names of an image's files: its drawing first, then its maps."""
    return [f"{stem}.png", *(f"{stem}_{name}.png" for name in maps)]


def saved(found: Mapping[str, Image.Image], folder: Path, names: Sequence[str], *, image: Path) -> dict[str, str]:
    """Where each of an image's pictures lies in ``folder`` once they are written under ``names``, which say so within.

    Raises:
        UserError: One cannot be written, or another process has put something else there since it was named.
    """
    with writing(folder):
        for name, (kind, picture) in zip(names, found.items(), strict=True):
            _write(folder / name, _encoded(picture, address(image), kind), own=(address(image), kind))
    return {kind: str(folder / name) for kind, name in zip(found, names, strict=True)}


def _encoded(picture: Image.Image, image: str, kind: str) -> memoryview:
    """A PNG that says what :func:`origin` reads."""
    said, content = PngInfo(), io.BytesIO()
    for key, value in ((WRITER, WRITTEN_BY), (IMAGE, image), (KIND, kind)):
        said.add_text(key, value)
    picture.save(content, "PNG", **FASTEST, pnginfo=said)
    return content.getbuffer()


def _write(file: Path, data: memoryview, *, own: tuple[str, str]) -> None:
    """Write ``file`` where nothing stands but what has its ``own`` origin, at once: of half a PNG nothing is known."""
    try:
        stream = file.open("xb")
    except FileExistsError:
        if origin(file) != own:
            told = f"out={file.parent}: {file.name} was put there meanwhile, by another predict?"
            raise UserError(f"{told} Name another folder") from None
        stream = file.open("wb")
    with stream:
        try:
            stream.write(data)
            stream.flush()
        except OSError:
            file.unlink(missing_ok=True)
            raise


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
