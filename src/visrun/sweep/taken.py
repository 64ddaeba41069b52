"""What of a space its tasks and models take: the choices that no trial could run with are left out, and said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from visrun.config.fields import one_of
from visrun.config.setting_rules import entry_of
from visrun.errors import ConfigError
from visrun.hyperparameters import losses_of
from visrun.sweep.dimensions import Dimension
from visrun.tables import GENERIC_MODEL, TASKS
from visrun.text import some

if TYPE_CHECKING:
    from visrun.sweep.space import Base


def narrow(dimensions: dict[str, Dimension], base: Base) -> list[str]:
    """Leave out of ``dimensions`` the models and losses that are not taken; a line about each.

    Raises:
        ConfigError: None is left.
    """
    notices: list[str] = []
    for name, taken in (("model", _taken_models), ("loss", _taken_losses)):
        if name in dimensions:
            kept, lines = taken(dimensions, base)
            if not kept:
                raise ConfigError([f"{name}: no {name} is left to try", *lines])
            if lines:
                dimensions[name] = dimensions[name].narrowed(kept)
            notices += lines
    return notices


def _taken_models(dimensions: Mapping[str, Dimension], base: Base) -> tuple[list[Any], list[str]]:
    """The models that some task of the space takes, and a line about the others."""
    tasks = _varied(dimensions, "task", base.task)
    every = list(dimensions["model"].values or ())
    kept = [name for name in every if any(task in entry_of(str(name), task).tasks for task in tasks)]
    others = [str(name) for name in every if name not in kept]
    told = f"model={some(others)} is left out: no model of task={','.join(map(str, tasks))}"
    return kept, [told] if others else []


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
