"""What the loop leaves outside itself: lines on the screen, metrics on the disk and in the tracker, checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from visrun import checkpoint
from visrun.chance import random_state, set_random_state
from visrun.console import Screen, epoch_line
from visrun.errors import UserError
from visrun.numbers import number
from visrun.optimizers import load_optimizer
from visrun.record.run_folder import RunFolder
from visrun.run_files import EPOCH_SECONDS, PLOTS, SECONDS, SPEED, is_metric, is_of_class
from visrun.signals import Stop
from visrun.step import Step
from visrun.tables import TaskEntry
from visrun.tracking import Tracker
from visrun.tracking.names import AT
from visrun.training import Progress, Scheduler

TELL_SECONDS = 1.0  # between two lines of status.json while an epoch is under way
SAVING_SHARE = 0.05  # checkpoints may take this part of the time; a resumed run repeats what came after the last one
DRAWING_SHARE = 0.03  # and pictures of a new best this one; the last best is drawn anyway when the run ends
FIRST_DRAWING = 0.3  # seconds that a picture is taken to cost before one was drawn


@dataclass(frozen=True)
class Outlets:
    """Where a run tells what it does, and hears that it is to ``stop``."""

    folder: RunFolder
    tracker: Tracker
    screen: Screen
    stop: Stop = field(default_factory=Stop)

    def watch(self, title: str, done: int, total: int) -> None:
        """Move the bar of ``title``.

        Raises:
            Interrupted: The run is to stop.
        """
        self.screen.progress(title, done, total)
        self.stop.heed()


def tell_epoch(tracker: Tracker, row: Mapping[str, float]) -> None:
    """Hand a line of metrics.jsonl to the tracker."""
    tracker.epoch(int(row["epoch"]), {key: value for key, value in row.items() if key != "epoch"})


def tell_best(files: RunFolder, tracker: Tracker, best_epoch: int) -> None:
    """Note the best epoch and its values, if there is one: of a run that did not finish, too."""
    if best_epoch:
        with suppress(UserError):  # metrics.jsonl cannot be read, which is said where the run needs it
            row = next((row for row in files.read_metrics() if row["epoch"] == best_epoch), {})
            values = {key: value for key, value in row.items() if key == "val_loss" or is_metric(key)}
            whole = {f"best/{key}": value for key, value in values.items() if not is_of_class(key)}
            tracker.summary({"best/epoch": best_epoch, **whole})


class RunRecorder:
    """A :class:`visrun.training.Recorder` for one run folder.

    Args:
        portrait: Gives what ``best.pt`` says of the model beside its weights, so that it can be used on its own.
        identity: What ``last.pt`` must agree with when the run is resumed.
        begun: What it then knows of the weights that the run began with.
        picture: Draws what the weights that are evaluated make of some images, and returns the file. Called after an
            epoch that is the best so far, unless that would take more than DRAWING_SHARE of the time.
    """

    def __init__(
        self,
        outlets: Outlets,
        step: Step,
        scheduler: Scheduler,
        *,
        max_epochs: int,
        entry: TaskEntry,
        images_per_step: int,
        portrait: Callable[[], Mapping[str, Any]],
        identity: Mapping[str, Any],
        begun: Mapping[str, Any],
        picture: Callable[[], Path] | None = None,
    ) -> None:
        self.folder, self.tracker, self.screen = outlets.folder, outlets.tracker, outlets.screen
        self.watch = outlets.watch
        self.train_step, self.scheduler = step, scheduler
        self.max_epochs, self.entry, self.images_per_step = max_epochs, entry, images_per_step
        self.portrait, self.identity, self.begun = portrait, dict(identity), dict(begun)
        self.best: dict[str, Any] | None = None
        self.save_after, self.noted, self.shown = 0.0, False, ""
        self.told = (time.monotonic(), 0, 0)  # when status.json was written last, and the epoch and step of it
        self.loss: float | None = None
        self.widths: dict[str, int] = {}
        self.picture, self.began = picture, time.monotonic()
        self.drawing, self.next_drawing = 0.0, FIRST_DRAWING

    def step(self, progress: Progress, steps: int, loss: float | None) -> None:
        """Move the bar, which shows the latest loss that is known."""
        if loss is not None:
            self.loss, self.shown = loss, f"  loss {number(loss)}"
        if time.monotonic() - self.told[0] >= TELL_SECONDS or progress.step == steps:
            self._tell(progress, steps)
        self.screen.progress(f"epoch {progress.epoch + 1}/{self.max_epochs}{self.shown}", progress.step, steps)

    def _tell(self, progress: Progress, steps: int) -> None:
        """Say in status.json which step of which epoch was done last, and how long one takes now."""
        now, (before, epoch, step) = time.monotonic(), self.told
        done = progress.step - step if epoch == progress.epoch else 0
        speed = {"step_seconds": (now - before) / done, "images_per_step": self.images_per_step} if done > 0 else {}
        self.told = (now, progress.epoch, progress.step)
        if trouble := self.tracker.trouble():
            self.screen.end_progress()
            self.screen.warn(trouble)
        place = {"epoch": progress.epoch + 1, "epochs": self.max_epochs, "step": progress.step, "steps": steps}
        self.folder.tell("training", **place, **speed, loss=self.loss)

    def epoch(
        self, progress: Progress, row: dict[str, float], improved: bool, *, seconds: float, step_seconds: float | None
    ) -> None:
        """Write the epoch's line everywhere; keep the weights of a new best in memory.

        Args:
            row: What it has learnt and how well.
            improved: Whether its metric is the best so far.
            seconds: That it took.
            step_seconds: Those of one of its steps; None where it took none.
        """
        speed = self.images_per_step / max(step_seconds, 1e-9) if step_seconds is not None else None
        clock = {EPOCH_SECONDS: seconds, **({} if speed is None else {SPEED: speed})}
        row = {"epoch": progress.epoch, **row, **clock, AT: time.time(), SECONDS: progress.seconds}
        if improved:
            weights = {name: value.clone() for name, value in self.train_step.evaluated.state_dict().items()}
            self.best = {**self.portrait(), "model": weights, "epoch": progress.epoch, "value": progress.best}
        self.folder.append_metrics(row)
        tell_epoch(self.tracker, row)
        self.screen.end_progress()
        if self.train_step.graph_note and not self.noted:
            self.screen.say(self.train_step.graph_note)
            self.noted = True
        monitor = self.entry.monitored(row)
        line = epoch_line(
            progress.epoch,
            self.max_epochs,
            row,
            monitor=monitor,
            speed=speed,
            improved=improved,
            widths=self.widths,
        )
        self.screen.say(line)
        if progress.epoch == 1 and monitor not in row:
            known = [name for name in self.entry.metrics if self.entry.judged_by(name).monitored(row) in row]
            told = f"; run.monitor takes {', '.join(known)}, which have one" if known else ""
            self.screen.warn(f"{monitor}, which chooses the best epoch, has no value{told}")
        if improved:
            self._draw()

    def _draw(self) -> None:
        """Renew the picture of the best, where its share of the time allows; nothing random is used up by it."""
        began = time.monotonic()
        if self.picture is None or self.drawing + self.next_drawing > DRAWING_SHARE * (began - self.began):
            return
        random = random_state(self.train_step.device)
        self.tracker.artifact(self.picture(), PLOTS)
        set_random_state(random, self.train_step.device)
        self.next_drawing = time.monotonic() - began
        self.drawing += self.next_drawing

    def save(self, progress: Progress, *, final: bool) -> None:
        """Write best.pt and last.pt, unless the last time was too short ago and this is not the end."""
        began = time.monotonic()
        if not final and began < self.save_after:
            return
        self.save_best()
        checkpoint.save(self._state(progress), self.folder.last)
        checkpoint.remove(self.folder.former)
        took = time.monotonic() - began
        self.save_after = time.monotonic() + took / SAVING_SHARE

    def save_best(self) -> None:
        """Write best.pt where there is a new best, and let go of it; the former stays until last.pt knows of this."""
        if self.best is not None:
            checkpoint.keep(self.folder.best, self.folder.former)
            checkpoint.save(self.best, self.folder.best)
            self.best = None

    def _state(self, progress: Progress) -> dict[str, Any]:
        return {
            "progress": asdict(progress),
            "model": self.train_step.model.state_dict(),
            "optimizer": self.train_step.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "step": self.train_step.state_dict(),
            "random": random_state(self.train_step.device),
            "identity": self.identity,
            "begun": self.begun,
        }


def restore(state: Mapping[str, Any], file: Path, *, step: Step, scheduler: Any, device: torch.device) -> Progress:
    """Put a run back to where ``state``, read from ``file``, left it.

    Raises:
        UserError: It is of another network, or a part is missing.
    """
    with checkpoint.reading(file):
        checkpoint.fill(step.model, state["model"], file=file)
        load_optimizer(step.optimizer, state["optimizer"])
        scheduler.load_state_dict(state["scheduler"])
        step.load_state_dict(state["step"])
        set_random_state(state["random"], device)
        progress = Progress(**state["progress"])
        for name, value in asdict(progress).items():
            if not isinstance(value, (int, float)) and (name, value) != ("best", None):
                raise TypeError(f"progress: {name}={value!r}")
        return progress
