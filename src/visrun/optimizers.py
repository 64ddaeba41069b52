"""Optimizers: torch's own, fused, and on CUDA ready to be captured in a CUDA graph.

A captured graph replays recorded addresses, so there the learning rate is a tensor that a schedule changes in place,
and Adam's step counter lives on the device (``capturable``). Weight decay applies to every parameter, norms and biases
too, as torch does by default.

    >>> build_optimizer(model.parameters(), {"optimizer": "sgd", "learning_rate": 0.01, "weight_decay": 1e-4})
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

from visrun.build import Config, call, load, values_of
from visrun.errors import ConfigError
from visrun.lr import NESTEROV_ALONE, check_numbers
from visrun.tables import OPTIMIZERS

Parameters = Iterable[Tensor] | Iterable[tuple[str, Tensor]] | Iterable[dict[str, Any]]


def build_optimizer(parameters: Parameters, config: Config) -> Optimizer:
    """The optimizer that ``config`` names, over ``parameters``.

    Args:
        parameters: Tensors of one device, with or without their names, or torch's parameter groups.
        config: Hyperparameters, or any mapping with ``optimizer`` and ``learning_rate``; ``weight_decay`` (0),
            ``momentum`` (0.9, sgd), ``nesterov`` (false, sgd) and ``betas`` ((0.9, 0.999), adam and adamw) are read
            where present.

    Raises:
        ConfigError: The name is unknown (a ValueError that names the known ones), a value is missing or out of its
            range, or nesterov has no momentum; or ``config`` is no mapping.
    """
    values = values_of(config, "optimizer")
    name = values["optimizer"]
    if not isinstance(name, str) or name not in OPTIMIZERS:
        raise ConfigError(f"optimizer={name}: unknown; use one of {', '.join(OPTIMIZERS)}")
    check_numbers(values)
    if "betas" in values:
        _check_betas(values["betas"])
    optimizer: Optimizer = call(load(OPTIMIZERS[name]), values, list(parameters))
    return optimizer


def _check_betas(betas: Any) -> None:
    """Raise a ConfigError unless they are what the schema takes."""
    several = isinstance(betas, Sequence) and not isinstance(betas, str) and len(betas) == 2
    if not several or not all(isinstance(beta, Real) and 0 <= float(beta) < 1 for beta in betas):
        raise ConfigError(f"betas={betas!r}: must be two numbers >= 0 and < 1, such as [0.9, 0.999]")


def adam(
    parameters: list[Any],
    *,
    learning_rate: float,
    weight_decay: float = 0.0,
    betas: tuple[float, float] = (0.9, 0.999),
) -> Adam:
    """Adam (Kingma & Ba 2015, arXiv 1412.6980); ``weight_decay`` is an L2 term."""
    placed = _adam_on(parameters, learning_rate)
    return Adam(parameters, betas=(betas[0], betas[1]), weight_decay=weight_decay, **placed)


def adamw(
    parameters: list[Any],
    *,
    learning_rate: float,
    weight_decay: float = 0.0,
    betas: tuple[float, float] = (0.9, 0.999),
) -> AdamW:
    """AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101); ``weight_decay`` is decoupled, scaled by the rate."""
    placed = _adam_on(parameters, learning_rate)
    return AdamW(parameters, betas=(betas[0], betas[1]), weight_decay=weight_decay, **placed)


def sgd(
    parameters: list[Any],
    *,
    learning_rate: float,
    weight_decay: float = 0.0,
    momentum: float = 0.9,
    nesterov: bool = False,
) -> SGD:
    """Stochastic gradient descent with momentum (Sutskever et al. 2013); ``weight_decay`` is an L2 term."""
    if nesterov and momentum == 0:
        raise ConfigError(NESTEROV_ALONE)
    placed = _on(parameters, learning_rate)
    return SGD(parameters, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay, **placed)


def load_optimizer(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """Take back ``optimizer.state_dict()``, also one written on another kind of device.

    The moments, momenta and learning rates are the saved ones. How the optimizer runs here (fused, capturable, a
    learning rate that is a tensor on this device) stays as it was built: torch would take that from the file.
    """
    groups = []
    for group, saved in zip(optimizer.param_groups, state["param_groups"], strict=True):
        rates = {key: _like(group["lr"], saved[key]) for key in ("lr", "initial_lr") if key in saved}
        groups.append({**group, **rates, "params": saved["params"]})
    optimizer.load_state_dict({"state": state["state"], "param_groups": groups})


def _like(rate: float | Tensor, saved: float | Tensor) -> float | Tensor:
    value = float(saved)
    return torch.full_like(rate, value) if isinstance(rate, Tensor) else value


def _adam_on(parameters: list[Any], learning_rate: float) -> dict[str, Any]:
    placed = _on(parameters, learning_rate)
    return {**placed, "capturable": isinstance(placed["lr"], Tensor)}


def _on(parameters: list[Any], learning_rate: float) -> dict[str, Any]:
    """``lr`` and ``fused`` for the device that ``parameters`` are on."""
    tensors = [tensor for item in parameters for tensor in _tensors(item)]
    devices = {tensor.device for tensor in tensors}
    fused = {device.type for device in devices} <= {"cpu", "cuda"} and all(t.is_floating_point() for t in tensors)
    cuda = [device for device in devices if device.type == "cuda"]
    if not fused or not cuda:
        return {"lr": learning_rate, "fused": fused}
    return {"lr": torch.tensor(learning_rate, device=cuda[0]), "fused": True}


def _tensors(item: Any) -> list[Tensor]:
    if isinstance(item, tuple):
        return [item[1]]  # a name and its tensor
    if not isinstance(item, dict):
        return [item]
    # A group's parameters may be a generator, which torch still has to read.
    item["params"] = [item["params"]] if isinstance(item["params"], Tensor) else list(item["params"])
    return [tensor for each in item["params"] for tensor in _tensors(each)]
