"""The weights as they stand, on one split: what they measure after an epoch or at the end, and what they predict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from visrun import gallery
from visrun.calibrate import calibrate
from visrun.device import autocast
from visrun.figures.sheet import sheet
from visrun.memory import without_steps
from visrun.models import Settling
from visrun.numbers import evenly
from visrun.parts import Parts
from visrun.tasks.base import Deciding, Metric
from visrun.training import evaluate

SAMPLES = 12  # predictions on the sheet: full rows of 3, 4 or 6
MOST_CLASSES = 100  # whose values an epoch has; those of a thousand would drown all others


def validate(made: Parts, epoch: int) -> dict[str, float]:
    """The metrics on the validation split after ``epoch`` (from 0), BatchNorm's statistics measured anew."""
    with _evaluating(made):
        batches = made.lessons.epoch(epoch)
        calibrate(made.step.evaluated, batches, device=made.device, precision=made.precision)
        if made.reference is not None:
            good = made.reference.epoch(0)
            settle(made.step.evaluated, good, device=made.device, precision=made.precision)
    deciding = made.task if isinstance(made.task, Deciding) else None
    if deciding is not None:
        deciding.decide({})  # those of the epoch before say nothing of this one, and a resumed run has none
    metrics = measure(made, "val")
    if deciding is not None:
        deciding.decide(metrics)
    return metrics


def settle(model: nn.Module, batches: Iterable[Any], *, device: torch.device, precision: str) -> None:
    """Run the measurement of a `Settling` model on batches of good images; other models are left alone."""
    if isinstance(model, Settling):
        model.eval()  # or layers that drop something would have a part in it
        with autocast(device, precision):
            model.settle(batch.images[batch.valid] for batch in batches)


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


def show(made: Parts, folder: Path, split: str) -> Path:
    """The sheet of predictions on a split, by the weights that are evaluated as they stand."""
    path = folder / "predictions.png"
    loader, model = made.loaders[split], made.step.evaluated
    positions = evenly(SAMPLES, of=len(loader.images))
    with _evaluating(made):
        found = gallery.samples(made.task, model, loader, positions, precision=made.precision)
    sheet([*found.values()], path)
    return path


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
