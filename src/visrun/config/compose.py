"""From what the user typed to one validated configuration: the door that every run comes through.

    >>> resolve(["task=segmentation", "learning_rate=3e-4"]).sources["learning_rate"]
    'you'

Nothing here imports torch or MLflow, and nothing touches Hydra's global state, so it also works inside a Hydra job.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from visrun import hyperparameters
from visrun.config import plugins
from visrun.config.checks import check, located, lower_warmup, option_problems, problems_of, unread_warnings
from visrun.config.choices import (
    NAMED,
    Chosen,
    choose,
    found_options,
    known,
    own_file,
    rooted_by,
    typed_choices,
    unknown_option,
    usual_options,
)
from visrun.config.configs import PRIMARY, Conf, beneath, open_conf, store_schema
from visrun.config.fields import flatten
from visrun.config.jobs import first_job
from visrun.config.lines import Line, distinct, texts
from visrun.config.overrides import GROUPS, READY, Typed, Words, parse
from visrun.config.provenance import own_values, set_apart, sources
from visrun.config.ready import expand
from visrun.config.saved import Files, in_force, saved
from visrun.config.setting_rules import entry_of, loss_problems
from visrun.config.settings import Settings
from visrun.config.spelling import to_override
from visrun.errors import ConfigError
from visrun.hyperparameters import Hyperparameters

CHOICE_KEYS = {"recipe", *GROUPS, *(f"{section}.name" for section in NAMED)}  # what is typed of these is a choice
FILES = ("experiment", "recipe")


@dataclass(frozen=True)
class Resolved:
    """A run's configuration, validated.

    Args:
        hyperparameters: How it learns.
        settings: Everything else.
        sources: Dotted key of any value -> where it came from: schema, task, architecture, option, you or file.
        apart: The keys that the user or a file set to what the run would not have without them.
        choices: Group -> option.
        unread: The hyperparameters that this run does not read.
        notices: Lines that say what was decided for the user.
        warnings: Lines about what the user probably did not mean.
        typed: The user's words, quoted for Hydra's grammar.
        overrides: What Hydra composes it from: the choices, the file's values, the typed ones.
    """

    hyperparameters: Hyperparameters
    settings: Settings
    sources: dict[str, str]
    apart: tuple[str, ...]
    choices: dict[str, str]
    unread: tuple[str, ...]
    notices: tuple[Line, ...]
    warnings: tuple[Line, ...]
    typed: tuple[str, ...]
    overrides: tuple[str, ...]


class Composition(NamedTuple):
    """A configuration as far as it could be made, None where single values are wrong, and all that is wrong with it."""

    resolved: Resolved | None
    problems: tuple[Line, ...]


class Sweep(NamedTuple):
    """A sweep, checked: its first job that can run, its words as Hydra takes them, and those that vary something."""

    first: Resolved
    words: tuple[str, ...]
    varied: tuple[str, ...]


class _Command(NamedTuple):
    """A command, read: its words, their plain values, its files' settings, and what is wrong so far."""

    conf: Conf
    typed: tuple[Typed, ...]
    values: dict[str, Any]
    files: Files
    problems: list[Line]


def resolve(typed: Sequence[str], conf: Conf | None = None) -> Resolved:
    """Compose and validate; see :func:`look`.

    Raises:
        ConfigError: With everything that is wrong, one line each.
    """
    found = look(typed, conf)
    if found.resolved is None or found.problems:
        raise ConfigError(texts(found.problems))
    return found.resolved


def look(typed: Sequence[str], conf: Conf | None = None) -> Composition:
    """Compose and validate, and say what is wrong instead of raising it.

    Args:
        typed: ``key=value`` words; words for Hydra's own settings are passed over.
        conf: The config files, and the folder that relative paths start from; None = those of the current one. Many
            configurations from the same files are found faster so.

    Raises:
        ConfigError: The config files themselves cannot be read.
    """
    command = _read(typed, conf or open_conf(Path.cwd()))
    try:
        return _look(command)
    except ConfigError as error:  # a file that cannot be composed hides no slip in the words
        raise ConfigError(list(dict.fromkeys([*texts(command.problems), *error.problems]))) from None


def _look(command: _Command) -> Composition:
    conf, words, values, files, problems = command
    picked, lines = typed_choices(values, conf, file=files.values)
    problems += lines
    file, left_out = in_force(files, picked, conf, rooted=rooted_by(values, files.values))
    chosen, lines = found_options(choose(picked, file, conf, rooted=rooted_by(values, file)), conf)
    problems += lines
    raised = conf.raised(chosen.options)
    composed = conf.compose(chosen.options, _over(chosen, file, values))
    plain = {key: flatten(composed)[key] for key in beneath(raised)}
    overrides = _overrides(chosen, _over(chosen, {**plain, **file}, values), words)
    composed.update({key: values[key] for key in FILES if key in values})
    if "recipe" in values and values["recipe"] not in conf.options("recipe"):
        composed["recipe"] = None  # which its file's problem says
    lowered = lower_warmup(composed, typed=values)
    checked, layers = check(composed), [*conf.layers(chosen.options), *raised]
    problems += located(checked.problems, layers, recipe=files.recipe, typed=values)
    found, given = checked.hyperparameters, checked.settings
    if found is None or given is None:
        return Composition(None, distinct(problems))
    flat = flatten(given.model_dump(mode="json"))
    came_from = sources(
        layers,
        keys=[*Hyperparameters.model_fields, *flat],
        chosen=chosen.sources,
        file=file,
        typed=values,
        ruled=["warmup_epochs"] if lowered else [],
    )
    usual = usual_options(chosen, conf, rooted=rooted_by(values, file))
    unread = hyperparameters.unread(found, model=entry_of(given.model.name, given.task))
    resolved = Resolved(
        hyperparameters=found,
        settings=given,
        sources=came_from,
        apart=set_apart(layers, found.model_dump(mode="json") | flat, came_from, usual),
        choices=chosen.options,
        unread=unread,
        notices=(
            *plugins.notices(given.plugins),
            *left_out,
            *own_values(chosen, found, came_from, conf),
            *lowered,
        ),
        warnings=(*checked.warnings, *unread_warnings(values, found, given)),
        typed=tuple(item.line for item in words),
        overrides=(*overrides, *([f"warmup_epochs={found.warmup_epochs}"] if lowered else [])),
    )
    return Composition(resolved, distinct(problems))


def check_sweep(typed: Sequence[str], conf: Conf | None = None) -> Sweep:
    """Check a sweep (``optimizer=adam,sgd``) before its first job: every value by itself, and one job as a whole.

    Arguments as `look` takes them.

    Raises:
        ConfigError: With everything that is wrong, one line each.
    """
    conf = conf or open_conf(Path.cwd())
    typed, ready = _ready(typed, conf)
    _, words, values, files, read = _read([*typed, *ready], conf, multirun=True)
    problems = texts(read)
    for item in words:
        for value in item.values:
            problems += _value_problems(item.key, value, conf, typed=values, file=files.values)
    named = {word.partition("=")[0] for word in ready}
    try:
        mine = [item for item in words if item.key not in named]
        job = first_job(mine, partial(resolve, conf=conf))
        swept = {item.key: item.values for item in words if item.values and item.key in GROUPS}
        over = _over(Chosen(job.choices, "", {}), files.values, values)
        problems += option_problems(swept, over, first=job.choices, conf=conf)
        problems += [text for loss in swept.get("loss", ()) for text in texts(loss_problems(loss, job.settings.task))]
    except ConfigError as error:
        raise ConfigError(list(dict.fromkeys([*problems, *error.problems]))) from None
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    # conf/recipe is a folder of options that stands in no defaults list: Hydra takes its options with a plus, none not
    used = [item for item in words if item.key != "recipe" or item.values or item.value is not None]
    lines = tuple(f"+{item.line}" if item.key == "recipe" else item.line for item in used)
    return Sweep(job, lines, tuple(item.line for item in words if item.values))


def _ready(typed: Sequence[str], conf: Conf) -> tuple[list[str], list[str]]:
    """The words without ``sweep=NAME``, and what it stands for, as far as the user typed no value of these keys.

    Raises:
        ConfigError: No such ready space, or one that does not fit.
    """
    own = [word for word in typed if not word.startswith(f"{READY}=")]
    names = [word.partition("=")[2] for word in typed if word.startswith(f"{READY}=")]
    if not names:
        return own, []
    if len(names) > 1:
        raise ConfigError(f"{READY} is given twice; keep one")
    _, words, *_ = _read(own, conf, multirun=True)
    first = first_job(words, partial(resolve, conf=conf))
    given, values = first.settings, first.hyperparameters.model_dump(mode="json")
    shortest = [value for item in words if item.key == "max_epochs" for value in item.values if isinstance(value, int)]
    values["max_epochs"] = min(shortest, default=values["max_epochs"])
    model = entry_of(given.model.name, given.task)
    ready = expand(own_file(READY, names[0], conf), task=given.task, values=values, model=model, name=names[0])
    mine = {item.key for item in words}
    return own, [word for word in ready if word.partition("=")[0] not in mine]


def _value_problems(
    key: str, value: Any, conf: Conf, *, typed: Mapping[str, Any], file: Mapping[str, Any]
) -> list[str]:
    if key in GROUPS:
        return [] if value in conf.options(key) else [unknown_option(key, value, conf, among=[typed, file])]
    if key in FILES:
        found, lines = saved({key: value}, conf)
        counting = {name: item for name, item in found.values.items() if name not in {*typed, *GROUPS}}
        return [*lines, *(line for name, item in counting.items() for line in problems_of(name, item))]
    return problems_of(key, value)


def _read(typed: Sequence[str], conf: Conf, *, multirun: bool = False) -> _Command:
    def read() -> tuple[Words, dict[str, Any]]:
        found = parse(typed, known=known(), cwd=conf.cwd, multirun=multirun, options=conf.loader)
        return found, {item.key: item.value for item in found.typed}

    words, values = read()
    new = _load_plugins([values.get("plugins"), conf.read(PRIMARY).get("plugins")], conf)
    files, lines = saved(values, conf)
    more = _load_plugins([files.values.get("plugins")], conf)
    if more or new:  # model=glob(*) and the file may mean theirs
        words, values = read()
        files, lines = saved(values, conf)
    return _Command(conf, words.typed, values, files, [Line(text) for text in (*words.problems, *lines)])


def _load_plugins(listed: Sequence[Any], conf: Conf) -> bool:
    """Import what is listed; whether any of it is new, so that there may be more options than before."""
    names = [name for names in listed if isinstance(names, list) for name in names]
    new = any(str(name) not in sys.modules for name in names)
    try:
        plugins.load(names, cwd=conf.cwd)
    finally:  # one that imports is there, whatever another one raises
        if new:
            store_schema()
            conf.list_again()
    return new


def _over(chosen: Chosen, file: Mapping[str, Any], typed: Mapping[str, Any]) -> dict[str, Any]:
    """What goes over the files of the choices: dotted key -> value."""
    names = {"model.name": chosen.model, "augment.name": chosen.options["augment"]}
    return names | {key: value for key, value in {**file, **typed}.items() if key not in CHOICE_KEYS}


def _overrides(chosen: Chosen, over: Mapping[str, Any], words: Sequence[Typed]) -> list[str]:
    """The choices, all explicit, and what :func:`_over` gives, in Hydra's grammar; typed words stay as they are."""
    lines = {item.key: item.line for item in words if item.key not in CHOICE_KEYS}
    choices = [f"{group}={option}" for group, option in chosen.options.items()]
    return [*choices, *(lines.get(key) or to_override(key, value) for key, value in over.items())]
