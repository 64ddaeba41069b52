"""From a name to a call: a table's reference becomes a function, and the function's signature says what it reads."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any, Protocol

from visrun.errors import ConfigError

Ref = str | Callable[..., Any]


class Dumps(Protocol):
    """An object that gives its fields as a mapping, such as :class:`visrun.hyperparameters.Hyperparameters`."""

    def model_dump(self) -> dict[str, Any]:
        """Field -> value."""


Config = Mapping[str, Any] | Dumps
BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def load(ref: Ref) -> Callable[..., Any]:
    """The callable behind a table's reference: ``"package.module:attribute"``, or the callable itself."""
    if callable(ref):
        return ref
    module, _, attribute = ref.partition(":")
    loaded: Callable[..., Any] = getattr(import_module(module), attribute)
    return loaded


def reads(fn: Callable[..., Any]) -> tuple[str, ...]:
    """The parameter names of ``fn``, in order."""
    return tuple(inspect.signature(fn).parameters)


def call(fn: Callable[..., Any], values: Mapping[str, Any], *runtime: Any) -> Any:
    """Call ``fn`` with ``runtime`` by position and, of ``values``, those its signature names.

    Raises:
        ConfigError: One that has no default is missing.
    """
    wanted = list(inspect.signature(fn).parameters.values())[len(runtime) :]
    needed = [item.name for item in wanted if item.default is item.empty and item.kind in BY_NAME]
    values = values_of(values, *needed)
    return fn(*runtime, **{item.name: values[item.name] for item in wanted if item.name in values})


def narrow(fn: Callable[..., Any], values: Mapping[str, Any]) -> Callable[..., Any]:
    """``fn`` with, of ``values``, those that its signature names."""
    return partial(fn, **{name: value for name, value in values.items() if name in reads(fn)})


def values_of(config: Config, *needed: str) -> Mapping[str, Any]:
    """A mapping as it is, and the fields of an object that has them.

    Raises:
        ConfigError: One of ``needed`` is missing.
    """
    values = config if isinstance(config, Mapping) else config.model_dump()
    if missing := [name for name in needed if name not in values]:
        raise ConfigError([f"{name} is missing: give it a value" for name in missing])
    return values
