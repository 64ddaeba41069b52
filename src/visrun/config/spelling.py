"""Values as words of Hydra's grammar, which reads exactly them back, and as choices of a study; imports no Optuna."""

from __future__ import annotations

import re
from typing import Any, get_args, get_origin

from visrun.config.fields import leaves
from visrun.config.overrides import to_override
from visrun.config.settings import Settings
from visrun.hyperparameters import Hyperparameters

# what Hydra reads as a text without quotes: what begins like a word, and what begins like a number and has a slash
PLAIN = re.compile(
    r"(?!(?:null|true|false|inf|nan)$)[a-z_/][a-z0-9_./-]*|[0-9][a-z0-9_.-]*/[a-z0-9_./-]*", re.IGNORECASE | re.ASCII
)


def text(value: Any) -> str:
    """A plain value (None, bool, int, float, str or a list of those) as it stands right of ``=``.

    Floats keep every digit, and a text has quotes only where it needs them: ``1e-05``, ``adam``, ``'/a,b'``,
    ``[10,20]``, ``null``.

    Raises:
        ConfigError: A text holds ``${``, which Hydra would replace; a value of another type.
    """
    if isinstance(value, str) and PLAIN.fullmatch(value):
        return value
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(text(item) for item in value) + "]"
    return to_override("value", value).partition("=")[2]


def word(key: str, value: Any) -> str:
    """``key=value`` with the value's :func:`text`."""
    return f"{key}={text(value)}"


def encode(value: Any) -> bool | int | float | str:
    """A plain value as a choice in a study: numbers and booleans are themselves, everything else is its :func:`text`.

    So ``adam`` is ``"adam"``, null ``"null"``, the text "null" ``"'null'"`` and a list of 10 and 20 ``"[10,20]"``.
    """
    return value if isinstance(value, (bool, int, float)) else text(value)


def decode(choice: bool | int | float | str) -> str:
    """What stands right of ``=`` for a parameter of a study; the text of a choice is there already."""
    return choice if isinstance(choice, str) else text(choice)


def takes_integers(name: str) -> bool:
    """Whether the numbers of a setting are integers, such as those of ``batch_size`` and ``data.image_size``."""
    kinds = _kinds_of(name)
    return int in kinds and float not in kinds


def takes_lists(name: str) -> bool:
    """Whether a setting may be a list, such as ``milestones``, ``data.classes`` and ``data.image_size``."""
    return any(get_origin(kind) is tuple for kind in _kinds_of(name))


def _kinds_of(name: str) -> list[Any]:
    """The types that the annotation of a setting is made of; [] where there is no such setting."""
    info = (leaves(Hyperparameters) | leaves(Settings)).get(name)
    return _kinds(info.annotation) if info else []


def _kinds(annotation: Any) -> list[Any]:
    return [annotation, *(kind for part in get_args(annotation) for kind in _kinds(part))]
