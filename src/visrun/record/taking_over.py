"""A trial's new attempt goes on where a former one of the same settings was stopped, in a folder of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from visrun.config.configured import Configured
from visrun.errors import VisrunError
from visrun.record.inside import require_inside
from visrun.record.journal import changes, identity
from visrun.record.remember import remembered
from visrun.record.run_folder import RunFolder, read_json
from visrun.run_files import CHECKPOINTS, FILE_NAME, LOCK

HYDRA = ".hydra"  # each attempt has its own


def taken_over(formers: Iterable[Path], folder: Path, resolved: Configured) -> dict[str, Any] | None:
    """Move all that the first of the runs in ``formers`` that can be gone on with has left into ``folder``.

    Returns:
        What its experiment.json holds; None where there is no such run: it lies beside ``folder``, or in it, has a
        checkpoint, ``resolved`` changes none of its numbers, and nobody is writing it.
    """
    place = folder.resolve()
    for former in formers:
        if former.resolve().parent != place.parent:  # of a sweep that this one was copied from
            continue
        with suppress(VisrunError, OSError):
            content = read_json(former / FILE_NAME)
            if changes(identity(remembered(former, content)), resolved) or not RunFolder(former).last.is_file():
                continue
            if former.resolve() == place:  # hydra.sweep.subdir names it after its settings
                return content
            require_inside(former)
            with RunFolder(former):
                move(former, folder)
            shutil.rmtree(former, ignore_errors=True)
            return content
    return None


def move(former: Path, folder: Path) -> None:
    """Move what a run wrote. Killed on the way, one of the two folders holds all that it takes to go on.

    Raises:
        OSError: A file cannot be moved, or there are checkpoints in ``folder``.
    """
    own = [entry for entry in former.iterdir() if entry.name not in (HYDRA, LOCK)]
    for entry in own:
        if entry.is_file():
            shutil.copy2(entry, folder / entry.name)
    (former / CHECKPOINTS).rename(folder / CHECKPOINTS)
    for entry in own:
        if entry.is_dir() and entry.name != CHECKPOINTS:
            shutil.move(entry, folder / entry.name)
