"""What a network gives, found out when it is built: a network of other outputs can train for long without a word."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

BATCH = 2


def output_problem(
    module: nn.Module, *, outputs: Collection[str], num_outputs: int, image_size: tuple[int, int]
) -> str:
    """What is wrong with a network's output, such as ``gives (B, 6), not (B, 10)``; "" where nothing is.

    A copy without numbers runs on torch's meta device, as in evaluation, so that no weight, statistic or random number
    changes and a large network costs no more than a small one. What cannot run there is not judged.

    Args:
        module: The network.
        outputs: What the task takes; see `visrun.tables.TaskEntry`.
        num_outputs: What its head must give.
        image_size: (height, width) in pixels.
    """
    try:
        output = _run(deepcopy(module, _without_numbers(module)), image_size)
    except Exception:  # a step with real numbers says more of it, if that fails as well
        return ""
    if isinstance(output, Mapping) and "pixel" in outputs:  # networks of pixels may name their logits
        if "score" in output and "score" in outputs:
            return ""
        output = output.get("out", output)
    shapes = {"image": (BATCH, num_outputs), "pixel": (BATCH, num_outputs, *image_size)}
    due = [shape for kind, shape in shapes.items() if kind in outputs]
    if isinstance(output, Tensor) and tuple(output.shape) in due:
        return ""
    given = _shown(tuple(output.shape)) if isinstance(output, Tensor) else type(output).__name__
    return f"gives {given}, not {' or '.join(map(_shown, due))}"


def _without_numbers(module: nn.Module) -> dict[int, Any]:
    """A memo for ``deepcopy``: in place of each parameter and buffer one of its shape on the meta device."""
    parameters = {id(p): nn.Parameter(p.to("meta"), requires_grad=False) for p in module.parameters()}
    return {**parameters, **{id(b): b.to("meta") for b in module.buffers()}}


def _run(copy: nn.Module, image_size: tuple[int, int]) -> Any:
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        return copy.eval()(torch.zeros(BATCH, 3, *image_size, device="meta"))


def _shown(shape: tuple[int, ...]) -> str:
    """``(B, 10)``."""
    return f"({', '.join('B' if i == 0 and side == BATCH else str(side) for i, side in enumerate(shape))})"
