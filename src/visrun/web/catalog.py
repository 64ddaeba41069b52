"""What the page has to know once: the form's fields with their labels, controls, ranges and help, and all tasks.

Everything but the headings follows from the schema and the tables, so that a field, task or model that is added there
appears on the page.
"""

from __future__ import annotations

from functools import lru_cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from visrun.config import fields
from visrun.config.checks import problems_of
from visrun.config.choices import known
from visrun.config.overrides import GROUPS
from visrun.config.provenance import MEANING
from visrun.config.schema import schema
from visrun.config.settings import Settings
from visrun.hyperparameters import Hyperparameters
from visrun.tables import TASKS
from visrun.web.offers import ASKED
from visrun.web.roots import OF_THE_MACHINE

# The form's headings and, under each, its hyperparameters.
PARTS: dict[str, tuple[str, ...]] = {
    "Optimizer": ("optimizer", "learning_rate", "weight_decay", "momentum"),
    "Schedule": ("scheduler", "warmup_epochs", "step_size", "gamma", "milestones", "poly_power"),
    "Training": ("batch_size", "max_epochs", "early_stopping_patience"),
    "Loss and regularization": ("loss", "dropout"),
}
LABELS = {"early_stopping_patience": "Early Stopping", "loss": "Loss Function"}  # others are the key in capitals
POWERS = ("batch_size",)  # powers of 2 are recommended
FORM_GROUPS = ("data", "augment", "tracking")  # groups that the form offers beside hyperparameters, task and model
FORM_CLOSED = {"task", "model", "experiment", "recipe", *OF_THE_MACHINE}  # settings without a field of their own


def editable() -> tuple[str, ...]:
    """Every setting that the page may set beside task and model, in the schema's order."""
    names = {f"{group}.name" for group in GROUPS}
    sections = [key for key in _setting_fields() if key not in FORM_CLOSED | names]
    return (*FORM_GROUPS, *Hyperparameters.model_fields, *sections)


def catalog() -> dict[str, Any]:
    """Everything above as plain JSON types: parts of fields, further settings by section, tasks, sources."""
    parts = [
        {"title": title, "fields": [_field(key, Hyperparameters.model_fields[key]) for key in keys]}
        for title, keys in PARTS.items()
    ]
    infos = _setting_fields()
    more: dict[str, list[dict[str, Any]]] = {}
    for key in editable():
        if key in infos or key in FORM_GROUPS:
            info = infos[key if key in infos else f"{key}.name"]
            more.setdefault(key.partition(".")[0] if key != "seed" else "run", []).append(_field(key, info))
    return {
        "parts": parts,
        "more": [{"title": title, "fields": listed} for title, listed in more.items()],
        "tasks": [{"name": name, "label": label(name), "metrics": entry.metrics} for name, entry in TASKS.items()],
        "sources": MEANING,
    }


def label(key: str) -> str:
    """What people read: ``Learning Rate``; of a setting in a section its last part."""
    return LABELS.get(key, key.rpartition(".")[2].replace("_", " ").title())


def _field(key: str, info: FieldInfo) -> dict[str, Any]:
    limits = fields.limits(info)
    return {
        "key": key,
        "label": label(key),
        "control": _control(key, info),
        "choices": list(_choices(info.annotation)),
        "help": _help(key, info),
        "empty": _of_nothing(key, info),
        "unit": fields.extra(info, "unit") or "",
        "takes": "" if key in FORM_GROUPS else fields.allowed(info),
        "low": limits.get("ge"),
        "high": limits.get("le"),
        "offers": ASKED.get(key, ""),
    }


def _help(key: str, info: FieldInfo) -> str:
    hint = " Powers of 2 are recommended." if key in POWERS else ""
    return fields.meaning(info, nothing="null" if key in selects() else "empty") + hint


def selects() -> frozenset[str]:
    """The settings that are chosen from a list, whose words may have ``null`` among them."""
    return _selects(schema())


@lru_cache(maxsize=2)
def _selects(_: type[Settings]) -> frozenset[str]:
    infos = {**Hyperparameters.model_fields, **_setting_fields()}
    return frozenset({*FORM_GROUPS, *(key for key, info in infos.items() if _control(key, info) == "select")})


def _of_nothing(key: str, info: FieldInfo) -> str:
    """What an empty field stands for: ``all found``; "" where it may not be empty."""
    if key in selects() or problems_of(key, None):
        return ""
    return fields.extra(info, "empty") or "none"


def _control(key: str, info: FieldInfo) -> str:
    """``select``, ``slider``, ``number``, ``list`` or ``text``."""
    if key in (*FORM_GROUPS, "loss", "run.monitor") or _choices(info.annotation):
        return "select"
    if info.annotation is float and {"ge", "le"} <= fields.limits(info).keys() and key in Hyperparameters.model_fields:
        return "slider"
    if info.annotation in (int, float):
        return "number"
    return "list" if get_origin(info.annotation) is tuple else "text"


def _choices(annotation: Any) -> tuple[str, ...]:
    """The values of a field that takes nothing else, as they are typed; () for all others."""
    if annotation is bool:
        return ("true", "false")
    if annotation is type(None):
        return ("null",)
    if get_origin(annotation) is Literal:
        return tuple(str(value) for value in get_args(annotation))
    if get_origin(annotation) in (Union, UnionType):
        parts = [_choices(part) for part in get_args(annotation)]
        return tuple(name for part in parts for name in part) if all(parts) else ()
    return ()


def _setting_fields() -> dict[str, FieldInfo]:
    """Dotted key -> field of everything in the schema of settings."""
    found = fields.leaves(schema())
    assert found.keys() <= known() | {"task"}
    return found
