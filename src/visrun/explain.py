"""``visrun explain``: every setting, its value, where it came from, and whether this run reads it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from visrun.arguments import verb_parser
from visrun.config.compose import Resolved, resolve
from visrun.config.configs import flatten
from visrun.config.fields import show
from visrun.config.setting_rules import facts_of, why_unread

MEANING = {
    "schema": "the default of all tasks",
    "task": "the task's file",
    "architecture": "the model's file",
    "option": "an option's file",
    "file": "experiment= or recipe=",
    "you": "typed",
}


def main(words: Sequence[str]) -> int:
    """Print what a run with these words would learn with; ``--json`` for machines.

    Raises:
        ConfigError: The words are no valid configuration.
    """
    parser = verb_parser("explain")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--config-dir", metavar="DIR", type=Path, help="config files that go before visrun's own")
    given = parser.parse_intermixed_args(words)
    resolved = resolve(given.words, config_dir=given.config_dir)
    print(json.dumps(as_json(resolved), indent=2, ensure_ascii=False) if given.json else as_text(resolved))
    for line in resolved.warnings:
        print(f"visrun: warning: {line}", file=sys.stderr)
    return 0


def as_json(resolved: Resolved) -> dict[str, Any]:
    """All values, the source of each, and the names that the run does not read."""
    return {
        "task": resolved.settings.task,
        "model": resolved.settings.model.name,
        "hyperparameters": resolved.hyperparameters.model_dump(mode="json"),
        "sources": resolved.sources,
        "unread": list(resolved.unread),
        "settings": flatten(resolved.settings.model_dump(mode="json")),
        "setting_sources": resolved.setting_sources,
    }


def as_text(resolved: Resolved) -> str:
    """A table, one hyperparameter a line, and what was decided for the user."""
    values = resolved.hyperparameters.model_dump(mode="json")
    facts = facts_of(values, resolved.settings)
    rows = [("hyperparameter", "value", "from", "read by this run")]
    for name, value in values.items():
        why = why_unread(name, facts)
        rows.append((name, show(value), resolved.sources[name], f"no: {why}" if why else "yes"))
    settings = flatten(resolved.settings.model_dump(mode="json"))
    rows += [("", "", "", ""), ("setting", "value", "from", "")]
    for key, value in settings.items():
        why = why_unread(key, facts)
        rows.append((key, show(value), resolved.setting_sources[key], f"no: {why}" if why else ""))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]).rstrip()
        for row in rows
    ]
    used = [f"{source} = {text}" for source, text in MEANING.items() if source in resolved.sources.values()]
    choices = " ".join(f"{group}={option}" for group, option in resolved.choices.items())
    return "\n".join([choices, "", *lines, "", f"from: {'; '.join(used)}", *resolved.notices])
