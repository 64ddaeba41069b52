"""The schema of settings in this process: :class:`Settings` with those that plugins bring in its sections."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

from pydantic import create_model

from visrun.config.fields import Float, Frozen, Int, M, field, one_of, sections, show, validate
from visrun.config.settings import Settings
from visrun.tables import SETTINGS, Setting
from visrun.tables.own import OPEN

WORD = r"[a-z][a-z0-9_]*"


def schema() -> type[Settings]:
    """The same class as long as the plugins' settings are the same; those with a :func:`slip` are left out."""
    return _extended(repr(SETTINGS))


def defaults() -> dict[str, Any]:
    """The settings' own values, nested, as plain JSON types: the other half of the schema's layer."""
    return schema()().model_dump(mode="json")


def own_keys() -> list[str]:
    """The plugins' settings in it."""
    return [key for key, setting in SETTINGS.items() if not slip(key, setting)]


def slip(key: object, setting: object) -> str:
    """What is wrong with an entry of ``SETTINGS``; "" where nothing is."""
    section, _, name = str(key).partition(".")
    if section not in OPEN or re.fullmatch(WORD, name) is None:
        kinds = one_of([f"{section}.NAME" for section in OPEN])
        return f"must be called {kinds}, NAME of small letters, digits and _"
    if not isinstance(setting, Setting):
        return f"{show(setting)} must be a Setting"
    shipped = sections(Settings)[section]
    if hasattr(shipped, name) or name in (*shipped.model_fields, *OPEN[section]):
        return "visrun gives this name a meaning of its own; take another"
    if not isinstance(setting.default, bool | int | float | str):
        return f"its default {show(setting.default)} must be a number, a text, or true or false"
    try:
        only = _beside(Frozen, {name: _field(setting)})
    except (TypeError, ValueError) as error:  # limits that are none
        return f"{type(error).__name__}: {error}"
    return next(iter(validate(only, {name: setting.default})[1].values()), "")


@lru_cache(maxsize=16)
def _extended(_: str) -> type[Settings]:
    added: dict[str, dict[str, Any]] = defaultdict(dict)
    for key in own_keys():
        section, _, name = key.partition(".")
        added[section][name] = _field(SETTINGS[key])
    if not added:
        return Settings
    base = sections(Settings)
    made = {section: _beside(base[section], fields) for section, fields in added.items()}
    return _beside(Settings, {section: (kind, kind()) for section, kind in made.items()})


def _beside(base: type[M], fields: Mapping[str, Any]) -> type[M]:
    return create_model(base.__name__, __base__=base, __doc__=base.__doc__, **fields)


def _field(setting: Setting) -> tuple[Any, Any]:
    """The type and the field of a plugin's setting, as pydantic takes them."""
    limits = {name: limit for name in ("ge", "gt", "le", "lt") if (limit := getattr(setting, name)) is not None}
    kinds: dict[type, Any] = {bool: bool, int: Int, float: Float, str: str}
    kind = Literal[tuple(setting.choices)] if setting.choices else kinds[type(setting.default)]
    return kind, field(setting.default, setting.text, unit=setting.unit, **limits)
