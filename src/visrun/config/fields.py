"""What the schema's models share: number types, fields that explain themselves, and error lines for people."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from visrun.near import did_you_mean
from visrun.tables.own import maybe_brought

M = TypeVar("M", bound=BaseModel)


class Frozen(BaseModel):
    """A validated, immutable set of values; a key it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _number(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("is no number")
    return value


def ascending(values: tuple[int, ...]) -> tuple[int, ...]:
    """Numbers of which each is larger than the one before it."""
    if any(first >= second for first, second in pairwise(values)):
        raise ValueError("must ascend")
    return values


NAME = r"^[A-Za-z0-9][A-Za-z0-9_]*$"  # of an entry of a table or of a file in conf/
Int = Annotated[int, BeforeValidator(_number)]
Float = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]


def field(
    default: Any,
    text: str,
    *,
    empty: str = "",
    unit: str = "",
    search: Mapping[str, Any] | None = None,
    allowed: str = "",
    hint: str = "",
    **limits: Any,
) -> Any:
    """A field with its default, help, unit, search space and limits.

    Args:
        default: The schema's default.
        text: Help, one sentence.
        empty: What no value stands for, where it may have none.
        unit: Such as ``epochs``.
        search: What a sweep may try: ``{"choices": [...]}`` or ``{"low", "high"[, "log"][, "step"]}``; None = nothing.
        allowed: What an error says is allowed, where it does not follow from the type and the limits.
        hint: What an error adds: how to have more than is allowed.
        limits: pydantic's ``gt``, ``ge``, ``lt``, ``le``.
    """
    noted: dict[str, Any] = {"search": dict(search) if search else None}
    noted |= {"empty": empty, "unit": unit, "allowed": allowed, "hint": hint}
    return Field(default, description=text, json_schema_extra=noted, **limits)


def extra(info: FieldInfo, key: str) -> Any:
    """What :func:`field` noted beside a field: ``empty``, ``unit``, ``search``, ``allowed`` or ``hint``."""
    noted = info.json_schema_extra
    return noted.get(key) if isinstance(noted, dict) else None


def meaning(info: FieldInfo, *, nothing: str = "null") -> str:
    """A field's help, with what no value stands for, which is written ``nothing``: ``The tracker; null = none.``"""
    text, empty = info.description or "", extra(info, "empty")
    return f"{text.removesuffix('.')}; {nothing} = {empty}." if empty else text


def limits(info: FieldInfo) -> dict[str, float]:
    """The limits of a field, such as ``{"ge": 1, "le": 256}``."""
    names = ("gt", "ge", "lt", "le")
    return {name: getattr(item, name) for item in info.metadata for name in names if hasattr(item, name)}


def choices(info: FieldInfo) -> tuple[str, ...]:
    """The fixed values a field allows, or () where it allows any of its type."""
    return get_args(info.annotation) if get_origin(info.annotation) is Literal else ()


def allowed(info: FieldInfo) -> str:
    """What a field takes, for the end of an error line: ``a number > 0``, ``an integer from 1 to 256``."""
    if text := extra(info, "allowed"):
        return str(text)
    if names := choices(info):
        return one_of(names)
    kinds: dict[Any, str] = {int: "an integer", float: "a number", bool: "true or false", str: "a text"}
    kind, bounds = kinds.get(_type(info.annotation), "a valid value"), limits(info)
    if {"ge", "le"} <= bounds.keys():
        return f"{kind} from {bounds['ge']:g} to {bounds['le']:g}"
    signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
    ends = " and ".join(f"{signs[name]} {limit:g}" for name, limit in bounds.items())
    return f"{kind} {ends}".strip()


def _type(annotation: Any) -> Any:
    """The type of a value that may also be None."""
    inner = [part for part in get_args(annotation) if part is not type(None)]
    if len(inner) != 1 or type(None) not in get_args(annotation):
        return annotation
    return get_args(inner[0])[0] if get_origin(inner[0]) is Annotated else inner[0]


def one_of(names: Iterable[str]) -> str:
    """``a``, ``a or b``, ``a, b or c``."""
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last


def show(value: Any) -> str:
    """A value as an error line shows it: short, on one line."""
    text = value if isinstance(value, str) and value.strip() and value.isprintable() else json.dumps(value, default=str)
    return text if len(text) <= 80 else text[:77] + "..."


def validate(model: type[M], values: Mapping[str, Any]) -> tuple[M | None, dict[str, str]]:
    """``values`` as a ``model``, or None and each wrong key with its line: the key, its value and what is allowed.

    Args:
        model: Hyperparameters or Settings.
        values: Untrusted values, nested as the model is.
    """
    try:
        return model.model_validate(dict(values)), {}
    except ValidationError as error:
        return None, _error_lines(error, model, values)


def without(values: Mapping[str, Any], wrong: Collection[str], *, prefix: str = "") -> dict[str, Any]:
    """``values``, nested, less those whose dotted keys are ``wrong``."""
    return {
        key: without(value, wrong, prefix=f"{prefix}{key}.") if isinstance(value, Mapping) else value
        for key, value in values.items()
        if f"{prefix}{key}" not in wrong
    }


def _error_lines(error: ValidationError, model: type[BaseModel], values: Mapping[str, Any]) -> dict[str, str]:
    lines: dict[str, str] = {}
    for item in error.errors(include_url=False):
        path, info, siblings = _locate(item["loc"], model)
        key = ".".join(path)
        if item["type"] == "extra_forbidden":
            known = [".".join([*path[:-1], name]) for name in siblings]
            line = f"{show(key)} is no setting{did_you_mean(key, known)}{maybe_brought(key)}"
        elif item["type"] == "missing" and len(path) == len(item["loc"]):
            line = f"{key} is missing"
        elif info is None:
            line = f"{key or 'the settings'} must be a mapping of keys to values"
        else:
            given: Any = values
            for part in path:
                given = given[part]
            hint = extra(info, "hint")
            wrong = f"must be {allowed(info)}{f' ({hint})' if hint else ''}"
            if item["type"] == "string_unicode":  # of a name on disk in Latin-1, say
                wrong = "the name is not UTF-8; rename it or name another one"
            line = f"{key}={show(given)}: {wrong}"
        lines.setdefault(key, line)
    return lines


def _locate(loc: tuple[int | str, ...], model: type[BaseModel]) -> tuple[list[str], FieldInfo | None, list[str]]:
    """The path of a setting (without what lies inside its value), its field (None: a section), and its neighbours."""
    path: list[str] = []
    inner: Any = model
    info: FieldInfo | None = None
    siblings: list[str] = []
    for part in loc:
        if not _is_section(inner):
            break
        siblings = list(inner.model_fields)
        path.append(str(part))
        info = inner.model_fields.get(str(part))
        inner = info.annotation if info else None
    return path, None if _is_section(inner) else info, siblings


def leaves(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Dotted key -> field of a model and of its sections."""
    found: dict[str, FieldInfo] = {}
    for name, info in model.model_fields.items():
        inner: Any = info.annotation
        inside = {f"{name}.{key}": leaf for key, leaf in leaves(inner).items()} if _is_section(inner) else {name: info}
        found |= inside
    return found


def sections(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Name -> model of a model's sections."""
    kinds: dict[str, Any] = {name: info.annotation for name, info in model.model_fields.items()}
    return {name: kind for name, kind in kinds.items() if _is_section(kind)}


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def flatten(values: Mapping[str, Any], *, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as dotted keys: ``{"data": {"root": 1}}`` is ``{"data.root": 1}``."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat |= flatten(value, prefix=f"{name}.") if isinstance(value, Mapping) else {name: value}
    return flat
