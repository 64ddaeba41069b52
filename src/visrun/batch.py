"""Batches, whatever a task puts into them: dataclasses of tensors that share their first dimension."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, Protocol

from torch import Tensor

Prediction = dict[str, Tensor]  # every tensor has the batch as its leading dimension


class Batch(Protocol):
    """What a task reads of a batch.

    ``images`` (B, 3, H, W) are normalised; ``target`` (B, ...) has a shape for each kind of target and ``masks``
    (B, L, H / 4, W / 4) go with objects that have any, else (B, 0), both as in :class:`visrun.data.batches.Batch`;
    ``index`` (B,) are positions in the split; ``valid`` (B,) is False for rows that only fill the batch up.
    """

    images: Tensor
    target: Tensor
    masks: Tensor
    index: Tensor
    valid: Tensor


def each(batch: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """``batch`` with every tensor changed."""
    return replace(batch, **{field.name: change(getattr(batch, field.name)) for field in fields(batch)})


def rows(batch: Any, begin: int, end: int) -> Any:
    """The samples from ``begin`` to before ``end``, as views."""
    return each(batch, lambda tensor: tensor[begin:end])


def first(output: Any, count: int, *, of: int) -> Any:
    """What a model says of the first ``count`` samples ``of`` a batch, as views; None where no samples are told apart:
    in all but a tensor and a mapping of tensors with a leading batch dimension."""
    if isinstance(output, Tensor):
        return output[:count]
    if isinstance(output, Mapping) and all(isinstance(x, Tensor) and x.shape[:1] == (of,) for x in output.values()):
        return {name: values[:count] for name, values in output.items()}
    return None


def split(batch: Any, parts: int) -> list[Any]:
    """``parts`` equal parts, as views; the number of samples, that of ``batch.images``, is a multiple of ``parts``."""
    size = len(batch.images) // parts
    return [rows(batch, i * size, (i + 1) * size) for i in range(parts)]


def truth(batch: Batch, i: int) -> Any:
    """What is true of sample ``i``: its target, and with objects that have masks its masks beside it."""
    return (batch.target[i], batch.masks[i]) if batch.masks.numel() else batch.target[i]


def refill(kept: Any, batch: Any) -> None:
    """Copy ``batch`` into the memory of ``kept``, a clone of one like it, without waiting for the device."""
    for field in fields(kept):
        getattr(kept, field.name).copy_(getattr(batch, field.name), non_blocking=True)


def clone(batch: Any) -> Any:
    """A copy with memory of its own, which a CUDA graph can keep."""
    return each(batch, Tensor.clone)
