"""The space of a sweep as the page edits it: a ready space's content, with JSON for YAML, and the words it stands for.

Ranges are checked and spelt by :mod:`visrun.config.ready`, the whole command by the command line's own check of sweeps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from visrun.config.checks import problems_of
from visrun.config.choices import own_file
from visrun.config.compose import Resolved, check_sweep
from visrun.config.fields import extra, one_of, show
from visrun.config.overrides import PATHS
from visrun.config.ready import spaces, spelt
from visrun.config.setting_rules import entry_of, facts_of, is_read
from visrun.config.sweeper import AUTO, N_JOBS, N_TRIALS, PRUNERS, USUAL_TRIALS, count_problems
from visrun.errors import ConfigError
from visrun.hyperparameters import Hyperparameters
from visrun.machine import cores, gpus
from visrun.tables import models_of
from visrun.web.bodies import Swept
from visrun.web.catalog import editable
from visrun.web.composer import Composer
from visrun.web.entered import plain
from visrun.web.form import Form, command_words

CHOSEN_PRUNER = "hydra/sweeper/pruner"


def offered(form: Form, composer: Composer) -> dict[str, Any]:
    """What the page fills the sweep with: ready spaces with their ranges for this form, pruners, slots."""
    ready: dict[str, dict[str, Any]] = {}
    unfit: dict[str, list[str]] = {}  # files of the user's own
    for name in composer.conf.options("sweep"):
        try:
            ready[name] = spaces(own_file("sweep", name, composer.conf), **_facts(form.resolved), name=name)
        except ConfigError as error:
            unfit[name] = list(error.problems)
    listed = _listed(form, composer)
    ranged = [name for name, info in Hyperparameters.model_fields.items() if extra(info, "search") or name in listed]
    content = {"parameters": ["model", *ranged, "seed"], "ranges": listed}
    return {
        "ready": ready,
        "unfit": unfit,
        "fields": spaces(content, **_facts(form.resolved), name="form"),
        "unread": _unread(form, ranged, listed["model"]["choices"]),
        "pruners": list(PRUNERS),
        "usual": USUAL_TRIALS,
        "slots": max(1, len(gpus())),
        "cores": cores(),
    }


def _unread(form: Form, names: Sequence[str], models: Sequence[str]) -> list[str]:
    """Of ``names`` those that a run reads with none of ``models``: varied together with the model, they do nothing."""
    values, settings = form.resolved.hyperparameters, form.resolved.settings.model_dump()
    facts = [facts_of(values, {**settings, "model": {**settings["model"], "name": model}}) for model in models]
    return [name for name in names if facts and not any(is_read(name, known) for known in facts)]


def _listed(form: Form, composer: Composer) -> dict[str, dict[str, list[Any]]]:
    """What the schema has no range for and is compared all the same, with the values that are filled in."""
    epochs = form.resolved.hyperparameters.max_epochs
    values: dict[str, list[Any]] = {
        "model": [name for name in models_of(form.task) if name in composer.models],  # torchvision's take two words
        "max_epochs": [number for number in (epochs // 2, epochs, 2 * epochs) if not problems_of("max_epochs", number)],
        "seed": [0, 1, 2],
    }
    return {key: {"choices": choices} for key, choices in values.items()}


def planned(form: Form, asked: Swept, composer: Composer) -> tuple[str, ...]:
    """The words of a sweep behind ``visrun -m``.

    Raises:
        ConfigError: With everything that is wrong, one line each, as the command line says it.
    """
    problems = [*_sweeper_problems(asked), *_strange_keys(asked)]
    try:
        swept = _swept(form, asked, composer.cwd)
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(problems)
    words = [*command_words(form, composer, varied=asked.ranges), *swept, *_sweeper(asked)]
    checked = [word for word in words if not word.startswith("hydra")]
    check_sweep(checked, composer.conf)
    return tuple(words)


def _swept(form: Form, asked: Swept, cwd: Path) -> list[str]:
    """The words of the ticked ranges.

    Raises:
        ConfigError: None is ticked, one is wrong, or one leaves nothing to vary: it must not vanish from the command.
    """
    if not asked.ranges:
        raise ConfigError("tick at least one field to vary")
    ranges = {key: _plain(key, given, cwd) for key, given in asked.ranges.items()}
    try:
        found = spaces({"parameters": list(ranges), "ranges": ranges}, **_facts(form.resolved), name="form")
    except ConfigError as error:
        raise ConfigError([line.removeprefix("sweep=form: ") for line in error.problems]) from None
    alone = [f"{key}: this range leaves no two values to try" for key, space in found.items() if not space]
    if alone:
        raise ConfigError(alone)
    return spelt(found)


def _strange_keys(asked: Swept) -> list[str]:
    """Only what the form itself may set varies, and no path."""
    known = [key for key in (*editable(), "model") if key not in PATHS]
    return [f"{show(key)} does not vary here" for key in asked.ranges if key not in known]


def _plain(key: str, given: Mapping[str, Any], cwd: Path) -> dict[str, Any]:
    """A range whose texts are the values that the command line reads."""

    def read(value: Any) -> Any:
        return plain(key, value, cwd) if isinstance(value, str) else value

    return {end: [*map(read, value)] if isinstance(value, list) else read(value) for end, value in given.items()}


def _sweeper(asked: Swept) -> Sequence[str]:
    words = [f"{N_TRIALS}={asked.trials}"] if asked.trials is not None else []
    words += [f"{CHOSEN_PRUNER}={asked.pruner}"] if asked.pruner != AUTO else []
    return words + ([f"{N_JOBS}={asked.slots}"] if asked.slots != 1 else [])


def _sweeper_problems(asked: Swept) -> list[str]:
    """What the sweep would say as it starts, which is checked where Optuna is."""
    problems = count_problems(asked.trials, asked.slots)
    if asked.pruner not in PRUNERS:
        problems.append(f"{CHOSEN_PRUNER}={show(asked.pruner)}: must be {one_of(sorted(PRUNERS))}")
    return problems


def _facts(resolved: Resolved) -> dict[str, Any]:
    task = resolved.settings.task
    return {
        "task": task,
        "values": resolved.hyperparameters.model_dump(mode="json"),
        "model": entry_of(resolved.settings.model.name, task),
    }
