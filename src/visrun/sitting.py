"""One sitting of a run: from where it stands through the loop to its last files, or to where it is broken off."""

from __future__ import annotations

from contextlib import suppress

from visrun import lessons
from visrun.advice import one_value, tell_of_bf16
from visrun.conclusion import result_of
from visrun.config.configured import Configured
from visrun.device import is_out_of_memory
from visrun.errors import no_way_out
from visrun.memory import ONE_VALUE, out_of_memory, setting_up
from visrun.parts import Parts
from visrun.record.epochs import monitor_of
from visrun.record.journal import Journal, identity
from visrun.record.recorder import Outlets, RunRecorder, tell_best, tell_epoch
from visrun.record.resuming import epochs_so_far
from visrun.result import Result
from visrun.run_files import PLOTS
from visrun.signals import Stop
from visrun.training import Ended, Judge, Limits, Progress, fit, why_early
from visrun.trial import Trial, recall
from visrun.validation import show, validate


@no_way_out()
def train(
    resolved: Configured,
    made: Parts,
    *,
    journal: Journal,
    outlets: Outlets,
    stop: Stop,
    progress: Progress,
    trial: Trial | None,
) -> Result:
    """Train from where ``progress`` stands, measure and draw the best epoch, and close the journal.

    Args:
        outlets: With the tracker, begun already.
        stop: From here on a signal waits until the step under way is done.
        progress: Changed in place.
        trial: The sweep's that this is; None of a run alone.

    Raises:
        VisrunError: The loss diverged, the device's memory is too small, a file could not be written.
    """
    values, run = resolved.hyperparameters, resolved.settings.run
    files, tracker, screen = outlets.folder, outlets.tracker, outlets.screen
    rows = epochs_so_far(files, progress, screen)
    for row in rows:  # the store may have missed some; those it has it leaves as they are
        tell_epoch(tracker, row)
    recorder = _recorder(resolved, made, outlets)
    limits = Limits(made.epochs, values.early_stopping_patience, values.warmup_epochs, run.max_time)
    judge, verdict = trial.report if trial else None, None
    if trial is not None:
        trial.sees(len(made.dataset.splits["train"]))
        verdict = recall(trial, rows, made.entry)
    if trial is None and len(made.lessons) and progress.epoch == progress.step == 0:
        tell_of_bf16(resolved.settings, made.built.module, made.device, screen)
        with setting_up(made.device):
            tracker.artifact(lessons.draw(made.loaders["train"], made.dataset, files.plots), PLOTS)
    stop.deferred = True
    ended = _fit(
        resolved, made, progress=progress, limits=limits, recorder=recorder, stop=stop, judge=judge, verdict=verdict
    )
    screen.end_progress()
    if early := why_early(ended.limit, progress, monitor_of(files.read_metrics(), made.entry)):
        ended = Ended("finished", early)
    if ended.reason:
        screen.say(f"ended after epoch {progress.epoch}: {ended.reason}")
    if made.step.graph_note:
        journal.note(graph=made.step.graph_note)
    result = result_of(ended, stop, made=made, progress=progress, outlets=outlets, alone=trial is None)
    lasted = {"epochs": progress.epoch, "seconds": progress.seconds}
    facts = {"best_epoch": result.best_epoch, **lasted, **({"reason": result.reason} if result.reason else {})}
    journal.close(result.status, exit_code=result.exit_code, **facts, val=result.val, test=result.test)
    if trial is not None:
        trial.end(**lasted, reason=result.reason, data=made.dataset.fingerprint)
    return result


def _fit(
    resolved: Configured,
    made: Parts,
    *,
    progress: Progress,
    limits: Limits,
    recorder: RunRecorder,
    stop: Stop,
    judge: Judge | None,
    verdict: str | None,
) -> Ended:
    """:func:`visrun.training.fit`; an error that ends it leaves the best weights saved. Raises OutOfMemory, too."""
    try:
        return fit(
            made.entry,
            made.step,
            made.scheduler,
            made.lessons,
            lambda: validate(made, progress.epoch, recorder.watch),
            progress=progress,
            limits=limits,
            recorder=recorder,
            stop=stop,
            seed=resolved.settings.seed,
            judge=judge,
            verdict=verdict,
        )
    except Exception as error:
        with suppress(Exception):  # what ended the run may prevent this as well, and is what to tell
            recorder.save_best()
        if ONE_VALUE in str(error) and resolved.hyperparameters.batch_size == 1:
            raise one_value(resolved.settings, made.notes["image_size"]) from error
        if not is_out_of_memory(error):
            raise
    finally:
        tell_best(recorder.folder, recorder.tracker, progress.best_epoch)
    # Beyond the clause: the error's traceback holds all that the failed step had in memory.
    raise out_of_memory(made.step, made.lessons, kept=made.kept)


def _recorder(resolved: Configured, made: Parts, outlets: Outlets) -> RunRecorder:
    return RunRecorder(
        outlets,
        made.step,
        made.scheduler,
        max_epochs=made.epochs,
        entry=made.entry,
        images_per_step=made.lessons.batch_size,
        portrait=made.portrait,
        identity=identity(resolved),
        begun=made.built.begun(),
        picture=lambda: show(made, outlets.folder.plots, "val"),
    )
