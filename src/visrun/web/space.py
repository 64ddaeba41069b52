"""The space of a sweep as the page edits it: a ready space's content, with JSON for YAML, and the words it stands for.

Ranges are checked and spelt by :mod:`visrun.config.ready`, the whole command by the command line's own check of sweeps.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from visrun.config.compose import Resolved, check_sweep
from visrun.config.fields import extra, one_of, show
from visrun.config.overrides import PATHS
from visrun.config.ready import read_ready, spaces, spelt
from visrun.config.setting_rules import entry_of, why_unread
from visrun.config.sweeper import AUTO, PRUNERS, USUAL_TRIALS
from visrun.errors import ConfigError
from visrun.hyperparameters import Hyperparameters
from visrun.machine import cores, gpus
from visrun.web.catalog import editable
from visrun.web.composer import Composer
from visrun.web.entered import plain
from visrun.web.form import Form, command_words

MOST_TRIALS, MOST_SLOTS = 10_000, 64


class Wanted(NamedTuple):
    """A sweep as the page asks for it.

    Args:
        ranges: Field -> ``{"low", "high"[, "log"][, "step"]}`` or ``{"choices": [...]}``; every field varies.
        trials: How many trials; what else was typed is refused.
        pruner: A name of ``PRUNERS``.
        slots: Trials at a time.
    """

    ranges: Mapping[str, Mapping[str, Any]]
    trials: int | str
    pruner: str
    slots: int | str


class Planned(NamedTuple):
    """A sweep that may start: its words behind ``-m``, and the command line."""

    words: tuple[str, ...]
    command: str


def offered(form: Form, composer: Composer) -> dict[str, Any]:
    """What the page fills the sweep with: ready spaces with their ranges for this form, pruners, slots."""
    ready: dict[str, dict[str, Any]] = {}
    for name in composer.conf.options("sweep"):
        try:
            content = read_ready(name, composer.conf)
            ready[name] = spaces(content, **_facts(form.resolved), name=name)
        except ConfigError as error:  # a file of the user's own that does not fit
            ready[name] = {"problem": error.problems[0]}
    ranged = [name for name, info in Hyperparameters.model_fields.items() if extra(info, "search")]
    return {
        "ready": ready,
        "fields": spaces({"parameters": ranged}, **_facts(form.resolved), name="form"),
        "unread": {name: why_unread(name, form.facts) for name in form.resolved.unread},
        "pruners": list(PRUNERS),
        "usual": USUAL_TRIALS,
        "slots": max(1, len(gpus())),
        "cores": cores(),
    }


def planned(form: Form, wanted: Wanted, composer: Composer) -> Planned:
    """The command of a sweep.

    Raises:
        ConfigError: With everything that is wrong, one line each, as the command line says it.
    """
    problems = [*_number_problems(wanted), *_strange_keys(wanted)]
    try:
        swept = _swept(form, wanted, composer.cwd)
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(problems)
    fixed = [word for word in command_words(form, composer) if word.partition("=")[0] not in wanted.ranges]
    words = [*fixed, *swept, *_sweeper(wanted)]
    checked = [word for word in words if not word.startswith("hydra")]
    check_sweep(checked, cwd=composer.cwd, conf=composer.conf)
    return Planned(tuple(words), shlex.join(["visrun", "-m", *words]))


def _swept(form: Form, wanted: Wanted, cwd: Path) -> list[str]:
    """The words of the ticked ranges.

    Raises:
        ConfigError: None is ticked, one is wrong, or one leaves nothing to vary: it must not vanish from the command.
    """
    if not wanted.ranges:
        raise ConfigError("tick at least one field to vary")
    ranges = {key: _plain(key, given, cwd) for key, given in wanted.ranges.items()}
    try:
        found = spaces({"parameters": list(ranges), "ranges": ranges}, **_facts(form.resolved), name="form")
    except ConfigError as error:
        raise ConfigError([line.removeprefix("sweep=form: ") for line in error.problems]) from None
    alone = [f"{key}: this range leaves no two values to try" for key, space in found.items() if not space]
    if alone:
        raise ConfigError(alone)
    return spelt(found)


def _strange_keys(wanted: Wanted) -> list[str]:
    """Only what the form itself may set varies, and no path."""
    known = [key for key in editable() if key not in PATHS]
    return [f"{show(key)} does not vary here" for key in wanted.ranges if key not in known]


def _plain(key: str, given: Mapping[str, Any], cwd: Path) -> dict[str, Any]:
    """A range whose texts are the values that the command line reads."""

    def read(value: Any) -> Any:
        return plain(key, value, cwd) if isinstance(value, str) else value

    return {end: [*map(read, value)] if isinstance(value, list) else read(value) for end, value in given.items()}


def _sweeper(wanted: Wanted) -> Sequence[str]:
    words = [f"hydra.sweeper.n_trials={wanted.trials}"]
    words += [f"hydra/sweeper/pruner={wanted.pruner}"] if wanted.pruner != AUTO else []
    return words + ([f"hydra.sweeper.n_jobs={wanted.slots}"] if wanted.slots != 1 else [])


def _number_problems(wanted: Wanted) -> list[str]:
    problems = []
    for name, value, most in (("trials", wanted.trials, MOST_TRIALS), ("slots", wanted.slots, MOST_SLOTS)):
        if not isinstance(value, int) or not 1 <= value <= most:
            problems.append(f"{name}={show(value)}: must be an integer from 1 to {most}")
    if wanted.pruner not in PRUNERS:
        problems.append(f"pruner={show(wanted.pruner)}: must be {one_of(list(PRUNERS))}")
    return problems


def _facts(resolved: Resolved) -> dict[str, Any]:
    task = resolved.settings.task
    return {
        "task": task,
        "values": resolved.hyperparameters.model_dump(mode="json"),
        "model": entry_of(resolved.settings.model.name, task),
    }
