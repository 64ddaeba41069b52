"""A run's own experiment.json as a resolved configuration: how a run is resumed or used without composing it again."""

from __future__ import annotations

from pathlib import Path

from visrun import hyperparameters
from visrun.compose import Resolved
from visrun.errors import UserError
from visrun.experiment import FILE_NAME, SECTIONS
from visrun.fields import validate
from visrun.hyperparameters import Hyperparameters
from visrun.run_folder import read_json
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
