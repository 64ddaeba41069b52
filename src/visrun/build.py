"""From a name to a call: a table's reference becomes a function, and the function's signature says what it reads."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

Ref = str | Callable[..., Any]


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
    """Call ``fn`` with ``runtime`` by position and, of ``values``, those its signature names."""
    return fn(*runtime, **{name: values[name] for name in reads(fn)[len(runtime) :] if name in values})
