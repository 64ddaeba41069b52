"""experiment.json: what a run writes about itself, and the untrusted file that ``experiment=PATH`` reads back.

A shared file may hold values only. It is plain JSON, limited in size and depth and checked against the schema; names go
through the tables, never to an import; what would steer Hydra, load a plugin or name another tracking server is refused
or left out. ``{"hyperparameters": {...}}`` alone is a whole file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from pydantic import BaseModel

from visrun.config.fields import flatten, one_of, show, validate, without
from visrun.config.lines import texts
from visrun.config.schema import schema
from visrun.config.setting_rules import unknown_augmentations
from visrun.config.settings import SECTIONS
from visrun.errors import PLUGIN_HINT, ConfigError, not_utf8
from visrun.files import part_of
from visrun.folders import expanded
from visrun.hyperparameters import CHOICES, Hyperparameters, all_losses
from visrun.near import did_you_mean, is_hydra_key
from visrun.run_files import BEST, FILE_NAME, MAX_BYTES
from visrun.tables import MODELS, READERS, TASKS, model_entry

MAX_DEPTH = 8
FOR_PEOPLE = ("sources", "versions", "git", "created", "status", "result")  # nothing of it is used
NAMING = "result"  # of FOR_PEOPLE what names the data's classes, as they are called
LOCAL = ("tracking", "data.cache_dir")  # belong to the machine that wrote the file: checked, not used
SHARED_PATHS = ("data.root", "model.weights")
KEYS = ("task", *CHOICES)  # choices that are plain keys; the others are the names of sections


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What a file asks for, checked.

    Args:
        path: The file.
        hyperparameters: The fields it names, all valid by themselves.
        choices: Group -> name, of task, model, data, augment, optimizer, scheduler and loss, those it names.
        values: Dotted key -> value of everything it sets, such as ``task``, ``learning_rate`` and ``data.root``.
        fingerprint: The fingerprint of the data it was written with, or None.
    """

    path: Path
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    choices: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    fingerprint: str | None = None


def load_experiment(path: str | Path) -> Experiment:
    """Read and check an experiment.json, or the one in a run's folder, or of a sweep's folder that of its best trial.

    Raises:
        ConfigError: With one line for every reason to refuse it; nothing of a refused file is used.
    """
    file = expanded(path)
    if file.is_dir():
        file = next((one for one in (file / FILE_NAME, file / BEST / FILE_NAME) if one.is_file()), file / FILE_NAME)
    return read_experiment(_text(file), file)


def read_experiment(text: str, file: Path) -> Experiment:
    """Check the text of an experiment.json.

    Args:
        file: Where it is from, which begins every line about it.

    Raises:
        ConfigError: As of :func:`load_experiment`.
    """
    content = _parse(text, file)
    problems = list(_unsafe(content)) or _unknown(content)
    if problems:
        raise ConfigError([f"{file}: {problem}" for problem in problems[:20]])
    flat, problems = _checked(content)
    if problems:
        raise ConfigError([f"{file}: {problem}" for problem in problems])
    used = {key: value for key, value in flat.items() if key not in LOCAL and key.partition(".")[0] not in LOCAL}
    groups = {key: key for key in KEYS} | {f"{name}.name": name for name in ("model", "data", "augment")}
    return Experiment(
        path=file,
        hyperparameters={key: used[key] for key in Hyperparameters.model_fields if key in used},
        choices={group: used[key] for key, group in groups.items() if key in used},
        values=used,
        fingerprint=content.get("data", {}).get("fingerprint"),
    )


def _text(file: Path) -> str:
    if not file.is_file():
        raise ConfigError(f"experiment={file}: no such file; name a run's folder or its {FILE_NAME}")
    try:
        with file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise ConfigError(f"{file}: larger than {MAX_BYTES:,} bytes, so it is no {FILE_NAME}; name another file")
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror}); name a file that can") from None
    except UnicodeDecodeError as error:
        raise not_utf8(file, error) from None


def _parse(text: str, file: Path) -> dict[str, Any]:
    try:
        content = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        raise ConfigError(f"{file}: nested deeper than {MAX_DEPTH} levels; name another file") from None
    except ValueError as error:
        raise ConfigError(f"{file}: not plain JSON: {' '.join(str(error).split())[:200]}; mend it there") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{file}: must hold a JSON object, as a run's {FILE_NAME} does")
    return content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for name, value in pairs:
        if name in content:
            raise ValueError(f"key {show(name)} is given twice")
        content[name] = value
    return content


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _unsafe(content: Any, *, key: str = "", depth: int = 1) -> Iterator[str]:
    """A line for whatever has no place anywhere in the file, whether it would be used or not.

    A class may be called ``${x}``: what came of a run names it.
    """
    named = key.partition(".")[0] == NAMING
    if depth > MAX_DEPTH:
        yield f"{show(key)}: nested deeper than {MAX_DEPTH} levels"
    elif isinstance(content, dict):
        for name, value in content.items():
            dotted = f"{key}.{name}".lstrip(".")
            if reserved(name.replace("${", "") if named else name):
                yield f"key {show(dotted)} is refused: a file holds values only"
            else:
                yield from _unsafe(value, key=dotted, depth=depth + 1)
    elif isinstance(content, list):
        for value in content:
            yield from _unsafe(value, key=key, depth=depth + 1)
    elif isinstance(content, str) and "${" in content and not named:
        yield f"{show(key)}={show(content)}: ${{...}} is refused, a file holds plain values"


def reserved(name: str) -> bool:
    """Hydra's own keys, and names with underscores outside; a metric such as ``iou/_background_`` is none."""
    outside = (name.startswith("_") or name.endswith("_")) and "/" not in name
    return outside or is_hydra_key(name.lower()) or "${" in name or name in ("plugins", "+plugins", "++plugins")


def _unknown(content: Mapping[str, Any]) -> list[str]:
    known = ["hyperparameters", "task", "seed", *SECTIONS, *FOR_PEOPLE]
    lines = [
        f"{show(key)} is no part of an experiment{did_you_mean(key, known)}" for key in content if key not in known
    ]
    sections = [key for key in ("hyperparameters", *SECTIONS) if not isinstance(content.get(key, {}), dict)]
    lines += [f"{key} must be a mapping of keys to values" for key in sections]
    if not lines and "hyperparameters" not in content:
        lines.append('has no "hyperparameters"')
    return lines


def halves(content: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The hyperparameters of a file, and its settings, nested, without the fingerprint of the data."""
    sections = {name: {**part_of(content, name)} for name in SECTIONS}
    sections["data"].pop("fingerprint", None)
    root = {key: content[key] for key in ("task", "seed") if key in content}
    return part_of(content, "hyperparameters"), root | sections


def _checked(content: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Dotted key -> value of what the file sets, in plain JSON types, and a line for each wrong one."""
    flat: dict[str, Any] = {}
    problems: list[str] = []
    models: tuple[type[BaseModel], ...] = (Hyperparameters, schema())
    for model, given in zip(models, halves(content), strict=True):
        valid, wrong = validate(model, given)
        valid = valid or model(**without(given, wrong))
        problems += wrong.values()
        flat |= flatten(valid.model_dump(mode="json", exclude_unset=True))
    fingerprint = content.get("data", {}).get("fingerprint")
    if not isinstance(fingerprint, str | None):
        problems.append(f"data.fingerprint={show(fingerprint)}: must be a text")
    return flat, problems + unknown_names(flat) + _climbing(flat)


def unknown_names(flat: Mapping[str, Any]) -> list[str]:
    """A line for each name that no table has; which go together is checked once the whole run is known."""
    tables = {"task": tuple(TASKS), "loss": all_losses(), "data.name": ("demo", "auto", *READERS)}
    lines = [
        f"{key}={show(flat[key])}: must be {one_of(names)}{did_you_mean(flat[key], names) or PLUGIN_HINT}"
        for key, names in tables.items()
        if key in flat and flat[key] not in names
    ]
    lines += texts(unknown_augmentations(flat.get("augment.extra", ())))
    try:
        model_entry(flat.get("model.name", next(iter(MODELS))))
    except ConfigError as error:
        lines += error.problems
    return lines


def _climbing(flat: Mapping[str, Any]) -> list[str]:
    return [
        f"{key}={show(flat[key])}: '..' is refused, give the whole path"
        for key in SHARED_PATHS
        if ".." in PurePath(flat.get(key) or "").parts
    ]
