"""Where each hyperparameter's value came from: schema, task, architecture, option, file or you."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from visrun.configs import PRIMARY, SCHEMA, Layer
from visrun.hyperparameters import Hyperparameters

OF_FOLDER = {"task": "task", "task_optimizer": "task", "model": "architecture", "model_optimizer": "architecture"}
CHOSEN = ("optimizer", "scheduler", "loss")  # the hyperparameters that are groups: who chose them is their source


def sources(
    layers: Sequence[Layer],
    *,
    chosen: Mapping[str, str],
    file: Collection[str],
    typed: Collection[str],
    ruled: Collection[str] = (),
) -> dict[str, str]:
    """Hyperparameter -> source, in the schema's order.

    Args:
        layers: The composed files, low to high.
        chosen: Group -> who chose its option.
        file: The keys that a file (experiment=, recipe=) sets.
        typed: The keys that the user typed.
        ruled: The keys whose value a rule of the schema set.
    """
    found = {}
    for name in Hyperparameters.model_fields:
        if name in ruled:
            found[name] = "schema"
        elif name in CHOSEN:
            found[name] = chosen[name]
        elif name in typed:
            found[name] = "you"
        elif name in file:
            found[name] = "file"
        else:
            found[name] = next((_kind(layer.path) for layer in reversed(layers) if name in layer.values), "schema")
    return found


def _kind(path: str) -> str:
    """A layer's source: the task's and the model's files by their folder, a user's own primary config is a file."""
    folder, _, name = path.rpartition("/")
    if not folder:
        return {SCHEMA: "schema", PRIMARY: "file"}.get(name, "option")
    return OF_FOLDER.get(folder, "option")
