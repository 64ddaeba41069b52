"""From a name to a call: a table's reference becomes a function, and the function's signature says what it reads."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any, Protocol

from visrun.errors import ConfigError, foreign

Ref = str | Callable[..., Any]


class Dumps(Protocol):
    """An object that gives its fields as a mapping, such as :class:`visrun.hyperparameters.Hyperparameters`."""

    def model_dump(self) -> dict[str, Any]:
        """Field -> value."""


Config = Mapping[str, Any] | Dumps
BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def is_own(ref: Ref) -> bool:
    """Whether a table's reference names code of this package, by its text alone."""
    return isinstance(ref, str) and ref.partition(":")[0].partition(".")[0] == __name__.partition(".")[0]


def load(ref: Ref) -> Callable[..., Any]:
    """The callable behind a table's reference: ``"package.module:attribute"``, or the callable itself.

    Raises:
        ConfigError: A plugin's module that does not import, or that has no such attribute.
    """
    if callable(ref):
        return ref
    module, _, attribute = ref.partition(":")
    try:
        loaded: Callable[..., Any] = getattr(import_module(module), attribute)
    except Exception as error:  # foreign code may raise whatever it likes
        if is_own(module):
            raise
        raise ConfigError(f"{ref}: a table names it, and it cannot be imported: {foreign(error)}") from error
    return loaded


def reads(fn: Callable[..., Any]) -> tuple[str, ...]:
    """The parameter names of ``fn``, in order."""
    return tuple(inspect.signature(fn).parameters)


def call(fn: Callable[..., Any], values: Mapping[str, Any], *runtime: Any) -> Any:
    """Call ``fn`` with ``runtime`` by position and, of ``values``, those its signature names.

    Raises:
        ConfigError: One that has no default is missing.
    """
    values = values_of(values, *needed(fn, len(runtime)))
    return fn(*runtime, **{name: values[name] for name in reads(fn)[len(runtime) :] if name in values})


def needed(fn: Callable[..., Any], positions: int = 0) -> list[str]:
    """The parameters of ``fn`` without a default, but for the first ``positions``, which are given by position."""
    wanted = list(inspect.signature(fn).parameters.values())[positions:]
    return [item.name for item in wanted if item.default is item.empty and item.kind in BY_NAME]


def require_filled(where: str, fn: Callable[..., Any], values: Collection[str], given: Sequence[str] = ()) -> None:
    """Refuse a plugin's function that asks for what nothing gives, or does not take what is; ``where`` names its entry.

    Args:
        values: The names that it can ask for.
        given: What it gets by position.

    Raises:
        ConfigError: Of a parameter that is neither among ``values`` nor has a default, or of one too few.
    """
    parameters = inspect.signature(fn).parameters.values()
    places = [item for item in parameters if item.kind in BY_POSITION]
    if len(places) < len(given) and not any(item.kind is item.VAR_POSITIONAL for item in parameters):
        raise ConfigError(f"{where}: its function must take {len(given)} arguments by position: {', '.join(given)}")
    if lacking := [name for name in needed(fn, len(given)) if name not in values]:
        raise ConfigError(f"{where}: its function asks for {', '.join(lacking)}, which nothing gives; give a default")


def narrow(fn: Callable[..., Any], values: Mapping[str, Any]) -> Callable[..., Any]:
    """``fn`` with, of ``values``, those that its signature names."""
    return partial(fn, **{name: value for name, value in values.items() if name in reads(fn)})


def function_of(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function that `narrow` bound values to; any other as it is."""
    return fn.func if isinstance(fn, partial) else fn


def values_of(config: Config, *needed: str) -> Mapping[str, Any]:
    """A mapping as it is, and the fields of an object that has them.

    Raises:
        ConfigError: One of ``needed`` is missing, or ``config`` is neither.
    """
    if not isinstance(config, Mapping) and not hasattr(config, "model_dump"):
        raise ConfigError(f"{type(config).__name__}: must be a mapping of settings to values, or Hyperparameters")
    values = config if isinstance(config, Mapping) else config.model_dump()
    if missing := [name for name in needed if name not in values]:
        raise ConfigError([f"{name} is missing: give it a value" for name in missing])
    return values
