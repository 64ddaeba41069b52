"""The weights as they stand, on one split: what they measure after an epoch or at the end, and what they predict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from visrun import gallery
from visrun.batch import split
from visrun.calibrate import calibrate, enough
from visrun.device import autocast
from visrun.figures.sheet import SAMPLES, sheet
from visrun.memory import without_steps
from visrun.models import Settling
from visrun.numbers import evenly
from visrun.one_pass import Tell, evaluate, told
from visrun.parts import Parts
from visrun.run_files import is_of_class
from visrun.tasks.base import Deciding

MOST_CLASSES = 100  # whose values an epoch has; those of a thousand would drown all others


def validate(made: Parts, epoch: int, watch: Callable[[str, int, int], None]) -> dict[str, float]:
    """The metrics on the validation split after ``epoch`` (from 0), BatchNorm's statistics measured anew.

    Args:
        watch: Told what is done, how many batches of it and of how many. It may raise: once more from the beginning,
            all is measured as if this had not been.
    """
    when = f"epoch {epoch + 1}/{made.epochs}:"
    with _evaluating(made):
        lessons = told(*_parts(made, epoch), partial(watch, f"{when} measuring BatchNorm"))
        calibrate(made.step.evaluated, lessons, device=made.device, precision=made.precision)
        if made.reference is not None:
            good = told(made.reference.epoch(0), len(made.reference), partial(watch, f"{when} measuring good images"))
            settle(made.step.evaluated, good, device=made.device, precision=made.precision)
    deciding = made.task if isinstance(made.task, Deciding) else None
    if deciding is not None:
        deciding.decide({})  # those of the epoch before say nothing of this one, and a resumed run has none
    metrics = measure(made, "val", tell=partial(watch, f"{when} validating"))
    if deciding is not None:
        deciding.decide(metrics)
    return without_many(made, metrics)


def _parts(made: Parts, epoch: int) -> tuple[Iterator[Any], int]:
    """The batches of training steps in the parts that go through the model at once, and how many of them calibrate."""
    lessons, of = made.lessons, made.step.accumulate
    parts = (part for batch in lessons.epoch(epoch) for part in split(batch, of))
    return parts, min(len(lessons) * of, enough(max(1, lessons.batch_size // of)))  # 1: without steps


def settle(model: nn.Module, batches: Iterable[Any], *, device: torch.device, precision: str) -> None:
    """Run the measurement of a `Settling` model on batches of good images; other models are left alone."""
    if isinstance(model, Settling):
        model.eval()  # or layers that drop something would have a part in it
        with autocast(device, precision):
            model.settle(batch.images[batch.valid] for batch in batches)


def measure(made: Parts, split: str, *, tell: Tell) -> dict[str, float]:
    """The metrics of the weights that are evaluated, on one split.

    Raises OutOfMemory, too.
    """
    with _evaluating(made):
        metrics = evaluate(
            made.task,
            made.step.evaluated,
            made.loaders[split],
            made.metric,
            device=made.device,
            precision=made.precision,
            tell=tell,
        )
    if metrics.get("val_loss") == 0 and _unseen(made.dataset.counts, split):
        del metrics["val_loss"]  # every target weighs 0 (data.class_weights): no loss, and the lowest of all
    return metrics


def without_many(made: Parts, metrics: Mapping[str, float]) -> dict[str, float]:
    """``metrics``, of many classes the means alone."""
    many = len(made.task.state().get("classes") or ()) > MOST_CLASSES
    return {key: value for key, value in metrics.items() if not (many and is_of_class(key))}


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
