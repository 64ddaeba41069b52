"""What ``experiment=PATH`` and ``recipe=NAME`` bring: saved settings, one layer below what the user types."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from visrun.config.choices import Chosen, unknown_option
from visrun.config.configs import Conf, choices_in, flatten
from visrun.config.fields import one_of, show
from visrun.config.overrides import GROUPS, near, placed
from visrun.errors import ConfigError, did_you_mean
from visrun.record.experiment import load_experiment

NEVER = ("experiment", "recipe")  # a file names no further file


def saved(
    typed: Mapping[str, Any], conf: Conf, *, known: Collection[str], cwd: Path
) -> tuple[dict[str, Any], list[str]]:
    """The settings of the files that the user named, with dotted keys, and a line for everything wrong in them.

    A recipe goes over an experiment. An experiment, which others may have written, is checked by
    :func:`visrun.record.experiment.load_experiment` and never names plugins. What a file says means the same as if it
    were typed in ``cwd``.
    """
    flat: dict[str, Any] = {}
    problems: list[str] = []
    for named, read in (("experiment", _experiment), ("recipe", _recipe)):
        try:
            found = {key: placed(key, value, cwd) for key, value in read(typed, conf).items()}
        except ConfigError as error:
            problems.extend(error.problems)
            continue
        for key in [key for key in found if key not in known or key in NEVER]:
            del found[key]
            hint = ": a file names no other file" if key in NEVER else near(key, known)
            problems.append(f"{show(key)} is no setting of a saved file{hint}; it stands in {named}={typed[named]}")
        flat.update(found)
    for group, name in choices_in(flat, GROUPS).items():
        if group != "model" and name not in conf.options(group):
            problems.append(unknown_option(group, name, conf, among=[typed, flat]))
            flat.pop(group, None)
            flat.pop(f"{group}.name", None)
    return flat, problems


def _experiment(typed: Mapping[str, Any], conf: Conf) -> dict[str, Any]:  # noqa: ARG001 (one signature for both)
    path = typed.get("experiment")
    return dict(load_experiment(str(path)).values) if path else {}


def _recipe(typed: Mapping[str, Any], conf: Conf) -> dict[str, Any]:
    name = typed.get("recipe")
    if name is None:
        return {}
    names = conf.options("recipe")
    if name not in names:
        hint = did_you_mean(name, names) if isinstance(name, str) else ""
        raise ConfigError(f"recipe={show(name)}: must be {one_of(names) if names else 'a file in conf/recipe/'}{hint}")
    return flatten(conf.read(f"recipe/{name}"))


def typed_over(picked: Mapping[str, str], flat: Mapping[str, Any], usual: Chosen) -> set[str]:
    """The file's keys that a typed choice makes void, since they belonged to another choice.

    Args:
        picked: The choices the user typed.
        flat: The file's settings.
        usual: The choices without the typed ones: what the file's numbers were made for.
    """
    names = {**usual.options, "model": usual.model}
    other = {group for group, name in picked.items() if name != names[group]}
    void: set[str] = set()
    if "optimizer" in other:
        void |= {"learning_rate", "weight_decay"}
    if "augment" in other:
        void |= {key for key in flat if key.startswith("augment.")}
    if "model" in other:
        void |= {"model.weights"}
    if picked.get("data") == "demo":
        void |= {"data.root", "data.classes", "data.targets"}
    return void & set(flat)
