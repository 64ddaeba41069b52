"""What a run would have without what a file or its user has set, by which the list of runs tells what sets it apart."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from visrun.config.choices import setting_of
from visrun.errors import ConfigError
from visrun.files import part_of
from visrun.hyperparameters import CHOICES
from visrun.tables import TASKS
from visrun.web.catalog import FORM_GROUPS
from visrun.web.composer import Composer
from visrun.web.entered import words
from visrun.web.form import flat_values

REMEMBERED = 256  # combinations of choices
DECIDERS = (*CHOICES, "max_epochs")  # hyperparameters that others follow: an option's own, the warm-up


class Usual:
    """What runs would have of themselves, composed once for all runs of the same choices.

    Args:
        composer: Of the page.
    """

    def __init__(self, composer: Composer) -> None:
        self.composer, self._known = composer, OrderedDict[str, dict[str, Any]]()

    def of(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """`usual_values` of the content of an experiment.json."""
        parts = {name: part_of(content, name).get("name") for name in ("model", *FORM_GROUPS)}
        root, decided = part_of(content, "data").get("root"), part_of(content, "hyperparameters")
        key = repr((content.get("task"), root, parts, [decided.get(name) for name in DECIDERS]))
        if key not in self._known:
            self._known[key] = usual_values(content, self.composer)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return self._known[key]


def usual_values(content: Mapping[str, Any], composer: Composer) -> dict[str, Any]:
    """Key -> the value under the task, the model and the choices of an experiment.json, of these under the task, the
    model and the data's root alone; {} where they do not compose here, as without a plugin."""
    task = content.get("task")
    if not isinstance(task, str) or task not in TASKS:
        return {}
    model, root = part_of(content, "model").get("name"), part_of(content, "data").get("root")
    where = {"data.root": root} if isinstance(root, str) else {}
    chosen = {group: part_of(content, group).get("name") for group in FORM_GROUPS}
    chosen |= {key: part_of(content, "hyperparameters").get(key) for key in DECIDERS}
    told = {key: value for key, value in chosen.items() if isinstance(value, (str, int))}
    beneath = _composed(task, model, {**where, **told}, composer)
    alone = _composed(task, model, where, composer)
    return {**beneath, **{key: alone[key] for key in map(setting_of, chosen)}} if beneath and alone else {}


def _composed(task: str, model: object, values: Mapping[str, Any], composer: Composer) -> dict[str, Any]:
    try:
        with composer.lock:
            asked = words(task, model if isinstance(model, str) else None, values, composer.models)
            found = composer.look(asked)
    except ConfigError:  # a name that no word can hold
        return {}
    return flat_values(found.resolved)[0] if found.resolved is not None and not found.problems else {}
