"""After memory ran out: which batch size would have fitted."""

from __future__ import annotations

import gc
from typing import Any

import torch
from torch import nn

from visrun.batch import rows
from visrun.device import autocast, is_out_of_memory
from visrun.step import Losses


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
