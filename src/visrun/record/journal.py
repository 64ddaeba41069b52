"""experiment.json over a run's life: there before the data are read, true at every moment, closed with the result."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from visrun.config.configured import Configured
from visrun.config.experiment import reserved
from visrun.config.fields import flatten
from visrun.config.schema import schema
from visrun.config.setting_rules import idle
from visrun.config.settings import SECTIONS, Settings
from visrun.errors import VisrunError
from visrun.files import part_of
from visrun.hyperparameters import Hyperparameters
from visrun.record import environment
from visrun.record.run_folder import RunFolder, read_json, writer_of
from visrun.result import Ending
from visrun.run_files import FILE_NAME
from visrun.tables.own import OPEN
from visrun.tracking.uris import without_user

# Settings, and sections of them, that change no number of a run: those that say where and how it runs, and the others.
OF_THE_PLACE = (
    "run.device",
    "run.max_time",
    "data.workers",
    "data.cache",
    "data.cache_gb",
    "data.cache_dir",
    "tracking",
)
FREE_TO_CHANGE = (*OF_THE_PLACE, "experiment", "recipe", "plugins")  # a run's folder does not remember the last


class Journal:
    """Writes experiment.json of a run, anew or going on from what an earlier sitting wrote."""

    def __init__(self, files: RunFolder, resolved: Configured, *, former: Mapping[str, Any] | None = None) -> None:
        self.files = files
        self.content = describe(
            resolved,
            created=former.get("created") if former else now(),
            result={**part_of(former, "result"), "status": "running"},
        )
        self.write()
        files.tell("starting")

    def write(self) -> None:
        """Bring the file up to date."""
        self.files.write_experiment(self.content)

    def fingerprint(self, value: str) -> None:
        """Note which data the run reads."""
        self.content["data"]["fingerprint"] = value
        self.write()

    def note(self, **facts: Any) -> None:
        """Put facts into the result."""
        self.content["result"].update(finite(facts))
        self.write()

    def close(self, status: Ending, *, exit_code: int, **facts: Any) -> None:
        """Note how the run ended; in status.json also where experiment.json cannot be written."""
        self.content["result"].pop("reason", None)
        try:
            self.note(status=status, ended=now(), exit_code=exit_code, **facts)
        finally:
            self.files.tell(status, exit_code=exit_code)


def describe(
    resolved: Configured, *, created: str | None = None, result: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The content of a run's experiment.json, plain JSON types; :func:`visrun.load_experiment` reads it back.

    Args:
        resolved: All fields, the unread ones too, as the run was asked for them. The data's fingerprint is not known.
        created: ISO 8601 time.
        result: ``status``, ``best_epoch``, ``seconds``, ``val`` and ``test``.
    """
    wanted = resolved.settings.model_dump(mode="json")
    unread = idle(resolved.hyperparameters, resolved.settings)  # others may read the file without the plugin
    for key in unread:
        section, _, name = key.partition(".")
        del wanted[section][name]
    if wanted["tracking"]["uri"]:  # the file is shared: no user:password@ of a server in it
        wanted["tracking"]["uri"] = without_user(wanted["tracking"]["uri"])
    wanted["data"]["fingerprint"] = None
    return {
        "hyperparameters": resolved.hyperparameters.model_dump(mode="json"),
        "task": wanted["task"],
        "model": wanted["model"],  # the first section, for people
        **{name: wanted[name] for name in SECTIONS},
        "seed": wanted["seed"],
        "sources": {key: source for key, source in resolved.sources.items() if not reserved(key) and key not in unread},
        "versions": environment.versions(),
        "git": environment.git_state(Path.cwd()) or {},
        "created": created,
        "result": dict(result or {}),
    }


def close_dead(folder: Path, status: Ending, reason: str) -> None:
    """Note how a run ended whose process died without a word; one that has said so itself is left as it is, and one
    that somebody has gone on with."""
    with suppress(VisrunError):  # what can be neither read nor written stays as well
        content = read_json(folder / FILE_NAME)
        result = part_of(content, "result")
        if result.get("status") == "running" and writer_of(folder) is None:
            ended = {"status": status, "reason": reason, "ended": now()}
            files = RunFolder(folder)
            files.write_experiment({**content, "result": {**result, **ended}})
            files.tell(status)


def now() -> str:
    """The time of day as files have it, such as ``2026-11-26T22:22:29+00:00``."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def finite(facts: Any) -> Any:
    """``facts`` in plain JSON types: an undefined number is left out of a mapping, and None in a list."""
    if isinstance(facts, Mapping):
        return {key: finite(value) for key, value in facts.items() if not _is_undefined(value)}
    if isinstance(facts, (list, tuple)):
        return [None if _is_undefined(value) else finite(value) for value in facts]
    return facts


def identity(resolved: Configured) -> dict[str, str]:
    """What must stay as it is when a run is resumed, as ``key -> text``."""
    return binding(_texts(resolved.hyperparameters, resolved.settings))


def former_identity(noted: Mapping[str, str]) -> dict[str, str]:
    """What an earlier sitting noted as its :func:`identity`; a setting that its version lacked had its default."""
    return binding({**_texts(Hyperparameters(), schema()()), **noted})


def _texts(values: Hyperparameters, settings: Settings) -> dict[str, str]:
    nested = values.model_dump(mode="json") | settings.model_dump(mode="json")
    return {key: repr(value) for key, value in flatten(nested).items()}


def binding(flat: Mapping[str, str]) -> dict[str, str]:
    """Those of a run's settings that change its numbers."""
    return {
        key: text
        for key, text in flat.items()
        if key not in FREE_TO_CHANGE and key.partition(".")[0] not in FREE_TO_CHANGE
    }


def changes(before: Mapping[str, str], now: Configured) -> list[str]:
    """What a run that goes on as ``now`` would do otherwise than ``before``, its :func:`identity` as it was noted.

    The same data may lie elsewhere by now: their fingerprint tells. Settings of a plugin that nobody read may be gone.
    """
    place = "data.root"
    then, identified = former_identity(before), identity(now)
    known = {key: text for key, text in then.items() if key in identified or key.partition(".")[0] not in OPEN}
    return differences({**known, place: identified[place]}, identified)


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """``key: before -> now`` for everything that is not the same."""
    keys = dict.fromkeys([*before, *now])
    return [
        f"{key}: {before.get(key, 'unset')} -> {now.get(key, 'unset')}"
        for key in keys
        if before.get(key) != now.get(key)
    ]


def _is_undefined(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
