"""How a run is shown in a tracker: its name, its parameters, its tags."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from visrun.config.compose import Resolved
from visrun.config.setting_rules import SHAPING, facts_of, is_read
from visrun.data.records import Dataset
from visrun.data.verdicts import Verdict
from visrun.parts import Parts, count_parameters
from visrun.record import environment
from visrun.record.journal import binding
from visrun.tracking import Data, Tracker, open_tracker, recorded_uri
from visrun.tracking.names import RECORD, experiment_of
from visrun.tracking.uris import without_password


def tracker_of(
    resolved: Resolved,
    folder: Path,
    made: Parts,
    *,
    created: str | None = None,
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Tracker:
    """The tracker of the run in ``folder``, not started.

    Args:
        made: What the run trains with: its data, and what was settled while building.
        created: When the run first began, as experiment.json has it.
        name: Goes before the user's name and the run's own: that of a sweep's trial.
        tags: More of them.
    """
    settings = resolved.settings
    git = environment.git_state(Path.cwd()) or {}
    told = {
        "task": settings.task,
        "model": settings.model.name,
        "host": environment.host(),
        "folder": str(folder),
        "command": without_password(shlex.join(["visrun", *resolved.typed])),
        **{key: str(made.notes[key]) for key in ("device", "precision", "weights")},
        "parameters": str(count_parameters(made.built.module)),
        **({"git": str(git["commit"]), "git.dirty": str(git["dirty"]).lower()} if git else {}),
        **(tags or {}),
    }
    return open_tracker(
        settings.tracking.name,
        uri=settings.tracking.uri or recorded_uri(folder),  # of a resumed run, which may be typed elsewhere
        experiment=experiment_of(settings.task, settings.tracking.experiment),
        run_name=name or settings.tracking.run_name or run_name(resolved),
        params=parameters(resolved, made.notes),
        tags=told,
        data=data_of(made.dataset),
        record=folder / RECORD,
        began=moment(created),
        names=names_of(made.dataset),
    )


def data_of(dataset: Dataset) -> list[Data]:
    """The dataset as the tracker shows it, by split; train's digest is the fingerprint of all with train's size.

    MLflow keeps one profile for all runs whose data have a name and digest in common, so it says no more than those do.
    """
    names = list(dataset.classes or dataset.targets)
    return [
        Data(
            name=dataset.root.name,
            digest=dataset.fingerprints.get(split, f"{dataset.fingerprint[:24]}-{len(records)}"),
            source=str(dataset.root),
            context={"train": "training", "val": "validation"}.get(split, split),
            profile={"num_rows": len(records), "classes" if dataset.classes else "targets": names},
        )
        for split, records in dataset.splits.items()
    ]


def names_of(dataset: Dataset) -> list[str]:
    """What metrics are named after: classes, targets and kinds of defects."""
    targets = [record.target for records in dataset.splits.values() for record in records]
    kinds = {target.kind: None for target in targets if isinstance(target, Verdict)}
    return [*dataset.classes, *dataset.targets, *kinds]


def moment(created: Any) -> float | None:
    """A time of experiment.json in seconds since 1970; None for what is none: people may edit the file.

    >>> moment("2026-01-01T00:00:10+00:00"), moment("yesterday"), moment(None)
    (1767225610.0, None, None)
    """
    try:
        return datetime.fromisoformat(created).timestamp()
    except (TypeError, ValueError):
        return None


def run_name(resolved: Resolved) -> str:
    """The model and what the user typed beside it: what sets the run apart in a list."""
    silent = ("task", "model", "model.name", "experiment", "plugins")
    typed = [line for line in resolved.typed if line.split("=")[0] not in silent]
    told = [line for line in typed if not line.startswith(("tracking", "run.", "hydra.", "data.cache", "data.workers"))]
    return " ".join([resolved.settings.model.name, *told])[:250]


def parameters(resolved: Resolved, notes: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters shown: of the hyperparameters and the sections that shape the run, what it reads.

    What changes no number (workers, cache) is left out: it would only stand between runs that are compared.
    """
    values, settings = resolved.hyperparameters.model_dump(mode="json"), resolved.settings.model_dump(mode="json")
    facts = facts_of(values, settings)
    shown = values | {key: settings[key] for key in ("task", "seed")}
    for section in SHAPING:
        shown |= {f"{section}.{key}": value for key, value in settings[section].items()}
    shown["data.image_size"] = notes["image_size"]
    changing = binding(dict.fromkeys(shown, ""))
    return {key: value for key, value in shown.items() if key in changing and is_read(key, facts)}
