"""Where each value came from (schema, task, architecture, option, file or you), and which of them set a run apart."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from visrun.config.choices import NAMED, Chosen
from visrun.config.configs import PRIMARY, SCHEMA, Conf, Layer
from visrun.config.fields import flatten
from visrun.config.lines import Line
from visrun.hyperparameters import CHOICES, OF_OPTIMIZER, Hyperparameters

MEANING = {  # of each source, for people
    "schema": "the default of all tasks",
    "task": "the task's file",
    "architecture": "the model's file",
    "option": "an option's file",
    "file": "experiment= or recipe=",
    "you": "typed",
}
OF_FOLDER = {"task": "task", "task_optimizer": "task", "model": "architecture", "model_optimizer": "architecture"}
# The values that are options of groups: who chose the option is their source.
CHOSEN = {name: name for name in CHOICES} | {f"{group}.name": group for group in NAMED}


def sources(
    layers: Sequence[Layer],
    *,
    keys: Sequence[str],
    chosen: Mapping[str, str],
    file: Collection[str],
    typed: Collection[str],
    ruled: Collection[str] = (),
) -> dict[str, str]:
    """Dotted key -> source, in the order of ``keys``.

    Args:
        keys: Hyperparameters and the dotted keys of other settings.
        layers: The composed files, low to high.
        chosen: Group -> who chose its option.
        file: The keys that a file (experiment=, recipe=) sets.
        typed: The keys that the user typed.
        ruled: The keys whose value a rule of the schema set.
    """
    found, held = {}, [(layer.path, flatten(layer.values)) for layer in reversed(layers)]
    for name in keys:
        if name in ruled:
            found[name] = "schema"
        elif name in CHOSEN:
            found[name] = chosen[CHOSEN[name]]
        elif name in typed:
            found[name] = "you"
        elif name in file:
            found[name] = "file"
        else:
            found[name] = next((_kind(path) for path, values in held if name in values), "schema")
    return found


def _kind(path: str) -> str:
    """A layer's source: the task's and the model's files by their folder, a user's own primary config is a file."""
    folder, _, name = path.rpartition("/")
    if not folder:
        return {SCHEMA: "schema", PRIMARY: "file"}.get(name, "option")
    return OF_FOLDER.get(folder, "option")


def set_apart(
    layers: Sequence[Layer], values: Mapping[str, Any], came_from: Mapping[str, str], usual: Mapping[str, str]
) -> tuple[str, ...]:
    """The keys that the user or a file set to what the run would not have without them.

    Args:
        layers: The composed files, low to high.
        values: Dotted key -> the run's value, plain.
        came_from: Dotted key -> source, as :func:`sources` says.
        usual: Group -> the option of this task, model and data, see :func:`visrun.config.choices.usual_options`.
    """
    beneath = {key: value for layer in layers for key, value in flatten(layer.values).items()}
    beneath |= {key: usual[group] for key, group in CHOSEN.items()}
    given = [key for key, source in came_from.items() if source in ("you", "file")]
    return tuple(key for key in given if values[key] != beneath.get(key))


def own_values(chosen: Chosen, values: Hyperparameters, came_from: Mapping[str, str], conf: Conf) -> list[Line]:
    """The notice that an optimizer which is not the task's own brings its own numbers."""
    name, task = chosen.options["optimizer"], chosen.options["task"]
    usual = {**conf.default_choices(), **conf.choices(f"task/{task}")}.get("optimizer")
    brought = [key for key in OF_OPTIMIZER if came_from[key] in ("option", "architecture")]
    if name == usual or not brought:
        return []
    numbers = " and ".join(f"{key}={getattr(values, key):g}" for key in brought)
    told = f"optimizer={name} brings its own {numbers} (the optimizer of task={task} is {usual})"
    return [Line(told, ("optimizer", "task"))]
