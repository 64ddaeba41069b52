"""A trial's new attempt goes on where a former one of the same settings was stopped, in a folder of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from visrun.checkpoint import DIGEST
from visrun.config.configured import Configured
from visrun.errors import VisrunError, first_line
from visrun.record.inside import require_inside
from visrun.record.journal import changes, identity
from visrun.record.remember import remembered
from visrun.record.resuming import CannotResume
from visrun.record.run_folder import RunFolder, read_json
from visrun.result import Result
from visrun.run_files import CHECKPOINTS, FILE_NAME, HYDRA, LOCK, LOG, METRICS, PLOTS, STATUS
from visrun.tracking import Tracker
from visrun.tracking.names import RECORD
from visrun.trial import Trial

OWN = {FILE_NAME, METRICS, LOG, STATUS, LOCK, RECORD, HYDRA, CHECKPOINTS, PLOTS}  # that a run makes before an epoch


class Taken(NamedTuple):
    """A run that was moved: from which ``folder``, and what its experiment.json holds."""

    folder: Path
    content: dict[str, Any]


def gone_on(trial: Trial, folder: Path, resolved: Configured, begin: Callable[..., Result]) -> Result:
    """The result of a trial in ``folder``, from where an attempt before it was stopped, if there was one.

    Args:
        begin: Runs it; its ``former`` is the experiment.json of a run in ``folder`` to go on with.
    """
    taken = taken_over(trial.formers(folder), folder, resolved, trial.begins_anew)
    if taken is not None:
        try:
            return begin(former=taken.content)
        except CannotResume as error:
            trial.begins_anew(error.reason)
            _put_back(folder, taken.folder)
    return begin()


def leave_none_empty(formers: Iterable[Path], folder: Path, tracker: Tracker) -> None:
    """Take away the runs in ``formers``, here and in the tracker, that were killed before they had anything to keep.

    What has an epoch, a checkpoint or a file of a person's own stays, and what lies elsewhere than ``folder``.
    """
    for former in formers:
        if former.resolve() == folder.resolve() or former.resolve().parent != folder.resolve().parent:
            continue
        if not (former / FILE_NAME).is_file() and not (former / HYDRA).is_dir():  # the latter, where it came no further
            continue
        with suppress(VisrunError, OSError):  # one that cannot be read, or that somebody writes: it stays
            require_inside(former)
            with RunFolder(former):  # whoever goes on with it by hand waits, or has: judged with the lock alone
                if _is_empty(former):
                    tracker.drop_run(former / RECORD)
                    shutil.rmtree(former)


def taken_over(
    formers: Iterable[Path], folder: Path, resolved: Configured, left: Callable[[str], object]
) -> Taken | None:
    """Move all that the first of the runs in ``formers`` that can be gone on with has left into ``folder``.

    Args:
        left: Told why a run with a checkpoint stays where it is: ``resolved`` changes its numbers, somebody writes it,
            it lies in another folder than ``folder``, or its files cannot be moved.

    Returns:
        That run; None where there is none.
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
                return Taken(former, content)
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


def _put_back(folder: Path, former: Path) -> None:
    """Let a run that was moved into ``folder``, and could not go on there, lie where it lay.

    Raises:
        VisrunError: It cannot be moved; what begins in ``folder`` would write over it.
    """
    if former.resolve() == folder.resolve():
        return
    try:
        former.mkdir()
        move(folder, former)
        for entry in folder.iterdir():
            if entry.is_file():
                entry.unlink()
    except OSError as error:
        raise VisrunError(f"{folder}: what trial {former.name} has trained cannot be moved back ({error})") from error


def _is_empty(folder: Path) -> bool:
    """Whether a run's folder, without what a write that broke off has left, holds no epoch, checkpoint or picture, and
    nothing that no run writes."""
    files = RunFolder(folder)
    if {entry.name for entry in folder.iterdir()} - OWN or any(files.plots.iterdir()) or files.read_metrics():
        return False
    return all(file.suffix == DIGEST for file in files.checkpoints.iterdir())  # written before its checkpoint


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
