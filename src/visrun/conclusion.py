"""What follows the last step: the best checkpoint on the test split, the pictures, the model for the tracker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from PIL import Image
from torch import Tensor

from visrun import checkpoint
from visrun.batch import Batch, truth
from visrun.calibrate import calibrate
from visrun.data.batches import Batches
from visrun.detection.results import target_in
from visrun.device import autocast
from visrun.errors import UserError
from visrun.figures import matrix, plots
from visrun.figures.precision_recall import precision_recall
from visrun.figures.score_histogram import score_histogram
from visrun.figures.sheet import sheet
from visrun.memory import without_steps
from visrun.models import Settling
from visrun.parts import Parts
from visrun.record.epochs import monitor_of
from visrun.record.recorder import Outlets
from visrun.record.run_folder import RunFolder, is_metric
from visrun.tables import TARGETS
from visrun.tasks.base import Deciding, Metric
from visrun.tracking import Tracker
from visrun.training import Progress, evaluate, recall

SAMPLES = 12  # predictions on the sheet: full rows of 3, 4 or 6
MOST_CLASSES = 100  # whose values an epoch has; those of a thousand would drown all others
BACKGROUND = "background"  # what a confusion matrix of detections calls no object


@runtime_checkable
class Confusing(Protocol):
    """A metric that knows which class was taken for which: (K, K) counts, true classes in rows.

    (K + 1, K + 1) where there is a background, the last: objects that were missed, detections of nothing.
    """

    def confusion(self) -> Tensor: ...


@runtime_checkable
class Ranking(Protocol):
    """A metric of scored detections: for each class recall (n,), precision (n,) and its average, and the best score
    to cut at with the F1 that it gives."""

    def curves(self) -> tuple[Mapping[str, tuple[Any, Any, float]], tuple[float, float] | None]: ...


@runtime_checkable
class Pairing(Protocol):
    """A metric that keeps predicted and true values, (N, T) each."""

    def pairs(self) -> tuple[Tensor, Tensor]: ...


@runtime_checkable
class Scoring(Protocol):
    """A metric that keeps a score (N,) for each image, and 1 (N,) for those that should be found."""

    def scores(self) -> tuple[Any, Any]: ...


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
    """Let a model that does so measure itself on good training images."""
    model = made.step.evaluated
    if isinstance(model, Settling) and made.reference is not None:
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
    many = len(made.task.state().get("classes") or ()) > MOST_CLASSES
    return {key: value for key, value in metrics.items() if not (many and "/" in key)}


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
    shown = "  ".join(f"{key} {metrics[key]:.4f}" for key in means)
    whose = f"best epoch {progress.best_epoch}" if progress.best_epoch else f"last epoch {progress.epoch}"
    outlets.screen.say(f"{whose}, on {split}: {shown}")
    pictures = draw(made, files.plots, split, rows=rows, progress=progress)
    for picture in pictures:
        tracker.artifact(picture, "plots")
    if split == "test":
        tracker.summary({f"test/{key}": value for key, value in metrics.items()})
    if keep_model and files.best.exists():
        hand_over(made, tracker, split)
    return metrics if split == "test" else {}


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
    return [*found, show(made, folder, split), *draw_metric(made, folder)]


def show(made: Parts, folder: Path, split: str) -> Path:
    """The sheet of predictions on a split, by the weights that are evaluated as they stand."""
    path = folder / "predictions.png"
    with _evaluating(made):
        sheet(predictions(made, split), path)
    return path


def draw_metric(made: Parts, folder: Path) -> list[Path]:
    """What the metric can show beyond its numbers, over the split it has seen last."""
    metric, found = made.metric, []
    if isinstance(metric, Confusing) and not made.dataset.multilabel:
        found.append(folder / "confusion_matrix.png")
        counts = metric.confusion()
        names = [*made.dataset.classes, BACKGROUND][: len(counts)]
        plots.confusion_matrix(counts, names, found[-1])
        found.append(folder / "confusion_matrix.csv")
        matrix.as_csv(counts, names, found[-1])
    if isinstance(metric, Ranking):
        found.append(folder / "precision_recall.png")
        curves, best = metric.curves()
        precision_recall(curves, found[-1], best=best)
    if isinstance(metric, Scoring):
        found.append(folder / "scores.png")
        score_histogram(*metric.scores(), found[-1], threshold=made.task.state().get("threshold"))
    if isinstance(metric, Pairing):
        found.append(folder / "predicted_against_true.png")
        plots.predicted_against_true(*metric.pairs(), made.dataset.targets, found[-1])
    return found


@torch.no_grad()
def predictions(made: Parts, split: str) -> list[Image.Image]:
    """Samples spread over a split as the network saw them, with what it said and what is true."""
    model, loader = made.step.evaluated.eval(), made.loaders[split]
    size = loader.batch_size
    wanted = set(torch.linspace(0, len(loader.images) - 1, SAMPLES).round().int().tolist())
    pictures: list[Image.Image] = []
    for step in sorted({position // size for position in wanted}):
        batch = next(loader.epoch(0, start=step))
        rows = sorted(position - step * size for position in wanted if position // size == step)
        with autocast(made.device, made.precision):
            output = model(batch.images)
        prediction = made.task.predict(partial(recall, output), batch.images)
        shown = denormalise(batch.images[rows], made.built.mean, made.built.std)
        pictures += [
            made.task.draw(p, prediction, i, target=_true(made, loader, batch, i))
            for p, i in zip(shown, rows, strict=True)
        ]
    return pictures


def _true(made: Parts, loader: Batches, batch: Batch, i: int) -> Any:
    """What is true of sample ``i``, masks of objects drawn at the size of the picture, not that of a batch's cells."""
    if not TARGETS[made.dataset.kind].numbered:
        return truth(batch, i)
    scene = loader.scenes[int(batch.index[i])]
    height, width = batch.images.shape[2:]
    return target_in(scene.truth, scene.place, (height, width))


def denormalise(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> list[Image.Image]:
    """Pictures of normalised images (B, 3, H, W)."""
    scale, shift = images.new_tensor(std).view(1, 3, 1, 1), images.new_tensor(mean).view(1, 3, 1, 1)
    pixels = ((images.float() * scale + shift) * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu()
    return [Image.fromarray(picture.numpy()) for picture in pixels]


def hand_over(made: Parts, tracker: Tracker, split: str) -> None:
    """Give the tracker the best model, on the CPU, with two real images as its example."""
    images = next(iter(made.loaders[split].epoch(0))).images.float().cpu()
    example = images.repeat(2, 1, 1, 1)[:2].contiguous()
    metadata: dict[str, Any] = {key: value for key, value in made.portrait.items() if key != "model"}
    tracker.model(made.step.evaluated.eval().cpu(), example, metadata=metadata)
