"""What follows the last step: the best checkpoint on the test split, the pictures, the model for the tracker."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

from torch import nn

from visrun import checkpoint, gallery, parts
from visrun.figures import plots
from visrun.models import Built, Settling
from visrun.numbers import number
from visrun.parts import Parts
from visrun.record.epochs import monitor_of
from visrun.record.recorder import Outlets
from visrun.result import Result
from visrun.run_files import PLOTS, is_metric, is_of_class
from visrun.signals import Interrupted, Stop
from visrun.tasks.base import Deciding, Task
from visrun.text import plural
from visrun.tracking import Tracker
from visrun.training import Ended, Progress
from visrun.validation import measure, show, without_many


@runtime_checkable
class Remembering(Protocol):
    """A model that says in a line how much of the good images it has remembered; "" before it has."""

    remembered: str


def result_of(ended: Ended, stop: Stop, *, made: Parts, progress: Progress, outlets: Outlets, alone: bool) -> Result:
    """How the run ended; of a finished one its last files are written first, unless a signal stops it there."""
    rows = outlets.folder.read_metrics()
    best = next((row for row in rows if row["epoch"] == progress.best_epoch), {})
    val = {key: value for key, value in best.items() if is_metric(key)}
    test: dict[str, float] = {}
    if ended.status == "finished":
        try:
            test = conclude(made, outlets, rows=rows, progress=progress, alone=alone)
        except Interrupted:
            outlets.screen.end_progress()
            ended = Ended("killed")
    return Result(
        outlets.folder.path,
        ended.status,
        progress.best,
        best_epoch=progress.best_epoch,
        seconds=progress.seconds,
        val=val,
        test=test,
        exit_code=(stop.exit_code or 0) if ended.status == "killed" else 0,
        parameters=parts.count_parameters(made.built.module),
        reason=ended.reason,
    )


def conclude(
    made: Parts,
    outlets: Outlets,
    *,
    rows: Sequence[dict[str, float]],
    progress: Progress,
    alone: bool = True,
) -> dict[str, float]:
    """Evaluate the best checkpoint on test (or, for the pictures alone, val), draw, and hand all to the tracker.

    Where no epoch could be ranked, the last one's weights become best.pt, and a line says so.

    Args:
        alone: Of a run that is no part of a sweep, whose model is handed over as well (best.pt holds it anyway), and
            which a signal ends before all is measured: resumed, it is concluded. A trial's value is not to be lost.

    Returns:
        The metrics on the test split; {} where there is none.

    Raises:
        Interrupted: Ended by a signal.
    """
    files, tracker = outlets.folder, outlets.tracker
    files.tell("concluding")
    if isinstance(made.step.evaluated, Remembering) and made.step.evaluated.remembered:
        outlets.screen.say(made.step.evaluated.remembered)
    split = "test" if "test" in made.loaders else "val"
    if not progress.best_epoch:
        keep_last(made, outlets, epoch=progress.epoch)
    elif files.best.exists():
        take_best(made.step.evaluated, made.task, files.best)
    watch = outlets.watch if alone else outlets.screen.progress
    metrics = without_many(made, measure(made, split, tell=partial(watch, f"measuring {split}")))
    outlets.screen.end_progress()
    metrics = {key: value for key, value in metrics.items() if is_metric(key)}
    means = sorted((key for key in metrics if not is_of_class(key)), key=lambda key: key != made.entry.monitor)
    shown = "  ".join(f"{key} {number(metrics[key])}" for key in means) or "nothing to measure"
    whose = f"best epoch {progress.best_epoch}" if progress.best_epoch else f"last epoch {progress.epoch}"
    outlets.screen.say(f"{whose}, on {split}: {shown}")
    if is_best_in_warmup(progress, made.built, maximize=made.entry.maximize, warmup_epochs=made.warmup_epochs):
        seen = plural(len(made.loaders["val"].images), "validation image")
        outlets.screen.warn(
            f"the best epoch lies in the warm-up: after it, {seen} show no further learning; see whether "
            "learning_rate is too high, these are too few to tell, or labels are wrong"
        )
    pictures = draw(made, files.plots, split, rows=rows, progress=progress)
    for picture in pictures:
        tracker.artifact(picture, PLOTS)
    if split == "test":
        tracker.summary({f"test/{key}": value for key, value in metrics.items()})
    if alone and files.best.exists():
        hand_over(made, tracker, split)
    return metrics if split == "test" else {}


def is_best_in_warmup(progress: Progress, built: Built, *, maximize: bool, warmup_epochs: int) -> bool:
    """Whether a network from random weights was best in its warm-up, though it could have become better after it.

    Weights that were taken over may well be best at first, and so may the density of features that a model measures.
    """
    if maximize and progress.best is not None and progress.best >= 1:  # perfect
        return False
    fresh = built.is_random and not isinstance(built.module, Settling)
    return fresh and 0 < progress.best_epoch <= warmup_epochs < progress.epoch


def keep_last(made: Parts, outlets: Outlets, *, epoch: int) -> None:
    """Write best.pt from the weights as they stand, since no epoch has a value by which it is the best."""
    outlets.screen.warn(
        f"no epoch has a value of {made.entry.monitor}, by which the best is chosen: best.pt is the last"
    )
    weights = made.step.evaluated.state_dict()
    checkpoint.save({**made.portrait(), "model": weights, "epoch": epoch, "value": None}, outlets.folder.best)


def take_best(model: nn.Module, task: Task, file: Path) -> None:
    """Go back to the best epoch: the weights and the thresholds that ``file`` holds.

    Raises:
        UserError: The file is damaged or of another network.
    """
    state = checkpoint.load(file)
    with checkpoint.reading(file):
        model.load_state_dict(state["model"])
        if isinstance(task, Deciding):
            task.take(state["task_state"])


def draw(made: Parts, folder: Path, split: str, *, rows: Sequence[dict[str, float]], progress: Progress) -> list[Path]:
    """The run's pictures: curves, learning rate, what the task draws of its metric, and a sheet of predictions."""
    found = [folder / "curves.png"]
    plots.curves(rows, found[0], monitor=monitor_of(rows, made.entry), best_epoch=progress.best_epoch)
    if len(made.lessons):
        found.append(folder / "learning_rate.png")
        plots.learning_rate([row["learning_rate"] for row in rows], found[1])
    return [*found, show(made, folder, split), *gallery.of_metric(made.metric, made.task, made.dataset, folder)]


def hand_over(made: Parts, tracker: Tracker, split: str) -> None:
    """Give the tracker the best model, on the CPU, with two real images as its example."""
    images = next(iter(made.loaders[split].epoch(0))).images.float().cpu()
    example = images.repeat(2, 1, 1, 1)[:2].contiguous()
    tracker.model(made.step.evaluated.eval().cpu(), example, metadata=made.portrait())
