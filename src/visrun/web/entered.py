"""What a person entered, as values and words: nothing reaches a command but what came back from the schema's check."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from visrun.config.checks import plain_value, problems_of
from visrun.config.choices import unknown_option
from visrun.config.fields import show
from visrun.config.overrides import PATHS, value_of
from visrun.config.spelling import takes_lists, text, to_override
from visrun.errors import ConfigError
from visrun.hyperparameters import Hyperparameters
from visrun.near import did_you_mean
from visrun.tables import GENERIC_MODEL
from visrun.web.catalog import editable
from visrun.web.composer import Composer

LONGEST = 4096  # characters of an entry
MARKS = set(",'\"[]")  # a name with one of them is quoted in a list


class Entered(NamedTuple):
    """Key -> validated plain value, and key -> the line that says what is wrong with it."""

    values: dict[str, Any]
    errors: dict[str, str]


def require_known(touched: Mapping[str, Any]) -> None:
    """Refuse keys that the form does not have.

    Raises:
        ConfigError: One line for each.
    """
    names = editable()
    wrong = [key for key in touched if key not in names]
    if wrong:
        raise ConfigError([f"{show(key)} is no setting of the form{did_you_mean(key, names)}" for key in wrong])


def read(touched: Mapping[str, Any], task: str, composer: Composer) -> Entered:
    """Validate each entry by itself.

    Args:
        touched: Key -> what was entered: a text, or a plain value of a file.
        task: The form's, for the lines on what is wrong.
        composer: Knows the options of the groups, and the folder in which relative paths begin.
    """
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for key, given in touched.items():
        try:
            values[key] = _value(key, given, task, composer)
            to_override(key, values[key])  # refuses what Hydra would replace
        except ConfigError as error:
            values.pop(key, None)
            errors[key] = error.problems[0]
    return Entered(values, errors)


def _value(key: str, given: Any, task: str, composer: Composer) -> Any:
    if isinstance(given, str) and len(given) > LONGEST:
        raise ConfigError(f"{key}={show(given)}: longer than {LONGEST} characters")
    if key in PATHS and isinstance(given, str):
        given = given.strip()  # blanks come with what is pasted
    if key in composer.options:
        if given not in composer.options[key]:
            raise ConfigError(unknown_option(key, given, composer.conf, among=[{"task": task}]))
        return given
    if key in Hyperparameters.model_fields:
        return plain_value(key, [] if takes_lists(key) and given == "" else given)
    if given == "" and not problems_of(key, None):
        return None  # what an empty field stands for
    return plain_value(key, _read_text(key, given, composer.cwd) if isinstance(given, str) else given)


def _read_text(key: str, entry: str, cwd: Path) -> Any:
    """A setting's value; the brackets of a list may be left out, as its field leaves them out."""
    value = plain(key, entry, cwd)
    if takes_lists(key) and problems_of(key, value):
        listed = plain(key, f"[{entry}]", cwd)
        return value if problems_of(key, listed) else listed
    return value


def plain(key: str, entry: str, cwd: Path) -> Any:
    """The value that the command line reads from ``key=entry``; the text itself where that is not one value."""
    try:
        return value_of(key, entry, cwd=cwd)
    except ConfigError:
        return entry


def shown(value: Any) -> str:
    """A value as its field shows it: ``0.001``, ``30, 40``, ``true``, ``null``."""
    if isinstance(value, list):
        quoted = any(isinstance(item, str) and (MARKS & set(item) or item != item.strip()) for item in value)
        return ", ".join(text(item) if quoted else shown(item) for item in value)
    return value if isinstance(value, str) else json.dumps(value)


def words(task: str, model: str | None, values: Mapping[str, Any], models: Sequence[str]) -> tuple[str, ...]:
    """The words of a command: task and model, then the values in the schema's order.

    Args:
        models: The options of the group ``model``; any other name is a builder of torchvision.
    """
    named = [] if model is None else [f"model={model}"] if model in models else _generic(model)
    ordered = [to_override(key, values[key]) for key in editable() if key in values]
    return (f"task={task}", *named, *ordered)


def _generic(model: str) -> list[str]:
    return [f"model={GENERIC_MODEL}", to_override("model.name", model)]
