"""After memory ran out: where it did, and which batch size would have fitted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch

from visrun.allocator import collect
from visrun.batch import rows
from visrun.data.batches import Batches, NoSteps
from visrun.device import is_out_of_memory
from visrun.errors import OutOfMemory
from visrun.step import Step

ONE_VALUE = "Expected more than 1 value per channel"  # BatchNorm's, of a single sample without width and height
MUCH = 1e9  # bytes of kept images that are worth a word


@contextmanager
def without_steps(device: torch.device, where: str, advice: str) -> Iterator[None]:
    """Report running out of memory in here as ``where``'s, not as a training step's: no smaller batch is tried.

    Args:
        where: What ran, such as "the evaluation".
        advice: What would help.

    Raises:
        OutOfMemory: In one line.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(f"out of memory on {device} in {where}: {advice}") from error


def setting_up(device: torch.device) -> AbstractContextManager[None]:
    """:func:`without_steps` of what goes before the first one: a GPU that has no room even for it is mostly taken."""
    shared = "see nvidia-smi for what else is there, or take another run.device"
    return without_steps(device, "setting the run up", shared if device.type == "cuda" else "free some")


def out_of_memory(step: Step, train: Batches | NoSteps, *, kept: int) -> OutOfMemory:
    """The error, in one line that names a batch size which fits: tried, not guessed.

    Args:
        step: Of the run, which is over: its weights are trained on, in other parts.
        train: The batches that did not fit, none for a model that learns without steps.
        kept: Bytes that the dataset's images take on the device beside the model.
    """
    device, of = step.device, step.accumulate
    beside = f"; the dataset's images take {kept / 1e9:.1f} GB there, with data.cache=ram none" if kept >= MUCH else ""
    if not len(train):
        return OutOfMemory(f"out of memory on {device}: use a smaller batch_size, data.image_size or model{beside}")
    step.forget_graph()
    release(step)
    size = train.batch_size // of
    problem = f"batch_size={size}: out of memory on {device}"
    try:
        part = rows(next(iter(train.epoch(0))), 0, size)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return OutOfMemory(f"{problem} for its images alone: use a smaller batch_size or data.image_size{beside}")
    fits = batch_size_that_fits(step, part)
    if fits is None:
        return OutOfMemory(f"{problem}, no smaller batch fits: use a smaller data.image_size or model{beside}")
    parts = round(size * of / fits)
    effect = "keeps the effective batch" if fits * parts == size * of else f"makes the effective batch {fits * parts}"
    return OutOfMemory(f"{problem}; batch_size={fits} fits (run.accumulate={parts} {effect}){beside}")


def batch_size_that_fits(step: Step, batch: Any) -> int | None:
    """The largest half, quarter, ... of ``batch`` with which ``step``, in parts of that size, fits; None if none does.

    Args:
        step: Trains on them.
        batch: A dataclass of tensors with a leading batch dimension, on the step's device.
    """
    step.accumulate = 2  # the gradients of the first part are there while the second runs
    size = len(batch.images) // 2
    while size >= 1:
        release(step)
        if _fits(step, rows(batch, 0, 2 * size)):
            release(step)
            return size
        size //= 2
    return None


def release(step: Step) -> None:
    """Give back gradients and what the allocators keep for later."""
    step.optimizer.zero_grad(set_to_none=True)
    collect()


def _fits(step: Step, batch: Any) -> bool:
    try:
        for _ in range(2):  # the first makes the optimizer's state, which is there in all that follow
            step(batch)
        if step.device.type == "cuda":
            torch.cuda.synchronize(step.device)
    except (RuntimeError, ValueError) as error:
        if is_out_of_memory(error) or ONE_VALUE in str(error):
            return False
        raise
    return True
