"""One pass through a split: the model runs once a batch, and the task's metric sees what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import torch
from torch import nn

from visrun.batch import first, rows
from visrun.data.placement import Scene
from visrun.device import autocast
from visrun.tasks.base import Metric, Task

T = TypeVar("T")
Tell = Callable[[int, int], None]  # how many batches are done, of how many; it may raise, which breaks the pass off


class Split(Protocol):
    """The batches of a split, and the scenes of its objects, if any."""

    @property
    def scenes(self) -> Sequence[Scene]: ...

    def __len__(self) -> int: ...

    def epoch(self, epoch: int) -> Iterator[Any]: ...


@torch.no_grad()
def evaluate(
    task: Task,
    model: nn.Module,
    loader: Split,
    metric: Metric,
    *,
    device: torch.device,
    precision: str,
    with_loss: bool = True,
    tell: Tell = lambda *_: None,
) -> dict[str, float]:
    """The task's metrics and its mean loss (``val_loss``) over one pass through ``loader``.

    The model runs once a batch: both the losses and the predictions are taken from that one output. A model whose
    output in evaluation has no losses leaves ``val_loss`` out.
    """
    model.eval()
    metric.reset(loader.scenes)
    total, samples, has_loss = torch.zeros((), device=device), 0, False
    for number, batch in enumerate(told(loader.epoch(0), len(loader), tell), start=1):
        count = int(batch.valid.sum()) if number == len(loader) else len(batch.valid)
        with autocast(device, precision):
            output, batch = forward(model, batch, count)
            losses = task.losses(partial(recall, output), batch) if with_loss else {}
        samples += len(batch.valid)
        for loss in losses.values():
            total += loss.float() * len(batch.valid)
            has_loss = True
        metric.update(task.predict(partial(recall, output), batch.images), batch)
    return {**({"val_loss": float(total) / samples} if has_loss else {}), **metric.compute()}


def forward(model: nn.Module, batch: Any, count: int) -> tuple[Any, Any]:
    """The output for the first ``count`` samples of ``batch``, and these.

    Where cuDNN looks for its quickest kernel, which it does anew for each shape, the model runs on the padding as well.
    """
    samples, output = rows(batch, 0, count), None
    if torch.backends.cudnn.benchmark and count < len(batch.images):
        output = first(model(batch.images), count, of=len(batch.images))
    return model(samples.images) if output is None else output, samples


def recall(output: Any, _: Any) -> Any:
    """Stands for a model that has run already: ``partial(recall, output)`` answers every input with ``output``."""
    return output


def told(batches: Iterable[T], total: int, tell: Tell) -> Iterator[T]:
    """``batches``, of which there are ``total``; each is told once it is done with."""
    tell(0, total)
    for done, batch in enumerate(batches, 1):
        yield batch
        tell(done, total)
