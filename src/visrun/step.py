"""One optimizer step: forward, backward, clip, update, average; on CUDA captured once and replayed as a graph.

A step of a small vision model is hundreds of short kernels, and launching them from Python takes longer than running
them. With fixed shapes the whole step is recorded as one CUDA graph (https://pytorch.org/docs/stable/notes/cuda.html,
"CUDA Graphs") and launched at once. Nothing in here reads a value back from the device while a step is under way.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from visrun.average import Average
from visrun.batch import clone, refill, split
from visrun.device import autocast, free_generator
from visrun.errors import ConfigError, first_line

# Eager steps before a capture, so that lazy initialisation is over (CUDA Graphs, "Whole-network capture").
WARM_UP_STEPS = 3


class Losses(Protocol):
    """What a step needs of a task."""

    def losses(self, model: nn.Module, batch: Any) -> dict[str, Tensor]: ...


class Step:
    """Callable that trains on one batch and keeps the epoch's sums of losses on the device.

    Args:
        task: Gives the named losses of a batch; their sum is minimised.
        model: In training mode, on ``device``.
        optimizer: Over ``model``'s parameters; on CUDA with a tensor learning rate and capturable.
        precision: "bf16" or "fp32".
        clip: Largest norm of all gradients together; 0 leaves them as they are.
        accumulate: A batch is run in this many equal parts whose gradients are averaged.
        ema: Decay of the exponential moving average of the weights; 0 keeps none.
        graph: Capture the step as a CUDA graph after the warm-up steps.
        refused: Why that is not even tried on a GPU, where the user does not know.
    """

    def __init__(
        self,
        task: Losses,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        device: torch.device,
        precision: str = "fp32",
        clip: float = 0.0,
        accumulate: int = 1,
        ema: float = 0.0,
        graph: bool = False,
        refused: str = "",
    ) -> None:
        self.task, self.model, self.optimizer = task, model, optimizer
        self.device, self.precision, self.clip, self.accumulate = device, precision, clip, accumulate
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.average = Average(model, ema) if ema else None
        self.ledger = Ledger(device)
        self.graph: torch.cuda.CUDAGraph | None = None
        on_gpu = device.type == "cuda"
        self.graph_wanted, self.graph_refused = graph and on_gpu, refused if on_gpu else ""
        self.static: Any = None
        self.side = torch.cuda.Stream(device) if self.graph_wanted else None
        self.eager_steps = 0

    @property
    def evaluated(self) -> nn.Module:
        """The weights that are evaluated and saved as best: the moving average where one is kept."""
        return self.average.module if self.average else self.model

    def __call__(self, batch: Any) -> None:
        """Train on ``batch`` without waiting for the device."""
        if self.average:
            self.average.advance()
        if not self.graph_wanted:
            self._train(batch)
        elif self.eager_steps < WARM_UP_STEPS:
            self._warm_up(batch)
        else:
            self._replay(batch)

    def _train(self, batch: Any) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        for part in split(batch, self.accumulate):
            with autocast(self.device, self.precision):
                losses = self.task.losses(self.model, part)
            require_numbers(losses)
            total = torch.stack([loss.float() for loss in losses.values()]).sum()
            require_gradient(total)
            (total / self.accumulate).backward()
            self.ledger.add(losses, total, 1.0 / self.accumulate)
        if self.clip:
            nn.utils.clip_grad_norm_(self.parameters, self.clip, foreach=True)
        self.optimizer.step()
        if self.average:
            self.average.update()
        self.ledger.close_step()

    def _warm_up(self, batch: Any) -> None:
        assert self.side is not None
        before = list(self.model.buffers())
        self.side.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self.side):
            self._train(batch)
        torch.cuda.current_stream(self.device).wait_stream(self.side)
        self.eager_steps += 1
        if [*map(id, before)] != [*map(id, self.model.buffers())]:  # a replay would read the same old ones each time
            self.graph_wanted, self.graph_refused = False, "a step makes buffers of the model anew, not in place"

    def _replay(self, batch: Any) -> None:
        if self.graph is None and not self._capture(batch):
            self._train(batch)
            return
        assert self.graph is not None
        refill(self.static, batch)
        self.graph.replay()

    def _capture(self, batch: Any) -> bool:
        """Record the step; on failure keep training eagerly and remember why."""
        self.static = clone(batch)
        self.optimizer.zero_grad(set_to_none=True)
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream(self.device)
        pool = torch.cuda.graph_pool_handle()
        try:
            torch.cuda.synchronize(self.device)
            with torch.cuda.graph(graph, pool=pool, stream=self.side):
                self._train(self.static)
        except RuntimeError as error:
            torch.cuda.set_stream(stream)  # a capture that cannot be closed leaves its own stream current
            end_allocation(self.device, pool)
            # Closing the capture fails, too, and says only that something did. A step fits that a second one, which a
            # graph holds for itself, leaves no room for.
            self.graph_refused = first_line(error.__context__ or error)
        else:
            self.graph = graph
            return True
        # Beyond the clause: the error's traceback holds all that the broken capture had in memory.
        self.graph_wanted, self.static = False, None
        torch.cuda.synchronize(self.device)
        free_generator(self.device)
        self.optimizer.zero_grad(set_to_none=True)
        torch.cuda.empty_cache()
        return False

    @property
    def graph_note(self) -> str:
        """Whether steps run as a CUDA graph, and if not although wanted, why; empty on the CPU."""
        if self.graph_refused:
            return f"no CUDA graph, every step is launched kernel by kernel: {self.graph_refused}"
        return "steps run as one CUDA graph" if self.graph is not None else ""

    def forget_graph(self) -> None:
        """Give back the memory of a captured graph; the next steps run eagerly."""
        self.graph, self.static, self.graph_wanted = None, None, False

    def state_dict(self) -> dict[str, Any]:
        """The sums of the epoch under way and the moving average."""
        return {"ledger": self.ledger.state_dict(), "average": self.average.state_dict() if self.average else None}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self.ledger.load_state_dict(state["ledger"])
        if self.average and state["average"] is not None:
            self.average.load_state_dict(state["average"])


def require_numbers(losses: Mapping[str, Any]) -> None:
    """Refuse a loss that is no single number, and none at all.

    Raises:
        ConfigError: In one line, with the shape.
    """
    if not losses:
        raise ConfigError("the loss gives a mapping without parts: name one at least")
    for name, loss in losses.items():
        if not isinstance(loss, Tensor):
            advice = "is its return missing?" if loss is None else "leave out item() and float()"
            raise ConfigError(f"the loss {name} gives {type(loss).__name__}, not a tensor of one number: {advice}")
        if loss.ndim or loss.is_complex():
            given = f"a tensor {tuple(loss.shape)} of {str(loss.dtype).removeprefix('torch.')}"
            raise ConfigError(f"the loss {name} gives {given}, not one number: let it take the mean")


def require_gradient(total: Tensor) -> None:
    """Refuse losses that no weight can lower.

    Raises:
        ConfigError: In one line.
    """
    if not total.requires_grad:
        raise ConfigError("the loss has no gradient: let it follow from the prediction, without detach() or item()")


def end_allocation(device: torch.device, pool: tuple[int, int]) -> None:
    """Tell the allocator that a capture into ``pool`` is over, where the capture broke off before it did so itself.

    While it takes a capture to be under way it gives nothing back, to `torch.cuda.empty_cache` or when memory is short;
    and of a pool that nobody releases, never. Both functions are private: a torch without them has no such remedy.
    """
    with suppress(AttributeError, RuntimeError):  # it is over already, and the graph itself releases its pool
        torch._C._cuda_endAllocateToPool(device.index or 0, pool)
        torch._C._cuda_releasePool(device.index or 0, pool)


class Ledger:
    """Sums of the named losses over an epoch and the first step whose loss was not finite, kept on the device."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.sums: dict[str, Tensor] = {}
        self.steps = torch.zeros((), device=device)
        self.last = torch.zeros((), device=device)
        self.first_bad = torch.full((), -1.0, device=device)

    def add(self, losses: dict[str, Tensor], total: Tensor, share: float) -> None:
        """Add one part of a step; ``share`` is its part of the step's batch."""
        for name, loss in {**losses, "loss": total}.items():
            if name not in self.sums:
                self.sums[name] = torch.zeros((), device=self.device)
            self.sums[name].add_(loss.detach().float(), alpha=share)
        self.last.copy_(total.detach())
        bad = (self.first_bad < 0) & ~torch.isfinite(total.detach())
        self.first_bad.copy_(torch.where(bad, self.steps, self.first_bad))

    def close_step(self) -> None:
        """Count the step."""
        self.steps.add_(1.0)

    def means(self) -> dict[str, float]:
        """Mean of each loss over the epoch's steps so far; waits for the device."""
        steps = max(float(self.steps), 1.0)
        return {name: float(total) / steps for name, total in self.sums.items()}

    def peek(self) -> tuple[float, int | None]:
        """The latest loss, and the epoch's first step with a non-finite loss or None; waits for the device."""
        last, first_bad = torch.stack([self.last, self.first_bad]).tolist()
        return last, None if first_bad < 0 else int(first_bad)

    def reset(self) -> None:
        """Begin an epoch; in place, since a captured graph holds these tensors."""
        for tensor in (*self.sums.values(), self.steps, self.last):
            tensor.zero_()
        self.first_bad.fill_(-1.0)

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers, exact in float32."""
        return {"sums": {name: float(total) for name, total in self.sums.items()}, "steps": float(self.steps)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self.reset()
        self.steps.fill_(state["steps"])
        for name, value in state["sums"].items():
            self.sums.setdefault(name, torch.zeros((), device=self.device)).fill_(value)
