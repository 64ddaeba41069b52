"""What ``experiment=PATH`` and ``recipe=NAME`` bring: saved settings, one layer below what the user types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from visrun.config.choices import choose, known, own_file, unknown_option
from visrun.config.configs import Conf, choices_in
from visrun.config.experiment import load_experiment
from visrun.config.fields import flatten, show
from visrun.config.lines import Line
from visrun.config.overrides import GROUPS, placed
from visrun.config.settings import Augment
from visrun.errors import ConfigError
from visrun.hyperparameters import OF_OPTIMIZER
from visrun.near import near

NO_PRESET = Augment().name  # which varies nothing by itself
NEVER = ("experiment", "recipe", "defaults")  # a file names no further file


class Files(NamedTuple):
    """The settings of the files that the user named, with dotted keys; a recipe goes over an experiment."""

    experiment: dict[str, Any]
    recipe: dict[str, Any]
    notices: tuple[Line, ...] = ()

    @property
    def values(self) -> dict[str, Any]:
        """The settings of both."""
        return {**self.experiment, **self.recipe}


def saved(typed: Mapping[str, Any], conf: Conf) -> tuple[Files, list[str]]:
    """The files that the user named, and a line for everything wrong in them.

    An experiment, which others may have written, is checked by
    :func:`visrun.config.experiment.load_experiment` and never names plugins. What a file says means the same as if it
    were typed in the folder of ``conf``.
    """
    files = Files({}, {})
    problems: list[str] = []
    for named, flat in (("experiment", files.experiment), ("recipe", files.recipe)):
        if typed.get(named) is None:
            continue
        try:
            found = {key: placed(key, value, conf.cwd) for key, value in _content(named, typed[named], conf).items()}
        except ConfigError as error:
            problems.extend(error.problems)
            continue
        for key in [key for key in found if key not in known() or key in NEVER]:
            del found[key]
            hint = ": a file names no other file" if key in NEVER else near(key, known())
            problems.append(f"{show(key)} is no setting of a saved file{hint}; it stands in {named}={typed[named]}")
        flat.update(found)
    files = _without_preset(files, typed, conf)
    for group, name in choices_in(files.values, GROUPS).items():
        if group != "model" and name not in conf.options(group):
            problems.append(unknown_option(group, name, conf, among=[typed, files.values]))
            for flat in (files.experiment, files.recipe):
                flat.pop(group, None)
                flat.pop(f"{group}.name", None)
    return files, problems


def _content(named: str, value: Any, conf: Conf) -> Mapping[str, Any]:
    if named == "recipe":
        content = own_file("recipe", value, conf)
        keys = Counter(key for part in content for key in flatten({part: content[part]}))
        if twice := [key for key, count in keys.items() if count > 1]:
            told = "is given twice, with a dot and in a section; keep one"
            raise ConfigError([f"recipe={value}: {key} {told}" for key in twice])
        return flatten(content)
    return load_experiment(str(value)).values if value else {}  # the schema tells that it is none


def foreign_preset(experiment: Mapping[str, Any], conf: Conf) -> str | None:
    """The augmentation of an experiment, where it is no option here but all its numbers are there: a preset of a folder
    that whoever wrote the file has kept. They stand for it, as of NO_PRESET."""
    name = experiment.get("augment.name")
    whole = all(f"augment.{part}" in experiment for part in Augment.model_fields)
    return name if whole and name not in conf.options("augment") else None


def _without_preset(files: Files, typed: Mapping[str, Any], conf: Conf) -> Files:
    """The files without the name of a :func:`foreign_preset`, and without its numbers where another one is chosen."""
    name = foreign_preset(files.experiment, conf)
    if name is None:
        return files
    if choices_in({**files.recipe, **typed}, ["augment"]):  # also one of none
        left = {key: value for key, value in files.experiment.items() if not key.startswith("augment.")}
        return files._replace(experiment=left)
    told = f"augment={name} is no option here: its numbers are taken from the experiment, as of augment={NO_PRESET}"
    named = {**files.experiment, "augment.name": NO_PRESET}
    return files._replace(experiment=named, notices=(Line(told, ("augment",)),))


def in_force(
    files: Files, picked: Mapping[str, str], conf: Conf, *, rooted: str | None
) -> tuple[dict[str, Any], list[Line]]:
    """The files' settings, less those that a choice over them replaces, and a notice of the replaced numbers.

    Args:
        picked: The choices the user typed. They are made over both files, and a recipe's over an experiment.
        rooted: Whose data.root counts (see :func:`visrun.config.choices.rooted_by`).
    """
    experiment, recipe = files.experiment, files.recipe
    over = {**choices_in(recipe, GROUPS), **picked}
    void = _void(over, experiment, experiment, conf, rooted)
    void_too = _void(picked, recipe, files.values, conf, rooted)
    left = {key: value for key, value in experiment.items() if key not in void}
    left |= {key: value for key, value in recipe.items() if key not in void_too}
    told = [*files.notices, *_notices(void - recipe.keys(), over, "experiment"), *_notices(void_too, picked, "recipe")]
    return left, told


def _void(
    over: Mapping[str, str], flat: Mapping[str, Any], made_for: Mapping[str, Any], conf: Conf, rooted: str | None
) -> set[str]:
    """A file's keys that belonged to another choice than the one made over it.

    Args:
        over: The choices made over the file.
        flat: The file's settings.
        made_for: The settings whose choices the file's numbers were made for: its own, and those of a file beneath it.
    """
    if not (over and flat):
        return set()
    usual = choose({}, made_for, conf, rooted=rooted)
    names = {**usual.options, "model": usual.model}
    other = {group for group, name in over.items() if name != names[group]}
    void: set[str] = set()
    if "optimizer" in other:
        void |= {*OF_OPTIMIZER}
    if "augment" in other:
        void |= {key for key in flat if key.startswith("augment.")}
    if "model" in other:
        void |= {"model.weights"}
    if over.get("data") == "demo":
        void |= {"data.root", "data.classes", "data.targets"}
    return void & set(flat)


def _notices(void: set[str], over: Mapping[str, str], named: str) -> list[Line]:
    """The notice that an optimizer leaves out a file's numbers, which were another one's."""
    left_out = [key for key in OF_OPTIMIZER if key in void]
    if not left_out:
        return []
    numbers = f"{' and '.join(left_out)} {'are' if len(left_out) > 1 else 'is'} left out"
    return [Line(f"optimizer={over['optimizer']} is not the {named}'s: the {named}'s {numbers}", ("optimizer",))]
