"""Pruners by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.pruners import BasePruner

from visrun.errors import ConfigError
from visrun.fields import one_of, show
from visrun.sweep.config import PRUNERS
from visrun.sweep.storage import quiet

KEY = "hydra.sweeper.pruner"


def settled(node: Any, *, max_epochs: int, warmup_epochs: int) -> Any:
    """``hydra.sweeper.pruner`` with the epoch of its first look, where it leaves that open.

    Successive halving looks once: when a trial has had the share of its epochs that goes on, one in
    ``reduction_factor``, and is past the warm-up. A cut that is made later saves little, and what decides which of
    several good trials ends best is then chance, of which more trials to the end have more.
    """
    if not isinstance(node, Mapping) or node.get("min_resource", 1) is not None:
        return node
    factor = node.get("reduction_factor")
    share = math.ceil(max_epochs / factor) if isinstance(factor, int) and factor > 0 else 1
    return {**node, "min_resource": max(share, min(warmup_epochs + 1, max_epochs))}


def make_pruner(node: Mapping[str, Any]) -> BasePruner:
    """The pruner that ``hydra.sweeper.pruner`` describes: its ``name`` and the arguments of Optuna's class.

    Raises:
        ConfigError: An unknown name, or arguments that Optuna refuses.
    """
    if not isinstance(node, Mapping):
        raise ConfigError(f"{KEY}={show(node)}: choose one with {KEY.replace('.', '/')}=NAME, {one_of(list(PRUNERS))}")
    name = node.get("name")
    if name not in PRUNERS:
        raise ConfigError(f"{KEY}={show(name)}: must be {one_of(list(PRUNERS))}")
    kind, usual = PRUNERS[name]
    arguments = usual | {key: value for key, value in node.items() if key not in ("name", "_target_")}
    if "wrapped" in arguments:
        inner = arguments.pop("wrapped")
        arguments["wrapped_pruner"] = None if inner is None else make_pruner({"name": inner})
    try:
        with quiet():
            if name == "hyperband":  # which would find what is wrong when a trial reports
                optuna.pruners.SuccessiveHalvingPruner(arguments["min_resource"], arguments["reduction_factor"])
            return getattr(optuna.pruners, kind)(**arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{KEY}={name}: {error}") from None
