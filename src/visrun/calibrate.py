"""BatchNorm's statistics for evaluation, measured with the weights that are evaluated.

The running averages mix the statistics of the last ten or so steps' weights. From random weights and with few steps an
epoch those differ so much that a good network looks useless in one epoch and fine in the next. Forward passes over a
few training batches with the weights as they stand give the true ones ("precise BatchNorm", Wu & Johnson 2021,
arXiv 2105.07576, section 3); they serve the averaged weights of an EMA as well, which never saw a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from visrun.device import autocast
from visrun.models.freezing import Fixed

BATCHES, IMAGES = 10, 64  # how many are averaged at least: ten batches of one image would measure that few images


@torch.no_grad()
def calibrate(model: nn.Module, batches: Iterable[Any], *, device: torch.device, precision: str) -> None:
    """Replace the running statistics of each trained BatchNorm layer by their mean over what ``batches`` give it.

    One that is given nothing keeps its own, as in a head that looks at what was found where nothing is.

    Args:
        batches: Training batches of one size, of which :func:`enough` are taken.
        precision: "bf16" or "fp32".
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm) and keeps_averages(module)]
    if not norms:
        return
    with measuring(model, norms):
        for number, batch in enumerate(batches, start=1):
            with autocast(device, precision):
                model(batch.images)
            if number == enough(len(batch.images)):
                break


def enough(size: int) -> int:
    """How many batches of ``size`` images are averaged: ``BATCHES``, more where these hold fewer than ``IMAGES``."""
    return max(BATCHES, -(-IMAGES // size))


def keeps_averages(norm: _BatchNorm) -> bool:
    """Whether a layer's statistics follow training, and not those of the weights that it came with."""
    return norm.track_running_stats and not isinstance(norm, Fixed)


@contextmanager
def measuring(model: nn.Module, norms: list[_BatchNorm]) -> Iterator[None]:
    """Within: ``norms`` average what they are given, and nothing else of ``model`` acts as in training."""
    before = [norm.momentum for norm in norms]
    hooks = [norm.register_forward_pre_hook(averaging()) for norm in norms]
    model.eval()
    for norm in norms:
        norm.train()
    try:
        yield
    finally:
        for norm, momentum, hook in zip(norms, before, hooks, strict=True):
            norm.momentum = momentum
            hook.remove()
        model.eval()


def averaging() -> Callable[[Any, Any], None]:
    """A forward pre-hook by which a BatchNorm's statistics become an even mean over its inputs from now on.

    An input without an element, which they ignore, has no part in it.
    """
    count = 0

    def begin_or_go_on(norm: Any, args: Any) -> None:
        nonlocal count
        if not args[0].numel():
            return
        if count == 0:
            norm.reset_running_stats()
        count += 1
        norm.momentum = 1 / count  # with None the layer would read its counter from the device

    return begin_or_go_on
