"""What follows the last step: the best checkpoint on the test split, the pictures, the model for the tracker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from visrun import checkpoint, gallery
from visrun.calibrate import calibrate
from visrun.device import autocast
from visrun.errors import UserError
from visrun.figures import plots
from visrun.figures.sheet import sheet
from visrun.memory import without_steps
from visrun.models import Settling
from visrun.numbers import evenly, number
from visrun.parts import Parts
from visrun.record.epochs import monitor_of
from visrun.record.recorder import Outlets
from visrun.record.run_files import PLOTS, is_metric
from visrun.record.run_folder import RunFolder
from visrun.tasks.base import Deciding, Metric
from visrun.text import plural
from visrun.tracking import Tracker
from visrun.training import Progress, evaluate

SAMPLES = 12  # predictions on the sheet: full rows of 3, 4 or 6
MOST_CLASSES = 100  # whose values an epoch has; those of a thousand would drown all others


@runtime_checkable
class Remembering(Protocol):
    """A model that says in a line how much of the good images it has remembered; "" before it has."""

    remembered: str


def validate(made: Parts, epoch: int) -> dict[str, float]:
    """The metrics on the validation split after ``epoch`` (from 0), BatchNorm's statistics measured anew."""
    with _evaluating(made):
        batches = made.lessons.epoch(epoch)
        calibrate(made.step.evaluated, batches, device=made.device, precision=made.precision)
        settle(made)
    deciding = made.task if isinstance(made.task, Deciding) else None
    if deciding is not None:
        deciding.decide({})  # those of the epoch before say nothing of this one, and a resumed run has none
    metrics = measure(made, "val")
    if deciding is not None:
        deciding.decide(metrics)
    return metrics


def settle(made: Parts) -> None:
    """Run the measurement of a `Settling` model on good training images; other models are left alone."""
    model = made.step.evaluated
    if isinstance(model, Settling) and made.reference is not None:
        model.eval()  # or layers that drop something would have a part in it
        with autocast(made.device, made.precision):
            model.settle(batch.images[batch.valid] for batch in made.reference.epoch(0))


def measure(made: Parts, split: str, metric: Metric | None = None) -> dict[str, float]:
    """The metrics of the weights that are evaluated, on one split; of many classes the means alone.

    Raises OutOfMemory, too.
    """
    with _evaluating(made):
        metrics = evaluate(
            made.task,
            made.step.evaluated,
            made.loaders[split],
            metric or made.metric,
            device=made.device,
            precision=made.precision,
        )
    if metrics.get("val_loss") == 0 and _unseen(made.dataset.counts, split):
        del metrics["val_loss"]  # every target weighs 0 (data.class_weights): no loss, and the lowest of all
    many = len(made.task.state().get("classes") or ()) > MOST_CLASSES
    return {key: value for key, value in metrics.items() if not (many and "/" in key)}


def _unseen(counts: Mapping[str, Sequence[int]], split: str) -> bool:
    """Whether a split shows classes, and none of them stands in train as well."""
    if split not in counts or "train" not in counts:
        return False
    return not any(known and n for known, n in zip(counts["train"], counts[split], strict=True))


def _evaluating(made: Parts) -> AbstractContextManager[None]:
    advice = "use a smaller batch_size, which spares the network alone, or data.image_size"
    graph = ", or run.graph=false, which leaves it what a captured step holds"
    advice += graph if made.step.graph is not None else ""
    return without_steps(made.device, "the evaluation, not in a training step", advice)


def conclude(
    made: Parts,
    outlets: Outlets,
    *,
    rows: Sequence[dict[str, float]],
    progress: Progress,
    keep_model: bool = True,
) -> dict[str, float]:
    """Evaluate the best checkpoint on test (or, for the pictures alone, val), draw, and hand all to the tracker.

    Where no epoch could be ranked, the last one's weights become best.pt, and a line says so.

    Args:
        keep_model: Hand the model over as well; best.pt holds it anyway.

    Returns:
        The metrics on the test split; {} where there is none.
    """
    files, tracker = outlets.folder, outlets.tracker
    files.tell("concluding")
    if isinstance(made.step.evaluated, Remembering) and made.step.evaluated.remembered:
        outlets.screen.say(made.step.evaluated.remembered)
    split = "test" if "test" in made.loaders else "val"
    if not progress.best_epoch:
        keep_last(made, outlets, epoch=progress.epoch)
    elif files.best.exists():
        take_best(made, files.best, rows=rows, best_epoch=progress.best_epoch)
    metrics = measure(made, split)
    metrics = {key: value for key, value in metrics.items() if is_metric(key)}
    means = sorted((key for key in metrics if "/" not in key), key=lambda key: key != made.entry.monitor)
    shown = "  ".join(f"{key} {number(metrics[key])}" for key in means) or "nothing to measure"
    whose = f"best epoch {progress.best_epoch}" if progress.best_epoch else f"last epoch {progress.epoch}"
    outlets.screen.say(f"{whose}, on {split}: {shown}")
    if is_best_in_warmup(made, progress):
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
    if keep_model and files.best.exists():
        hand_over(made, tracker, split)
    return metrics if split == "test" else {}


def is_best_in_warmup(made: Parts, progress: Progress) -> bool:
    """Whether a network from random weights was best in its warm-up, though it could have become better after it.

    Weights that were taken over may well be best at first, and so may the density of features that a model measures.
    """
    if made.entry.maximize and progress.best is not None and progress.best >= 1:  # perfect
        return False
    fresh = made.built.is_random and not isinstance(made.step.evaluated, Settling)
    return fresh and 0 < progress.best_epoch <= made.warmup_epochs < progress.epoch


def tell_best(files: RunFolder, tracker: Tracker, best_epoch: int) -> None:
    """Note the best epoch and its values, if there is one: of a run that did not finish, too."""
    if best_epoch:
        with suppress(UserError):  # metrics.jsonl cannot be read, which is said where the run needs it
            row = next((row for row in files.read_metrics() if row["epoch"] == best_epoch), {})
            values = {key: value for key, value in row.items() if key == "val_loss" or is_metric(key)}
            whole = {f"best/{key}": value for key, value in values.items() if "/" not in key}
            tracker.summary({"best/epoch": best_epoch, **whole})


def keep_last(made: Parts, outlets: Outlets, *, epoch: int) -> None:
    """Write best.pt from the weights as they stand, since no epoch has a value by which it is the best."""
    outlets.screen.warn(
        f"no epoch has a value of {made.entry.monitor}, by which the best is chosen: best.pt is the last"
    )
    weights = made.step.evaluated.state_dict()
    checkpoint.save({**made.portrait_now(), "model": weights, "epoch": epoch, "value": None}, outlets.folder.best)


def take_best(made: Parts, file: Path, *, rows: Sequence[Mapping[str, float]], best_epoch: int) -> None:
    """Go back to the best epoch: its weights from ``file``, and the thresholds that its row names, where it is left.

    Raises:
        UserError: The file is damaged or of another network.
    """
    state = checkpoint.load(file)
    with checkpoint.reading(file):
        made.step.evaluated.load_state_dict(state["model"])
    if isinstance(made.task, Deciding):
        made.task.decide(next((row for row in rows if row["epoch"] == best_epoch), {}))


def draw(made: Parts, folder: Path, split: str, *, rows: Sequence[dict[str, float]], progress: Progress) -> list[Path]:
    """The run's pictures: curves, learning rate, what the task draws of its metric, and a sheet of predictions."""
    found = [folder / "curves.png"]
    plots.curves(rows, found[0], monitor=monitor_of(rows, made.entry), best_epoch=progress.best_epoch)
    if len(made.lessons):
        found.append(folder / "learning_rate.png")
        plots.learning_rate([row["learning_rate"] for row in rows], found[1])
    return [*found, show(made, folder, split), *gallery.of_metric(made.metric, made.task, made.dataset, folder)]


def show(made: Parts, folder: Path, split: str) -> Path:
    """The sheet of predictions on a split, by the weights that are evaluated as they stand."""
    path = folder / "predictions.png"
    loader, model = made.loaders[split], made.step.evaluated
    positions = evenly(SAMPLES, of=len(loader.images))
    with _evaluating(made):
        found = gallery.samples(made.task, model, loader, positions, precision=made.precision)
    sheet([*found.values()], path)
    return path


def hand_over(made: Parts, tracker: Tracker, split: str) -> None:
    """Give the tracker the best model, on the CPU, with two real images as its example."""
    images = next(iter(made.loaders[split].epoch(0))).images.float().cpu()
    example = images.repeat(2, 1, 1, 1)[:2].contiguous()
    metadata: dict[str, Any] = {key: value for key, value in made.portrait.items() if key != "model"}
    tracker.model(made.step.evaluated.eval().cpu(), example, metadata=metadata)
