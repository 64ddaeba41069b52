"""The moving average of a model's weights."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from visrun.device import is_out_of_memory
from visrun.errors import ConfigError


class Average:
    """Exponential moving average of a model's weights (Polyak & Juditsky 1992), buffers copied.

    The decay rises as ``min(decay, (1 + t) / (10 + t))`` with the step t, so that the first weights are soon forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.steps = decay, 0
        try:
            self.model, self.module = model, deepcopy(model).eval().requires_grad_(False)
        except RuntimeError as error:  # of a tensor that was computed, which torch.nn.utils.weight_norm keeps
            if is_out_of_memory(error):
                raise
            how = "take torch.nn.utils.parametrizations.weight_norm, or run.ema=0"
            raise ConfigError(
                f"run.ema={decay:g}: the network cannot be copied, as one with weight_norm: {how}"
            ) from error
        self.source = [p.detach() for p in model.parameters()]
        self.target = [p.detach() for p in self.module.parameters()]
        self.weight = torch.zeros((), device=self.source[0].device)

    def advance(self) -> None:
        """Set the weight of the step to come; outside a captured graph, since it changes."""
        self.steps += 1
        self.weight.fill_(1.0 - min(self.decay, (1 + self.steps) / (10 + self.steps)))

    def update(self) -> None:
        """Move the average towards the model's weights."""
        change = torch._foreach_sub(self.source, self.target)
        torch._foreach_mul_(change, self.weight)
        torch._foreach_add_(self.target, change)
        buffers: dict[torch.dtype, tuple[list[Tensor], list[Tensor]]] = {}
        for kept, current in zip(self.module.buffers(), self.model.buffers(), strict=True):  # a step may make new ones
            targets, sources = buffers.setdefault(kept.dtype, ([], []))
            targets.append(kept)
            sources.append(current)
        for targets, sources in buffers.values():
            torch._foreach_copy_(targets, sources)

    def state_dict(self) -> dict[str, Any]:
        """Averaged weights and the number of steps taken."""
        return {"module": self.module.state_dict(), "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self.module.load_state_dict(state["module"])
        self.steps = state["steps"]
