"""A trial's new attempt goes on where a former one of the same settings was stopped, in a folder of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from visrun.config.configured import Configured
from visrun.errors import VisrunError, first_line
from visrun.record.inside import require_inside
from visrun.record.journal import changes, identity
from visrun.record.remember import remembered
from visrun.record.resuming import CannotResume
from visrun.record.run_folder import RunFolder, read_json
from visrun.result import Result
from visrun.run_files import CHECKPOINTS, FILE_NAME, HYDRA, LOCK
from visrun.trial import Trial


def gone_on(trial: Trial, folder: Path, resolved: Configured, begin: Callable[..., Result]) -> Result:
    """The result of a trial in ``folder``, from where an attempt before it was stopped, if there was one.

    Args:
        begin: Runs it; its ``former`` is the experiment.json of a run in ``folder`` to go on with.
    """
    former = taken_over(trial.formers(folder), folder, resolved, trial.begins_anew)
    if former is not None:
        try:
            return begin(former=former)
        except CannotResume as error:
            trial.begins_anew(error.reason)
    return begin()


def taken_over(
    formers: Iterable[Path], folder: Path, resolved: Configured, left: Callable[[str], object]
) -> dict[str, Any] | None:
    """Move all that the first of the runs in ``formers`` that can be gone on with has left into ``folder``.

    Args:
        left: Told why a run with a checkpoint stays where it is: ``resolved`` changes its numbers, somebody writes it,
            it lies in another folder than ``folder``, or its files cannot be moved.

    Returns:
        What its experiment.json holds; None where there is no such run.
    """
    for former in formers:
        if not RunFolder(former).last.is_file():
            continue
        try:
            content = read_json(former / FILE_NAME)
            changed = changes(identity(remembered(former, content)), resolved)
            if changed:
                left(f"{former}: its settings have changed since ({'; '.join(changed)})")
            elif former.resolve().parent != folder.resolve().parent:  # as of a sweep that this one was copied from
                left(f"{former}: lies in another folder than this sweep's trials")
            else:
                _take(former, folder)
                return content
        except (VisrunError, OSError) as error:
            left(first_line(error))
    return None


def _take(former: Path, folder: Path) -> None:
    if former.resolve() == folder.resolve():  # hydra.sweep.subdir names it after its settings
        return
    require_inside(former)
    with RunFolder(former):
        move(former, folder)
    shutil.rmtree(former, ignore_errors=True)


def move(former: Path, folder: Path) -> None:
    """Move what a run wrote. Killed on the way, one of the two folders holds all that it takes to go on.

    Raises:
        OSError: A file cannot be moved, or there are checkpoints in ``folder``.
    """
    # Each attempt has Hydra's record and the lock of its own.
    own = [entry for entry in former.iterdir() if entry.name not in (HYDRA, LOCK)]
    for entry in own:
        if entry.is_file():
            shutil.copy2(entry, folder / entry.name)
    (former / CHECKPOINTS).rename(folder / CHECKPOINTS)
    for entry in own:
        if entry.is_dir() and entry.name != CHECKPOINTS:
            shutil.move(entry, folder / entry.name)
