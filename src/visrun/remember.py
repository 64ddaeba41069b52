"""A run's own experiment.json as a resolved configuration: how a run is resumed or used without composing it again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from visrun import checkpoint, hyperparameters
from visrun.compose import Resolved
from visrun.errors import UserError
from visrun.experiment import FILE_NAME, SECTIONS
from visrun.fields import validate
from visrun.hyperparameters import Hyperparameters
from visrun.journal import differences, identity
from visrun.run_folder import RunFolder, read_json
from visrun.settings import Settings
from visrun.tables import model_entry


def remembered(folder: Path) -> Resolved:
    """The configuration that the run in ``folder`` was started with.

    Raises:
        UserError: experiment.json is missing, or holds what no run writes.
    """
    file = folder / FILE_NAME
    content = read_json(file)
    values, problems = validate(Hyperparameters, _mapping(content.get("hyperparameters")))
    data = {key: value for key, value in _mapping(content.get("data")).items() if key != "fingerprint"}
    given = {key: _mapping(content.get(key)) for key in SECTIONS} | {"data": data}
    given |= {key: content[key] for key in ("task", "seed") if key in content}
    settings, more = validate(Settings, given)
    if values is None or settings is None:
        raise UserError(f"{file}: {'; '.join([*problems, *more])}")
    return Resolved(
        hyperparameters=values,
        settings=settings,
        sources={str(key): str(source) for key, source in _mapping(content.get("sources")).items()},
        setting_sources={},
        choices={},
        unread=hyperparameters.unread(values, model=model_entry(settings.model.name)),
        notices=(),
        warnings=(),
        typed=(),
        overrides=(),
    )


def _mapping(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def last_state(files: RunFolder, resolved: Resolved) -> dict[str, Any] | None:
    """What last.pt holds, or None before the first one.

    Raises:
        UserError: The settings are no longer those it was written with.
    """
    if not files.last.exists():
        return None
    state = checkpoint.load(files.last)
    changed = differences(state["identity"], identity(resolved))
    if changed:
        raise UserError(f"{files.path}: cannot resume, experiment.json has changed since ({'; '.join(changed)})")
    return state


def require_same_data(former: Mapping[str, Any] | None, fingerprint: str) -> None:
    """Refuse a dataset that is not what the run began with.

    Raises:
        UserError: Its fingerprint differs from the one noted.
    """
    noted = (former or {}).get("data", {}).get("fingerprint")
    if noted is not None and noted != fingerprint:
        raise UserError("data: the dataset has changed since the run began (its fingerprint differs); start a new run")
