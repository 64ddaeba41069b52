"""Values as words of Hydra's grammar, which reads exactly them back, and as choices of a study; imports no Optuna.

>>> to_override("data.root", "/photos (1)/a,b")
"data.root='/photos (1)/a,b'"
"""

from __future__ import annotations

import re
from typing import Any, get_args, get_origin

from hydra.core.override_parser.types import Quote, QuotedString

from visrun.config.fields import leaves, show
from visrun.config.schema import schema
from visrun.errors import ConfigError
from visrun.hyperparameters import Hyperparameters

# what Hydra reads as a text without quotes: what begins like a word, and what begins like a number and has a slash
PLAIN = re.compile(
    r"(?!(?:null|true|false|inf|nan)$)[a-z_/][a-z0-9_./-]*|[0-9][a-z0-9_.-]*/[a-z0-9_./-]*", re.IGNORECASE | re.ASCII
)


def to_override(key: str, value: Any) -> str:
    """``key=value`` in Hydra's grammar for a plain value; Hydra's parser reads exactly ``value`` back.

    Args:
        key: A setting, such as ``data.root``.
        value: None, bool, int, float, str, or a list of those.

    Raises:
        ConfigError: A text holds ``${``, which Hydra would replace; a value of another type.
    """
    return f"{key}={text(value, key)}"


def text(value: Any, key: str = "value") -> str:
    """What stands right of ``=`` in :func:`to_override`; errors name the ``key``.

    Floats keep every digit, and a text has quotes only where it needs them: ``1e-05``, ``adam``, ``'/a,b'``,
    ``[10,20]``, ``null``.
    """
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            if "${" in value:
                raise ConfigError(f"{key}={show(value)}: ${{...}} is not taken; write the value itself")
            return value if PLAIN.fullmatch(value) else QuotedString(value, Quote.single).with_quotes()
        case list() | tuple():
            return "[" + ",".join(text(item, key) for item in value) + "]"
    raise ConfigError(f"{key}: a value of type {type(value).__name__} is not taken; write a number, a text or a list")


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
    info = (leaves(Hyperparameters) | leaves(schema())).get(name)
    return _kinds(info.annotation) if info else []


def _kinds(annotation: Any) -> list[Any]:
    return [annotation, *(kind for part in get_args(annotation) for kind in _kinds(part))]
