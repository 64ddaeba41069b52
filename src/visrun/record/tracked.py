"""How a run is shown in a tracker: its name, its parameters, its tags."""

from __future__ import annotations

import shlex
import socket
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from visrun.config import plugins
from visrun.config.compose import Resolved
from visrun.config.configured import Configured
from visrun.config.fields import show
from visrun.config.setting_rules import SHAPING, facts_of, is_read
from visrun.config.settings import Settings
from visrun.data import learnt
from visrun.data.records import Dataset
from visrun.data.verdicts import Verdict
from visrun.files import part_of
from visrun.record.journal import binding
from visrun.tracking import Data, Tracker, open_tracker, recorded_uri
from visrun.tracking.names import RECORD, experiment_of
from visrun.tracking.uris import without_password

BEFORE = ("task", "model.name")  # said before the rest of a run's name: by its experiment, and as its beginning


def tracker_of(
    resolved: Configured,
    folder: Path,
    content: Mapping[str, Any],
    *,
    names: Collection[str],
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Tracker:
    """The tracker of the run in ``folder``, not started: when it begins, and when MLflow gets later what it lacks.

    Args:
        content: What experiment.json holds once the run's parts are built.
        names: What metrics are named after, see `names_of`.
        name: What a new run is called. None of one that goes on: it has its name in the store, and in another one the
            user's or its folder's.
        tags: More of them: what experiment.json does not hold.
    """
    settings, result, git = resolved.settings, part_of(content, "result"), part_of(content, "git")
    told: dict[str, str] = {"task": settings.task, "model": settings.model.name, "folder": str(folder)}
    told |= {key: str(result[key]) for key in ("device", "precision", "weights") if key in result}
    if git:
        told |= {"git": str(git.get("commit")), "git.dirty": str(git.get("dirty")).lower()}
    told |= dict(tags or {})
    return open_tracker(
        settings.tracking.name,
        uri=uri_of(settings, folder),
        experiment=experiment_of(settings.task, settings.tracking.experiment),
        run_name=name or settings.tracking.run_name or folder.name,
        params=parameters(resolved, result),
        tags=told,
        data=data_of(content),
        record=folder / RECORD,
        began=moment(content.get("created")),
        names=names,
        later=plugins.command("resume", str(folder)),
    )


def uri_of(settings: Settings, folder: Path) -> str | None:
    """The store of the run in ``folder``; of one that is resumed, which may be typed elsewhere, as it was noted."""
    return recorded_uri(folder, settings.tracking.uri) or settings.tracking.uri


def sitting_of(*, parameters: int) -> dict[str, str]:
    """The tags of a sitting that are in no file of the run; ``parameters`` is how many the network has."""
    return {"host": socket.gethostname(), "parameters": str(parameters)}


def command_of(resolved: Resolved) -> str:
    """What the user typed; passwords of addresses in it are not written down."""
    return without_password(shlex.join(["visrun", *resolved.typed]))


def noted_of(dataset: Dataset) -> dict[str, Any]:
    """What experiment.json's result says of the dataset that is read; :func:`data_of` shows it."""
    return {
        "root": str(dataset.root),
        "splits": {split: len(records) for split, records in dataset.splits.items()},
        "classes" if dataset.classes else "targets": list(dataset.classes or dataset.targets),
        **({"multilabel": True} if dataset.multilabel else {}),
        "learnt": learnt.sample(record.image for record in dataset.splits["train"]),
    }


def data_of(content: Mapping[str, Any]) -> list[Data]:
    """The dataset as the tracker shows it, by split; train's digest is the fingerprint of all with train's size.

    MLflow keeps one profile for all runs whose data have a name and digest in common, so it says no more than those do.

    Args:
        content: Of experiment.json; nothing is shown of a run that has not noted :func:`noted_of`.
    """
    result = part_of(content, "result")
    read, fingerprints = part_of(result, "data"), part_of(result, "fingerprints")
    root, whole = str(read.get("root")), str(part_of(content, "data").get("fingerprint"))
    names: dict[str, Any] = {key: read[key] for key in ("classes", "targets") if key in read}
    return [
        Data(
            name=Path(root).name,
            digest=str(fingerprints.get(split, f"{whole[:24]}-{count}")),
            source=root,
            context={"train": "training", "val": "validation"}.get(split, split),
            profile={"num_rows": count, **names},
        )
        for split, count in part_of(read, "splits").items()
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
    """The user's name, or the model and those of the parameters shown that set the run apart in a list."""
    if resolved.settings.tracking.run_name:
        return resolved.settings.tracking.run_name
    shown = {key: value for key, value in parameters(resolved, {}).items() if key in resolved.apart}
    told = [f"{key.removesuffix('.name')}={show(value)}" for key, value in shown.items() if key not in BEFORE]
    return " ".join([resolved.settings.model.name, *told])[:250]


def parameters(resolved: Configured, result: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters shown: of the hyperparameters and the sections that shape the run, what it reads.

    What changes no number (workers, cache) is left out: it would only stand between runs that are compared.

    Args:
        result: Of experiment.json, which has the image size that was used.
    """
    values = resolved.hyperparameters.model_dump(mode="json")
    settings = resolved.settings.model_dump(mode="json")
    facts = facts_of(values, settings)
    shown = values | {key: settings[key] for key in ("task", "seed")}
    for section in SHAPING:
        shown |= {f"{section}.{key}": value for key, value in settings[section].items()}
    shown["data.image_size"] = result.get("image_size", shown["data.image_size"])
    changing = binding(dict.fromkeys(shown, ""))
    return {key: value for key, value in shown.items() if key in changing and is_read(key, facts)}
