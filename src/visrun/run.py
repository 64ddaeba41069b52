"""The composition root: a resolved configuration becomes a trained run in its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from visrun import checkpoint, feeding, parts, preflight, sitting
from visrun.allocator import kept_memory
from visrun.config import experiment
from visrun.config.compose import Resolved, resolve
from visrun.config.configured import Configured
from visrun.config.lines import texts
from visrun.console import Screen, logged, logger
from visrun.errors import UserError, no_way_out
from visrun.files import part_of
from visrun.from_python import named_folder, single_run
from visrun.parts import Parts
from visrun.record.inside import require_inside
from visrun.record.journal import Journal
from visrun.record.next_steps import once_finished, onward, what_next
from visrun.record.outputs import new_run_folder
from visrun.record.recorder import Outlets
from visrun.record.remember import changed, remembered, require_data
from visrun.record.resuming import last_state, require_same_data, where_left
from visrun.record.run_folder import RunFolder, read_json
from visrun.record.taking_over import gone_on, leave_none_empty
from visrun.record.tracked import command_of, names_of, noted_of, run_name, sitting_of, tracker_of
from visrun.record.tracker_end import broken_off, complete, end, end_killed
from visrun.result import Result
from visrun.run_files import LOG
from visrun.signals import STOPPING, Interrupted, stop_on_signals
from visrun.tracking import NoTracker, forget
from visrun.trial import Trial


def train(overrides: Sequence[str] = ()) -> Result:
    """Train one run as ``visrun OVERRIDES...`` does, in ``hydra.run.dir`` or a folder of its own below ``outputs``.

    One at a time in a process: it seeds torch's own random numbers. Its switches of determinism and speed are put back,
    and the random numbers of Python and NumPy.

    Raises:
        ConfigError: Settings that are wrong, all at once.
        DataError: A dataset that cannot be trained on.
        VisrunError: The run failed, or another one is under way.
        KeyboardInterrupt: Ctrl-C or SIGTERM, once all is saved for ``visrun resume``.
    """
    named, resolved, screen = named_folder(overrides), resolve(overrides), Screen()
    preflight.require(resolved.settings)
    for line in texts(resolved.notices):
        screen.say(line)
    for line in texts(resolved.warnings):
        screen.warn(line)
    with single_run():
        result = execute(resolved, named or new_run_folder(resolved.settings.task))
    if result.exit_code:  # a loop over runs ends with the one that was stopped
        raise Interrupted(result.exit_code)
    return result


def execute(resolved: Resolved, folder: Path, *, trial: Trial | None = None) -> Result:
    """Train, evaluate, and leave everything in ``folder``; as a sweep's trial, too. Raises what :func:`train` does."""
    name, tags = (trial.name, trial.tags) if trial else (run_name(resolved), {})
    tags = {"command": command_of(resolved), **tags}
    begin = partial(_run, resolved, folder, Screen(), trial=trial, name=name, tags=tags)
    return gone_on(trial, folder, resolved, begin) if trial else begin()


def resume(folder: Path, values: Mapping[str, Any] | None = None) -> int:
    """Go on with an interrupted run and return its exit code; a finished run says so and returns 0.

    Of a finished one :func:`visrun.record.tracker_end.complete` sends MLflow what it lacks.

    Args:
        folder: The run's.
        values: Dotted key -> another value of a setting that changes no number of the run, or ``data.root``.

    Raises:
        ConfigError: A value that its setting does not take.
        UserError: No run is there, a link leads out of it, or its settings or data are no longer what they were.
    """
    screen, former = Screen(), read_json(folder / experiment.FILE_NAME)
    if part_of(former, "result").get("status") == "finished":
        complete(folder, screen, values)
        screen.say(f"{folder}: this run is finished; {once_finished(folder, former)}")
        return 0
    require_inside(folder)
    resolved = changed(remembered(folder, former), values or {})
    require_data(folder, resolved.settings, onward=f"name where it is: visrun resume {folder} data.root=PATH")
    return _run(resolved, folder, screen, former=former).exit_code


def _run(
    resolved: Configured,
    folder: Path,
    screen: Screen,
    *,
    former: Mapping[str, Any] | None = None,
    trial: Trial | None = None,
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Result:
    """A new run, or one that goes on from its ``former`` experiment.json; that has its name and first tags already."""
    with RunFolder(folder) as files, logged(files.path / LOG), stop_on_signals(STOPPING) as stop, kept_memory():
        outlets, progress = Outlets(files, NoTracker(), screen, stop), None
        state = last_state(files, resolved, screen) if former else None
        if former is None:
            forget(files.path)
        before = files.snapshot()
        journal = Journal(files, resolved, former=former)
        try:
            screen.say(f"run: {files.path}")
            stop.last = f"ended at once; {onward(files)}"
            if trial is not None:
                trial.begin(files.path)
            made = _made(resolved, journal, screen, former=former, state=state, alone=trial is None)
            progress = where_left(state, files, screen, step=made.step, scheduler=made.scheduler, device=made.device)
            tags = {**sitting_of(parameters=parts.count_parameters(made.built.module)), **(tags or {})}
            names = names_of(made.dataset)
            tracker = tracker_of(resolved, files.path, journal.content, names=names, name=name, tags=tags)
            outlets = replace(outlets, tracker=tracker)
            tracker.start()
            if trial is None:
                end_killed(files.path, tracker)
            else:
                leave_none_empty(trial.formers(files.path), files.path, tracker)
            result = sitting.train(
                resolved, made, journal=journal, outlets=outlets, stop=stop, progress=progress, trial=trial
            )
        except BaseException as error:
            screen.end_progress()
            wrong = isinstance(error, UserError)  # what is said is all there is to know
            logger.error(
                "the run ended: %s", error if wrong else type(error).__name__, exc_info=None if wrong else error
            )
            if former and progress is None and wrong:  # refused: it is what it was
                files.put_back(before)
                raise
            broken_off(error, journal, outlets)
            screen.say(what_next(files, error, alone=trial is None))
            if isinstance(error, Interrupted):
                error.said = True
            raise
        end(outlets, result.status, result.reason)
        if result.status == "killed":
            screen.say(what_next(files, alone=trial is None))
        elif trial is None:  # one that came while the tracker took the last things
            result = replace(result, exit_code=stop.exit_code or 0)
    return result


@no_way_out()
def _made(
    resolved: Configured,
    journal: Journal,
    screen: Screen,
    *,
    former: Mapping[str, Any] | None,
    state: Mapping[str, Any] | None,
    alone: bool,
) -> Parts:
    """The data and all that learns from them, noted in the journal. Raises what refuses them."""
    dataset = feeding.read_dataset(resolved.settings, screen)
    if state is not None:
        require_same_data(former, dataset, journal.files.path)
    else:
        checkpoint.remove(journal.files.best, journal.files.former, journal.files.last)
    journal.fingerprint(dataset.fingerprint)
    journal.note(fingerprints=dataset.fingerprints, data=noted_of(dataset))
    made = parts.build(resolved, dataset, screen, alone=alone, begun=state["begun"] if state else None)
    journal.note(**made.notes)
    return made
