"""A run's own experiment.json as its configuration: how a run is resumed or used without composing it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from visrun.config.experiment import halves, unknown_names
from visrun.config.fields import flatten, validate
from visrun.config.schema import schema
from visrun.config.settings import Settings
from visrun.data import files
from visrun.errors import ConfigError, UserError
from visrun.files import part_of
from visrun.hyperparameters import Hyperparameters
from visrun.record.run_folder import read_json
from visrun.run_files import FILE_NAME


@dataclass(frozen=True)
class Remembered:
    """What a run's folder keeps of its configuration; a :class:`visrun.config.configured.Configured`."""

    hyperparameters: Hyperparameters
    settings: Settings
    sources: dict[str, str]


def require_data(folder: Path, settings: Settings, *, onward: str) -> None:
    """Refuse the run in ``folder`` where the dataset that it read is gone; ``onward`` says what to do.

    Raises:
        UserError: There is nothing at its data.root.
    """
    place = settings.data.place
    if place is not None and not files.exists(place):
        raise UserError(f"{folder}: its dataset is no longer at {place}; {onward}")


def remembered(folder: Path, content: Mapping[str, Any] | None = None) -> Remembered:
    """The configuration that the run in ``folder`` was started with.

    Args:
        content: What its experiment.json holds, where that has been read.

    Raises:
        UserError: experiment.json is missing, holds what no run writes, or names what is not known here.
    """
    file = folder / FILE_NAME
    content = read_json(file) if content is None else content
    learns, others = halves(content)
    values, problems = validate(Hyperparameters, learns)
    settings, more = validate(schema(), others)
    if values is None or settings is None:
        raise UserError(f"{file}: {'; '.join((problems | more).values())}")
    unknown = unknown_names({"loss": values.loss, **flatten(settings.model_dump(mode="json"))})
    if unknown:
        raise ConfigError([f"{file}: {line}" for line in unknown])
    sources = {str(key): str(source) for key, source in part_of(content, "sources").items()}
    return Remembered(values, settings, sources)


def changed(run: Remembered, values: Mapping[str, Any]) -> Remembered:
    """``run`` with other values of some settings, dotted key -> value. Which data are at another ``data.root`` their
    fingerprint tells.

    Raises:
        ConfigError: A value that its setting does not take.
        UserError: It was trained on the demo, which lies nowhere.
    """
    if not values:
        return run
    if "data.root" in values and run.settings.data.name == "demo":
        raise UserError(f"data.root={values['data.root']}: this run is trained on the demo; leave it out")
    nested = run.settings.model_dump(mode="json")
    for key, value in values.items():
        section, _, name = key.partition(".")
        nested[section][name] = value
    settings, wrong = validate(schema(), nested)
    if settings is None:
        raise ConfigError(list(wrong.values()))
    return replace(run, settings=settings, sources={**run.sources, **dict.fromkeys(values, "you")})
