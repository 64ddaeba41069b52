"""``visrun explain``: every setting, its value, where it came from, whether this run reads it; or what a KEY means."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hydra.types import RunMode

from visrun.arguments import verb_parser
from visrun.config.choices import known, setting_of
from visrun.config.compose import Resolved, Sweep, check_sweep, resolve
from visrun.config.configs import Conf, open_conf
from visrun.config.fields import allowed, extra, flatten, leaves, meaning, one_of, show
from visrun.config.hydra_errors import refused
from visrun.config.lines import texts
from visrun.config.overrides import GROUPS, hydra_words
from visrun.config.provenance import MEANING
from visrun.config.schema import schema
from visrun.config.setting_rules import condition_of, entry_of, facts_of, why_unread
from visrun.errors import ConfigError
from visrun.handover import all_refused
from visrun.hyperparameters import Hyperparameters, losses_of, say
from visrun.near import near
from visrun.tables import models_of
from visrun.tables.own import maybe_brought
from visrun.text import columns


def main(words: Sequence[str]) -> int:
    """Print what a run with these words would learn with, or what the settings named alone mean.

    Raises:
        ConfigError: The words are no valid configuration, or name no setting.
    """
    parser = verb_parser("explain")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("-m", "--multirun", action="store_true", help="of a sweep: its first run, and what it tries")
    parser.add_argument("--config-dir", metavar="DIR", type=Path, help="config files that go before visrun's own")
    given = parser.parse_intermixed_args(words)
    keys = [word for word in given.words if "=" not in word and not word.startswith(("+", "~"))]
    rest = [word for word in given.words if word not in keys]
    if given.json and (keys or given.multirun):
        raise ConfigError("--json shows every setting of one run; leave out KEY and -m")
    mode = RunMode.MULTIRUN if given.multirun else RunMode.RUN
    varied: Sequence[str] = ()
    with all_refused(rest, given.config_dir, mode):
        conf = open_conf(Path.cwd(), given.config_dir)
        if given.multirun:
            sweep = check_sweep(rest, conf)
            resolved, (varied, warnings) = sweep.first, of_sweep(sweep, conf)
        else:
            resolved = resolve(rest, conf)
            warnings = texts(resolved.warnings)
    if wrong := refused(hydra_words(rest), conf.loader, mode):
        raise ConfigError(wrong)
    if given.json:
        print(json.dumps(as_json(resolved), indent=2, ensure_ascii=False))
    elif keys:
        print(about(keys, resolved, conf))
    else:
        print(as_text(resolved, varied))
    for line in warnings:
        print(f"visrun: warning: {line}", file=sys.stderr)
    return 0


def of_sweep(sweep: Sweep, conf: Conf) -> tuple[Sequence[str], Sequence[str]]:
    """What varies in a sweep, as far as some trial reads it, and the sweep's own warnings."""
    from visrun.sweep import plan, space  # Optuna

    varying = space.read_space(sweep.words, base=space.base_of(sweep.first), options=conf.loader)
    searched = space.composed(varying, sweep.first, partial(resolve, conf=conf))
    read = {name for name in varying.dimensions if searched.some_read(name)}
    tried = [word for word in sweep.varied if word.partition("=")[0] in read]
    return tried, [*plan.warnings_of(sweep.first, searched), *varying.notices]


def as_json(resolved: Resolved) -> dict[str, Any]:
    """All values, the source of each, and the names that the run does not read."""
    values, settings = (
        resolved.hyperparameters.model_dump(mode="json"),
        flatten(resolved.settings.model_dump(mode="json")),
    )
    return {
        "task": resolved.settings.task,
        "model": resolved.settings.model.name,
        "hyperparameters": values,
        "sources": {name: resolved.sources[name] for name in values},
        "unread": list(resolved.unread),
        "settings": settings,
        "setting_sources": {key: resolved.sources[key] for key in settings},
    }


def as_text(resolved: Resolved, varied: Sequence[str] = ()) -> str:
    """A table, one hyperparameter a line, and what was decided for the user.

    Args:
        varied: The words of a sweep that try several values; the table is of its first run.
    """
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
        rows.append((key, show(value), resolved.sources[key], f"no: {why}" if why else ""))
    used = [f"{source} = {text}" for source, text in MEANING.items() if source in resolved.sources.values()]
    choices = " ".join(f"{group}={option}" for group, option in resolved.choices.items())
    tried = [f"tries {word}" for word in varied]
    return "\n".join([choices, *tried, "", *columns(rows), "", f"from: {'; '.join(used)}", *texts(resolved.notices)])


def about(keys: Sequence[str], resolved: Resolved, conf: Conf) -> str:
    """What each setting means and takes, its value and where that came from, and when it is read.

    Raises:
        ConfigError: There is no such setting.
    """
    unknown = [key for key in keys if key not in known()]
    if unknown:
        raise ConfigError([f"{show(key)} is no setting{near(key, known())}{maybe_brought(key)}" for key in unknown])
    return "\n\n".join(_about(setting_of(key), resolved, conf) for key in keys)


def _about(key: str, resolved: Resolved, conf: Conf) -> str:
    info = (leaves(Hyperparameters) | leaves(schema()))[key]
    values = resolved.hyperparameters.model_dump(mode="json")
    facts = facts_of(values, resolved.settings)
    value = (flatten(resolved.settings.model_dump(mode="json")) | values)[key]
    source = resolved.sources[key]
    unit, takes = extra(info, "unit"), _names(key, resolved, conf) or allowed(info)
    takes += f", in {unit}" if unit and unit not in takes else ""
    wanted = " and ".join(say(name, holds) for name, holds in condition_of(key).items())
    by = "no" if why_unread(key, facts) else "yes"
    read = f"only when {wanted}; by this run: {by}" if wanted else "always"
    lines = [f"takes  {takes}", f"value  {show(value)}, from {source} ({MEANING[source]})", f"read   {read}"]
    return "\n  ".join([f"{key}: {meaning(info)}", *lines])


def _names(key: str, resolved: Resolved, conf: Conf) -> str:
    """The options of a setting that is a choice; those of a loss and of a model that serve the task."""
    group, task = key.removesuffix(".name"), resolved.settings.task
    if group not in GROUPS:
        return ""
    serving = {
        "loss": losses_of(task, entry_of(resolved.settings.model.name, task)),
        "model": models_of(task),
    }
    return one_of(serving.get(group) or conf.options(group))
