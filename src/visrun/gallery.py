"""What a model does on a split, as pictures: those of its metric, and samples with the truth beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from PIL import Image
from torch import Tensor, nn

from visrun.batch import Batch, Prediction, truth
from visrun.data.batches import Batches
from visrun.data.placement import Place
from visrun.data.records import Dataset
from visrun.detection.results import target_in
from visrun.device import autocast
from visrun.figures import matrix, plots
from visrun.figures.precision_recall import precision_recall
from visrun.figures.score_histogram import score_histogram
from visrun.one_pass import recall
from visrun.tables import TARGETS
from visrun.tasks.base import Metric, Task, only

BACKGROUND = "background"  # what a confusion matrix of detections calls no object
MATRIX, CURVES, SCORES, VALUES = PICTURES = (
    "confusion_matrix.png",
    "precision_recall.png",
    "scores.png",
    "predicted_against_true.png",
)


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


def of_metric(metric: Metric, task: Task, dataset: Dataset, folder: Path) -> list[Path]:
    """Write into ``folder`` what a metric can show beyond its numbers, over the split that it has seen last."""
    found: list[Path] = []
    if isinstance(metric, Confusing) and not dataset.multilabel:
        found.append(folder / MATRIX)
        counts = metric.confusion()
        names = [*dataset.classes, BACKGROUND][: len(counts)]
        plots.confusion_matrix(counts, names, found[-1])
        found.append(found[-1].with_suffix(".csv"))
        matrix.as_csv(counts, names, found[-1])
    if isinstance(metric, Ranking):
        found.append(folder / CURVES)
        curves, best = metric.curves()
        precision_recall(curves, found[-1], best=best)
    if isinstance(metric, Scoring):
        found.append(folder / SCORES)
        score_histogram(*metric.scores(), found[-1], threshold=task.state().get("threshold"))
    if isinstance(metric, Pairing):
        found.append(folder / VALUES)
        plots.predicted_against_true(*metric.pairs(), dataset.targets, found[-1])
    return found


@torch.no_grad()
def samples(
    task: Task, model: nn.Module, loader: Batches, positions: Sequence[int], *, precision: str
) -> dict[int, Image.Image]:
    """Position -> that picture of a split as the network saw it, with what it said and what is true; in this order.

    Objects are those that the file shows: what lies in the padding alone is neither reported nor measured.
    """
    model.eval()
    drawn: dict[int, Image.Image] = {}
    size = loader.batch_size
    for step, group in groupby(sorted(positions), key=lambda position: position // size):
        batch = next(loader.epoch(0, start=step))
        rows = [position - step * size for position in group]
        with autocast(loader.device, precision):
            output = model(batch.images)
        prediction = task.predict(partial(recall, output), batch.images)
        shown = denormalise(batch.images[rows], loader.look.mean, loader.look.std)
        for picture, i in zip(shown, rows, strict=True):
            scene = loader.scenes[int(batch.index[i])] if TARGETS[loader.targets.kind].objects else None
            found, k = (prediction, i) if scene is None else (_in_file(task, prediction, i, scene.place), 0)
            drawn[step * size + i] = task.draw(picture, found, k, target=_true(loader, batch, i))
    return {position: drawn[position] for position in positions}


def _in_file(task: Task, prediction: Prediction, i: int, place: Place) -> Prediction:
    """Sample ``i`` alone as the network has it, without the objects that the task leaves out of what it restores."""
    if "boxes" not in prediction:  # a plugin's task may find something else
        return only(prediction, i)
    rows = torch.arange(prediction["scores"].shape[1], device=prediction["scores"].device)
    kept = task.restore({**prediction, "rows": rows.expand_as(prediction["scores"])}, i, place)["rows"][0]
    return {name: values[i : i + 1, kept] for name, values in prediction.items()}


def _true(loader: Batches, batch: Batch, i: int) -> Any:
    """What is true of sample ``i``, masks of objects drawn at the size of the picture, not that of a batch's cells."""
    if not TARGETS[loader.targets.kind].numbered:
        return truth(batch, i)
    scene = loader.scenes[int(batch.index[i])]
    height, width = batch.images.shape[2:]
    return target_in(scene.truth, scene.place, (height, width))


def denormalise(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> list[Image.Image]:
    """Pictures of normalised images (B, 3, H, W)."""
    scale, shift = images.new_tensor(std).view(1, 3, 1, 1), images.new_tensor(mean).view(1, 3, 1, 1)
    pixels = ((images.float() * scale + shift) * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu()
    return [Image.fromarray(picture.numpy()) for picture in pixels]
