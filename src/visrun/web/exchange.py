"""experiment.json in and out of the form: saved from what it stands for, loaded as little as it takes to get there.

A loaded file is as untrusted as on the command line: :func:`visrun.load_experiment` checks it, names and values go
through the form's own checks, and what it leaves at the defaults is not touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from visrun.config.choices import own_file
from visrun.config.experiment import Experiment, load_experiment, read_experiment
from visrun.config.fields import flatten, show
from visrun.config.lines import texts
from visrun.config.saved import NO_PRESET, foreign_preset
from visrun.config.spelling import to_override
from visrun.errors import ConfigError
from visrun.hyperparameters import CHOICES
from visrun.record.journal import describe
from visrun.run_files import FILE_NAME
from visrun.web.bodies import State
from visrun.web.catalog import FORM_GROUPS, editable
from visrun.web.composer import Composer
from visrun.web.entered import words
from visrun.web.form import Form, fill, flat_values, problems_of_form


def saved(form: Form) -> dict[str, Any]:
    """The content of an experiment.json that stands for the form.

    Raises:
        ConfigError: The form has problems.
    """
    if problems := problems_of_form(form):
        raise ConfigError(problems)
    return describe(form.resolved)


def checked(told: object, composer: Composer) -> dict[str, Any]:
    """The form that a run was started from, as the page noted it; as untrusted as any other file.

    Raises:
        ConfigError: It is none of this installation's forms.
    """
    try:
        state = State.model_validate(told)
    except ValidationError:
        raise ConfigError("what this run was started from is not noted as a form") from None
    with composer.lock:
        fill(state.task, state.model, state.touched, composer)
    return state.model_dump()


def loaded_text(text: str, composer: Composer) -> dict[str, Any]:
    """The form of an experiment.json given as text; see :func:`loaded`."""
    return _form_of(read_experiment(text.removeprefix("\ufeff"), Path(FILE_NAME)), composer)


def loaded(file: Path, composer: Composer) -> dict[str, Any]:
    """``task``, ``model`` and ``touched`` of a form that stands for an experiment.json or the one in a run's folder.

    Raises:
        ConfigError: The file is refused, or names what this installation has not.
    """
    return _form_of(load_experiment(file), composer)


def _form_of(found: Experiment, composer: Composer) -> dict[str, Any]:
    task, model = found.choices.get("task", composer.conf.default_choices()["task"]), found.choices.get("model")
    with composer.lock:
        preset = {"augment": NO_PRESET} if foreign_preset(found.values, composer.conf) else {}
        touched = _without_defaults(task, model, {**_touched(found), **preset}, composer)
        usual = fill(task, None, _data_of(touched), composer).resolved.settings.model.name
    return {"task": task, "model": None if model == usual else model, "touched": touched}


def with_recipe(name: str, state: State, composer: Composer) -> dict[str, Any]:
    """``task``, ``model`` and ``touched`` of the form with a recipe's values below what the user touched; and ``kept``,
    the keys in which the user's word goes before the recipe's.

    A task that the recipe names is taken in place of the default one, which is in no command.

    Raises:
        ConfigError: There is no such recipe, it is refused, or it names plugins that the page does not have.
    """
    with composer.lock:
        composer.refresh()
        plugins = own_file("recipe", name, composer.conf).get("plugins")
        if lacking := [item for item in plugins if item not in composer.plugins] if isinstance(plugins, list) else []:
            raise ConfigError(f"recipe={name}: names plugins={show(lacking)}; visrun ui takes them, a form does not")
        usual = composer.conf.default_choices()["task"]
        task = composer.conf.choices(f"recipe/{name}").get("task", usual) if state.task == usual else state.task
        form = fill(task, state.model, state.touched, composer)
        asked = (*words(form.task, form.model, form.sent, composer.models), to_override("recipe", name))
        found = composer.look(asked)
        if found.resolved is None:
            raise ConfigError(texts(found.problems))
        values, told = flat_values(found.resolved)
        brought = {key for key, source in told.items() if source == "file"}
        model = str(values["model"]) if "model" in brought else state.model
        touched = {key: values[key] for key in editable() if key in brought} | state.touched
        held = flatten(own_file("recipe", name, composer.conf))
        return {
            "task": task,
            "model": model,
            "touched": _without_defaults(task, model, touched, composer) | state.touched,
            "kept": [key for key, value in state.touched.items() if key in held and str(held[key]) != str(value)],
        }


def _touched(found: Experiment) -> dict[str, Any]:
    values = {**found.values, **{group: found.choices[group] for group in FORM_GROUPS if group in found.choices}}
    if values.get("data") == "auto" and values.get("data.root"):
        del values["data"]  # which data.root alone means
    return {key: value for key, value in values.items() if key in editable()}


def _without_defaults(task: str, model: str | None, touched: dict[str, Any], composer: Composer) -> dict[str, Any]:
    """The values that differ from what the form would hold without them: first the choices, then what follows."""
    for keys in ((*FORM_GROUPS, *CHOICES), tuple(touched)):
        form = fill(task, model, touched, composer)
        touched = {
            key: value
            for key, value in touched.items()
            if key not in keys or key in form.dropped or value != form.defaults.get(key)
        }
    return touched


def _data_of(touched: Mapping[str, Any]) -> dict[str, Any]:
    return {key: touched[key] for key in ("data", "data.root") if key in touched}
