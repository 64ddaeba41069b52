"""Where ``visrun predict`` puts its pictures: each into a file of its own, and none over an image that is read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import torch
from torch import Tensor

from visrun.errors import UserError
from visrun.folders import expanded
from visrun.record.run_folder import run_of
from visrun.tasks.base import Prediction

FOLDER = "predictions"


def folder_of(run: str | Path, out: str | None) -> Path:
    """The folder for the pictures, made.

    Args:
        run: A run's folder, or a checkpoint; one that lies in no run has its pictures in the current folder.
        out: What the user named instead, or None.

    Raises:
        UserError: It cannot be written.
    """
    folder = expanded(out) if out is not None else (run_of(expanded(run)) or Path()) / FOLDER
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # known before the predictions, which take long
            return folder


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """What the system refuses while files are written into ``folder``, as one line.

    Raises:
        UserError: Instead of any OSError.
    """
    try:
        yield
    except OSError as error:
        raise UserError(f"out={folder}: cannot be written ({error.strerror or error}); name another folder") from None


def maps_of(prediction: Prediction, *, ids: Sequence[int] = ()) -> dict[str, Tensor]:
    """What of a prediction for one image is a picture itself: name -> (H, W) uint8, such as ``mask``.

    Args:
        ids: What the values 0, 1, ... are in the user's masks; () = themselves. 255 stays 255, which is "not seen", or
            is 0 where an id is 255.
    """
    table = torch.arange(256, dtype=torch.uint8)
    table[: len(ids)] = torch.tensor(ids, dtype=torch.uint8)
    table[255] = 0 if 255 in ids else 255
    return {
        name: table[values[0].cpu().long()]
        for name, values in prediction.items()
        if values.dim() == 3 and values.dtype == torch.uint8
    }


def stems(paths: Sequence[Path], *, maps: Sequence[str] = ()) -> list[str]:
    """A name for each image's files, as :func:`files` has them; where one of those is taken it gets a number."""
    taken: set[str] = set()
    tried: dict[str, int] = {}  # the last number of each name, since what is taken stays taken
    found = []
    for path in paths:
        for number in count(tried.get(path.stem, 1)):
            stem = path.stem if number == 1 else f"{path.stem}_{number}"
            if taken.isdisjoint(files(stem, maps)):
                break
        tried[path.stem] = number
        taken.update(files(stem, maps))
        found.append(stem)
    return found


def files(stem: str, maps: Sequence[str]) -> list[str]:
    """The names of an image's files: its drawing first, then its maps."""
    return [f"{stem}.png", *(f"{stem}_{name}.png" for name in maps)]


def protect(images: Sequence[Path], *, folder: Path, names: Sequence[str]) -> None:
    """Refuse to write files of ``names`` into ``folder`` where one of them is an image that is read, also by a link.

    Raises:
        UserError: One would be replaced.
    """
    read = {_file(path) for path in images}
    for name in names:
        if (folder / name).exists() and _file(folder / name) in read:
            raise UserError(f"out={folder}: {name} would replace an image that is read; name another folder")


def _file(path: Path) -> tuple[int, int]:
    """The file behind a path, whatever links lead to it."""
    found = path.stat()
    return found.st_dev, found.st_ino
