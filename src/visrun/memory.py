"""After memory ran out: which batch size would have fitted."""

from __future__ import annotations

import gc
from typing import Any

import torch
from torch import nn

from visrun.batch import rows
from visrun.data.batches import Batches, NoSteps
from visrun.device import autocast, is_out_of_memory
from visrun.errors import OutOfMemory
from visrun.step import Losses


def out_of_memory(
    task: Losses, model: nn.Module, train: Batches | NoSteps, *, device: torch.device, precision: str, of: int
) -> OutOfMemory:
    """The error, in one line that names a batch size which fits: tried, not guessed.

    Args:
        train: The batches that did not fit, none for a model that learns without steps.
        of: How many parts of a batch went through the model one after the other.
    """
    if not len(train):
        return OutOfMemory(f"out of memory on {device}: use a smaller batch_size, data.image_size or model")
    release(model, device)
    batch = next(iter(train.epoch(0)))
    fits = batch_size_that_fits(task, model, batch, device=device, precision=precision)
    size = train.batch_size // of
    if fits is None:
        advice = "not even one image fits: use a smaller data.image_size or model"
        return OutOfMemory(f"batch_size={size}: out of memory on {device}, {advice}")
    fits = min(fits, size - 1)
    return OutOfMemory(
        f"batch_size={size}: out of memory on {device}; batch_size={fits} fits "
        f"(run.accumulate={-(-size // fits) * of} keeps the effective batch)"
    )


def batch_size_that_fits(
    task: Losses, model: nn.Module, batch: Any, *, device: torch.device, precision: str
) -> int | None:
    """The largest half, quarter, ... of ``batch`` whose forward and backward pass fit; None if not one sample does.

    Args:
        batch: A dataclass of tensors with a leading batch dimension, on ``device``.
    """
    size = len(batch.images) // 2
    while size >= 1:
        release(model, device)
        if _fits(task, model, rows(batch, 0, size), device=device, precision=precision):
            release(model, device)
            return size
        size //= 2
    return None


def release(model: nn.Module, device: torch.device) -> None:
    """Give back gradients and what the allocator keeps for later."""
    for parameter in model.parameters():
        parameter.grad = None
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _fits(task: Losses, model: nn.Module, batch: Any, *, device: torch.device, precision: str) -> bool:
    try:
        with autocast(device, precision):
            losses = task.losses(model, batch)
        torch.stack([loss.float() for loss in losses.values()]).sum().backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    except RuntimeError as error:
        if is_out_of_memory(error):
            return False
        raise
    return True
