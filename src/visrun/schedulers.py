"""Learning-rate schedules: torch's own classes on the run's axis of epochs, advanced after every optimizer step.

With s steps an epoch, ``T_max``, ``total_iters``, ``step_size`` and milestones are s times their value in epochs, so at
each epoch's end the rate equals that of the torch class stepped once an epoch; cosine and poly move in between.

LinearWarmup over N epochs is a LinearLR chained with the main schedule. Both multiply the rate, so during the warm-up
it is the main schedule's value times a ramp from ``WARMUP_START`` to 1, at epoch N exactly the main schedule's value,
and the main schedule goes on from there: a cosine still ends at 0. (SequentialLR would begin it anew.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)

from visrun.build import Config, call, load, values_of
from visrun.lr import WARMUP_START, check_name, check_numbers, whole_epochs
from visrun.tables import SCHEDULERS


def build_scheduler(optimizer: Optimizer, config: Config, steps_per_epoch: int = 1) -> LRScheduler | InPlaceScheduler:
    """The schedule that ``config`` names, with its warm-up; call its ``step()`` after every optimizer step.

    Build it before a saved state is loaded into ``optimizer``; load the optimizer's state, then the schedule's.

    Args:
        optimizer: Its learning rates may be floats or tensors; tensors are changed in place.
        config: Hyperparameters, or any mapping with ``scheduler`` and ``max_epochs``; see :func:`visrun.lr.lr_curve`
            for the others.
        steps_per_epoch: Optimizer steps in an epoch, at least 1.

    Raises:
        ConfigError: The name is unknown (a ValueError that names the known ones), a value is missing or out of its
            range, or milestones are no list of integers; or ``config`` is no mapping.
        ValueError: ``steps_per_epoch`` is below 1.
    """
    given = values_of(config, "scheduler")
    check_name(given["scheduler"])
    check_numbers(given)
    if steps_per_epoch < 1:
        raise ValueError(f"steps_per_epoch={steps_per_epoch}: must be at least 1")
    values = {**given, "steps_per_epoch": steps_per_epoch}
    if any(isinstance(group["lr"], Tensor) for group in optimizer.param_groups):
        return InPlaceScheduler(optimizer, lambda twin: _schedule(twin, values), asked=values.get("learning_rate"))
    return _schedule(optimizer, values)


def cosine(optimizer: Optimizer, *, max_epochs: int, steps_per_epoch: int) -> CosineAnnealingLR:
    """Half a cosine down to 0 at ``max_epochs`` (arXiv 1608.03983, without restarts)."""
    return CosineAnnealingLR(optimizer, T_max=max_epochs * steps_per_epoch)


def step(optimizer: Optimizer, *, steps_per_epoch: int, step_size: int = 10, gamma: float = 0.1) -> StepLR:
    """``gamma`` times the rate after every ``step_size`` epochs."""
    return StepLR(optimizer, step_size=step_size * steps_per_epoch, gamma=gamma)


def multistep(
    optimizer: Optimizer, *, steps_per_epoch: int, milestones: Sequence[int] = (), gamma: float = 0.1
) -> MultiStepLR:
    """``gamma`` times the rate at every milestone, in epochs."""
    return MultiStepLR(
        optimizer, milestones=[epoch * steps_per_epoch for epoch in whole_epochs(milestones)], gamma=gamma
    )


def poly(optimizer: Optimizer, *, max_epochs: int, steps_per_epoch: int, poly_power: float = 0.9) -> PolynomialLR:
    """``(1 - epoch / max_epochs) ** poly_power`` (arXiv 1606.00915)."""
    return PolynomialLR(optimizer, total_iters=max_epochs * steps_per_epoch, power=poly_power)


def none(optimizer: Optimizer) -> ConstantLR:
    """The same rate all along."""
    return ConstantLR(optimizer, factor=1.0, total_iters=0)


class InPlaceScheduler:
    """A schedule of torch, run in double precision beside an optimizer whose learning rates are tensors.

    torch's schedules multiply the rate at every step. In a float32 tensor the rounding of many thousand factors adds
    up, and each costs a few kernels; here one value is written per step. It is written in place, since a CUDA graph
    goes on reading the tensor it was captured with.

    Args:
        optimizer: The optimizer to steer.
        schedule: Makes the torch schedule for an optimizer with plain rates.
        asked: The learning rate that a tensor may hold rounded.
    """

    def __init__(
        self, optimizer: Optimizer, schedule: Callable[[Optimizer], LRScheduler], *, asked: float | None = None
    ) -> None:
        self.optimizer = optimizer
        groups = [{"params": [torch.zeros(1)], "lr": _plain(group["lr"], asked)} for group in optimizer.param_groups]
        self._twin = torch.optim.SGD(groups, lr=0.0)
        self._schedule = schedule(self._twin)
        self._write()

    def step(self) -> None:
        """Advance by one optimizer step."""
        self._twin.step()  # without gradients nothing happens, but torch wants this order
        self._schedule.step()
        self._write()

    def get_last_lr(self) -> list[float]:
        """The rate of every parameter group."""
        return [float(group["lr"]) for group in self._twin.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """That of the torch schedule, which holds the exact rates: either kind reads what the other has written."""
        return self._schedule.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what ``state_dict`` gave, here or of the torch schedule, and set the optimizer's rates."""
        self._schedule.load_state_dict(dict(state))
        for group, rate in zip(self._twin.param_groups, self._schedule.get_last_lr(), strict=True):
            group["lr"] = float(rate)
        self._write()

    def _write(self) -> None:
        for group, rate in zip(self.optimizer.param_groups, self.get_last_lr(), strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate


def _plain(rate: float | Tensor, asked: float | None) -> float:
    """A rate as a number: what was ``asked`` for, where the rate is that as its tensor holds it."""
    if isinstance(rate, Tensor) and asked is not None and float(torch.tensor(asked, dtype=rate.dtype)) == float(rate):
        return float(asked)
    return float(rate)


def _schedule(optimizer: Optimizer, values: Mapping[str, Any]) -> LRScheduler:
    main: LRScheduler = call(load(SCHEDULERS[values["scheduler"]]), values, optimizer)
    warmup_steps = values.get("warmup_epochs", 0) * values["steps_per_epoch"]
    if not warmup_steps:
        return main
    # After the main schedule, which takes the rate it finds as its own full height.
    warmup = LinearLR(optimizer, start_factor=WARMUP_START, end_factor=1.0, total_iters=warmup_steps)
    return ChainedScheduler([main, warmup])
