"""How a run ends in its tracker: at once, or later where its process died before the store had all of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from visrun.console import Screen, logged
from visrun.errors import VisrunError, exit_code, first_line
from visrun.files import part_of, read_object
from visrun.record.inside import require_inside
from visrun.record.journal import Journal
from visrun.record.outputs import RUNS
from visrun.record.recorder import Outlets, tell_best, tell_epoch
from visrun.record.remember import changed, remembered
from visrun.record.run_folder import RunFolder, has_died, read_json, writer_of
from visrun.record.tracked import tracker_of, uri_of
from visrun.result import Ending
from visrun.run_files import FILE_NAME, LOCK, LOG, METRICS, PLOTS
from visrun.signals import Interrupted
from visrun.tracking import Tracker, default_uri
from visrun.tracking.names import RECORD, is_of_store, is_open
from visrun.tracking.uris import URI, absolute_uri

DRAWN = (".png", ".csv")  # what a run leaves in plots/


def end(outlets: Outlets, status: Ending, reason: str | None) -> None:
    """Hand the last files to the tracker and close it."""
    files, tracker, screen = outlets.folder, outlets.tracker, outlets.screen
    for file in (files.path / FILE_NAME, files.metrics):
        if file.exists():
            tracker.artifact(file)
    warning = tracker.finish(status, reason)
    if warning:
        screen.warn(warning)
    elif tracker.link:
        screen.say(f"MLflow: {tracker.link}{f'  after: {tracker.command}' if tracker.command else ''}")


def broken_off(error: BaseException, journal: Journal, outlets: Outlets) -> None:
    """Close a run that ``error`` has ended, in its folder and in the tracker."""
    status: Ending = "killed" if isinstance(error, KeyboardInterrupt) else "failed"
    reason = None if isinstance(error, Interrupted) else first_line(error)
    try:
        journal.close(status, **({"reason": reason} if reason else {}), exit_code=exit_code(error))
    except VisrunError as unwritten:  # of a full disk, say, which may be what ended the run
        outlets.screen.warn(str(unwritten))
    end(outlets, status, reason)


def end_killed(folder: Path, tracker: Tracker) -> None:
    """Close, in the tracker's store, the runs of earlier processes that were killed, which would stay RUNNING there.

    They are those beside the run in ``folder``, all below one outputs/. Their own folders stay as they are, and
    ``visrun resume`` goes on with them.
    """
    if folder.parent.parent.name != RUNS:
        return
    with suppress(OSError):  # what may not be looked at is not ours
        for lock in folder.parent.parent.glob(f"*/*/{LOCK}"):
            if has_died(lock.parent):
                tracker.end_run(lock.parent / RECORD, "killed", "its process was killed")


def complete(folder: Path, screen: Screen, values: Mapping[str, Any] | None = None) -> None:
    """Send MLflow what it lacks of a finished run, all of it if it never got to know it, but for the model, which would
    have to be traced anew.

    Nothing is opened where it has all, or where the run's process still sends it; where its store is not the one that
    is named now, that is said.

    Args:
        folder: The run's.
        screen: Where to say so.
        values: As `visrun.run.resume` takes them; those of tracking name another store, which gets all.

    Raises:
        UserError: The folder cannot be written, a link leads out of it, or experiment.json is not valid here.
    """
    record = read_object(folder / RECORD)
    named = {key: value for key, value in (values or {}).items() if key.startswith("tracking.")}
    if (record and not is_open(record) and not named) or writer_of(folder) is not None:
        return
    if not record and not (folder / METRICS).is_file():  # a run's experiment.json alone
        return
    require_inside(folder)
    resolved = changed(remembered(folder), named)
    if resolved.settings.tracking.name == "none":
        return
    here = absolute_uri(uri_of(resolved.settings, folder) or default_uri())
    if record and not named and not is_of_store(record, here):
        screen.warn(
            f"MLflow at {record.get('uri')} has not got all of this run, and is not the store that is used now: set "
            f"{URI} to it and resume again"
        )
        return
    screen.say("MLflow has not got all of this run: what it lacks is sent now, but for the model")
    with RunFolder(folder) as files, logged(files.path / LOG):
        rows, content = files.read_metrics(), read_json(files.path / FILE_NAME)
        result, names = part_of(content, "result"), {key.partition("/")[2] for row in rows for key in row}
        tracker = tracker_of(resolved, files.path, content, names=names)
        tracker.start()
        for row in rows:
            tell_epoch(tracker, row)
        tell_best(files, tracker, result.get("best_epoch", 0))
        tracker.summary({f"test/{key}": value for key, value in part_of(result, "test").items()})
        for file in sorted(path for path in files.plots.iterdir() if path.suffix in DRAWN):
            tracker.artifact(file, PLOTS)
        end(Outlets(files, tracker, screen), "finished", result.get("reason"))
