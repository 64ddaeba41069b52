"""That what a command writes in the folder of a run or sweep stays there: links in it may be somebody else's."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from visrun.errors import UserError
from visrun.run_files import FOLDERS


def require_inside(folder: Path, names: Collection[str] | None = None) -> None:
    """Refuse a folder in which a link would have something written elsewhere. It may be a link itself.

    Args:
        names: What is written there, of all that may be.

    Raises:
        UserError: There is such a link, also below one of FOLDERS or in a trial's folder.
    """
    for link in _links(folder, names, set()):
        if not _lies_in(folder, link):
            raise UserError(
                f"{link}: a link that leads out of {folder}, and what is written there would land elsewhere; "
                "remove it or put what it leads to in its place"
            )


def _links(folder: Path, names: Collection[str] | None, followed: set[str]) -> Iterator[Path]:
    """The links that a command may write through: also those that lead to nothing yet, and those behind a link."""
    try:
        with os.scandir(folder) as found:
            entries = [entry for entry in found if names is None or entry.name in names]
    except OSError:  # not there yet, or nothing is written there
        return
    for entry in entries:
        path, written = folder / entry.name, entry.name in FOLDERS or entry.name.isdecimal()
        if entry.is_symlink():
            is_folder = os.path.isdir(path)  # noqa: PTH112 (a loop of links is none)
            if written or not is_folder:
                yield path
            if not (written and is_folder) or (real := os.path.realpath(path)) in followed:  # links lead in circles
                continue
            followed.add(real)
        if written and entry.is_dir():
            yield from _links(path, None, followed)


def _lies_in(folder: Path, link: Path) -> bool:
    real = Path(os.path.realpath(link))
    return not real.is_symlink() and real.is_relative_to(os.path.realpath(folder))  # the former: a loop of links
