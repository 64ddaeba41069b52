"""What of a space its tasks and models take: the choices that no trial could run with are left out, and said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from visrun.config.fields import one_of
from visrun.config.setting_rules import entry_of
from visrun.errors import ConfigError
from visrun.hyperparameters import losses_of
from visrun.sweep.dimensions import Dimension
from visrun.tables import GENERIC_MODEL, TASKS, TIMM_MODEL
from visrun.text import some

if TYPE_CHECKING:
    from visrun.sweep.space import Base

NAMELESS = (GENERIC_MODEL, TIMM_MODEL)  # options that are no model by themselves


def narrow(dimensions: dict[str, Dimension], base: Base, *, named: bool) -> list[str]:
    """Leave out of ``dimensions`` the models and losses that are not taken; a line about each.

    Args:
        dimensions: Those of a space.
        base: What goes with them.
        named: Whether a ``model.name`` goes with every trial, which the models of NAMELESS need.

    Raises:
        ConfigError: None is left.
    """
    notices: list[str] = []
    for name, taken in (("model", partial(_taken_models, named=named)), ("loss", _taken_losses)):
        if name in dimensions:
            kept, lines = taken(dimensions, base)
            if not kept:
                raise ConfigError([f"{name}: no {name} is left to try", *lines])
            if lines:
                dimensions[name] = dimensions[name].narrowed(kept)
            notices += lines
    return notices


def _taken_models(dimensions: Mapping[str, Dimension], base: Base, *, named: bool) -> tuple[list[Any], list[str]]:
    """The models that some task of the space takes, and lines about the others."""
    tasks = _varied(dimensions, "task", base.task)
    every = list(dimensions["model"].values or ())
    nameless = [name for name in every if name in NAMELESS and not named]
    serving = [name for name in every if any(task in entry_of(str(name), task).tasks for task in tasks)]
    others = [str(name) for name in every if name not in serving]
    told = [f"model={name} is left out: it needs a model.name" for name in nameless]
    if others:
        told.append(f"model={some(others)} is left out: no model of task={','.join(map(str, tasks))}")
    return [name for name in serving if name not in nameless], told


def _taken_losses(dimensions: Mapping[str, Dimension], base: Base) -> tuple[list[Any], list[str]]:
    """The losses that every task and model of the space takes, and lines about the others."""
    models = _varied(dimensions, "model.name" if "model.name" in dimensions else "model", base.model)
    pairs = [
        (task, base.model if name == GENERIC_MODEL else name)
        for task in _varied(dimensions, "task", base.task)
        for name in models
    ]
    kept, notices = list(dimensions["loss"].values or ()), []
    for task, model in pairs:
        taken = losses_of(task, entry_of(str(model), task)) if task in TASKS else tuple(kept)
        for name in [name for name in kept if name not in taken]:
            kept.remove(name)
            notices.append(f"loss={name} is left out: task={task} with model={model} takes {one_of(taken or ['none'])}")
    return kept, notices


def _varied(dimensions: Mapping[str, Dimension], name: str, usual: Any) -> Sequence[Any]:
    """The values that a space tries of a setting, or its only one."""
    return (dimensions[name].values or [usual]) if name in dimensions else [usual]
